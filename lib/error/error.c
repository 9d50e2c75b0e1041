#include "error/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
    if (!err)
        return -1;
    err->kind = kind;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args); /* a cut text is still a text */
    va_end(args);
    return -1;
}

/* A cut text is still a text. */
static void append(struct error *err, const char *more)
{
    size_t used = strlen(err->text);
    size_t length = strnlen(more, sizeof err->text - 1 - used);
    memcpy(err->text + used, more, length);
    err->text[used + length] = '\0';
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    char tail[sizeof err->text];
    memcpy(tail, err->text, sizeof tail);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    append(err, ": ");
    append(err, tail);
    return -1;
}
