#include "figures.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double percentile(double *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)((double)(count - 1) * share)];
}

void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

const char *option_text(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) != 0)
            continue;
        if (i + 1 == argc)
            give_up("%s needs a value", name);
        return argv[i + 1];
    }
    return fallback;
}

double option_number(int argc, char **argv, const char *name, double fallback)
{
    const char *text = option_text(argc, argv, name, NULL);
    char *end = NULL;
    double value = text ? strtod(text, &end) : fallback;
    if (text && (end == text || *end != '\0' || value < 0))
        give_up("%s is '%s': write a number", name, text);
    return value;
}

bool option_is_set(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        give_up("cannot read %s", path);
    long length = ftell(file);
    rewind(file);
    char *memory = length > 0 ? malloc((size_t)length + 1) : NULL;
    if (!memory || fread(memory, 1, (size_t)length, file) != (size_t)length)
        give_up("cannot read %s", path);
    memory[length] = '\0';
    (void)fclose(file); /* only read */
    return memory;
}

void texts_load(struct texts *self, const char *path)
{
    *self = (struct texts){ .memory = read_all(path) };
    size_t lines = 1;
    for (const char *c = self->memory; *c; c++)
        lines += *c == '\n';
    self->text = calloc(lines, sizeof *self->text);
    self->is_urgent = calloc(lines, sizeof *self->is_urgent);
    if (!self->text || !self->is_urgent)
        give_up("no memory for %zu texts", lines);
    char *rest = self->memory;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (line[0] == '\0' || line[1] != '\t')
            continue;
        self->is_urgent[self->count] = line[0] == '1';
        self->text[self->count++] = line + 2;
    }
    if (self->count == 0)
        give_up("%s holds no texts", path);
}

void texts_clear(struct texts *self)
{
    free(self->text);
    free(self->is_urgent);
    free(self->memory);
}
