#include "cli/desk_url.h"

#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <curl/curl.h>

enum { LOOPBACK_NET = 127 };

static void free_url(CURLU **url_p)
{
    curl_url_cleanup(*url_p);
    *url_p = NULL;
}

static void free_part(char **part_p)
{
    curl_free(*part_p);
    *part_p = NULL;
}

/* Names but localhost are not looked up: what they mean may change before the token is sent. */
static bool is_this_machine(const char *host)
{
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == LOOPBACK_NET;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

int desk_url_check(const char *url, bool may_be_plain, struct error *err)
{
    AUTO(free_url) CURLU *parsed = curl_url();
    AUTO(free_part) char *scheme = NULL;
    AUTO(free_part) char *host = NULL;
    if (!parsed)
        return error_set(err, ERROR_SYSTEM, "no memory for an address");
    /* As libcurl itself reads it when the request is sent. */
    if (curl_url_set(parsed, CURLUPART_URL, url, CURLU_GUESS_SCHEME) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
        return error_set(err, ERROR_CONFIG,
                         "desk's address is none: write it as https://desk.example:8443");
    if (strcmp(scheme, "https") == 0 || may_be_plain || is_this_machine(host))
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "desk's address is plain http to another machine: your token and all you read "
                     "would cross the network in clear. Write an https address (a proxy before "
                     "desk speaks it), or give --insecure if something else encrypts the way");
}
