/* Which refusals are about what was asked, and which about Redis itself. */
#include <string.h>

#include "store/internal.h"

/* What Redis says while it is away, full, read-only, busy or not set up for us. */
static bool is_about_redis(const char *text)
{
    static const char *const codes[] = { "OOM",        "MISCONF",  "READONLY",   "NOREPLICAS",
                                         "LOADING",    "BUSY",     "MASTERDOWN", "NOSCRIPT",
                                         "UNKILLABLE", "NOPERM",   "NOAUTH",     "CLUSTERDOWN",
                                         "MOVED",      "TRYAGAIN", "ASK",        "NOTBUSY" };
    size_t length = strcspn(text, " ");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strlen(codes[i]) == length && memcmp(codes[i], text, length) == 0)
            return true;
    /* The ACL, in an ERR of its own: of Redis 7.0, and of 7.2 and newer. */
    return strstr(text, "user executing the script") || strstr(text, "ACL failure in script");
}

bool store_is_own_fault(const char *text)
{
    return text[0] != '\0' && !is_about_redis(text);
}

/* Redis names the function where it stopped; what it refuses before it runs one carries no name. */
bool store_is_function_fault(const char *text)
{
    return strstr(text, " script: ") && store_is_own_fault(text);
}
