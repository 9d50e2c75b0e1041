/* crash_at_marker - put before jansson by LD_PRELOAD: a body that holds the marker ends the process
 * that parses it, as a fault in a parser would. For tests of real programs. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

typedef json_t *loader(const char *, size_t, size_t, json_error_t *);

json_t *json_loadb(const char *buffer, size_t buflen, size_t flags, json_error_t *error)
{
    static const char marker[] = "THIS BODY ENDS ITS READER";
    loader *real = NULL;
    void *found = dlsym(RTLD_NEXT, "json_loadb");
    memcpy(&real, &found, sizeof real);
    if (!real || memmem(buffer, buflen, marker, sizeof marker - 1))
        abort();
    return real(buffer, buflen, flags, error);
}
