/* Bytes from the dispatch system: never a crash, and what is taken is whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notify/callback_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const secrets[] = { "secret" };
    struct callback_message message;
    struct error err = { 0 };
    char header[128] = "";
    memcpy(header, data, size < sizeof header - 1 ? size : sizeof header - 1);
    if (callback_check(secrets, 1, "1790000000", header, data, size, 1790000000000) ==
        CALLBACK_GENUINE)
        abort(); /* nobody guesses a signature */
    if (callback_check(secrets, 1, header, header, data, size, 0) == CALLBACK_GENUINE)
        abort();
    if (callback_parse((const char *)data, size, &message, &err) == 0 &&
        (message.dispatcher[0] == '\0' || (message.is_outcome && message.outcome[0] == '\0')))
        abort();
    return 0;
}
