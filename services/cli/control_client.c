#include "cli/control_client.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum { ANSWER_MAX_BYTES = 4 << 20, TIMEOUT_MS = 2000 };

static int is_socket_name(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".sock") == 0 &&
           strcmp(entry->d_name, "redis.sock") != 0;
}

json_t *control_names(const char *run_directory, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(run_directory, &entries, is_socket_name, alphasort);
    if (count < 0) {
        (void)error_set(err, ERROR_UNAVAILABLE,
                        "%s: %s: nothing was started with this configuration here", run_directory,
                        strerror(errno));
        return NULL;
    }
    json_t *names = json_array();
    for (int i = 0; i < count; i++) {
        size_t length = strlen(entries[i]->d_name) - 5;
        if (i < CONTROL_NAMES_MAX)
            (void)json_array_append_new(names, json_stringn(entries[i]->d_name, length));
        free(entries[i]);
    }
    free(entries);
    return names;
}

struct answer {
    char *text;
    size_t length;
};

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct answer *answer = arg;
    size_t length = size * count;
    if (answer->length + length > ANSWER_MAX_BYTES)
        return 0;
    char *text = realloc(answer->text, answer->length + length);
    if (!text)
        return 0;
    memcpy(text + answer->length, data, length);
    answer->text = text;
    answer->length += length;
    return length;
}

static void drop_curl(CURL **curl_p)
{
    curl_easy_cleanup(*curl_p);
}

int control_ask(const char *run_directory, const char *name, const char *method, const char *path,
                json_t **out, struct error *err)
{
    char socket_path[256];
    char url[512];
    struct answer answer = { 0 };
    long status = 0;
    AUTO(drop_curl) CURL *curl = curl_easy_init();
    if (!curl)
        return error_set(err, ERROR_SYSTEM, "no memory for a request");
    (void)snprintf(socket_path, sizeof socket_path, "%s/%s.sock", run_directory, name);
    (void)snprintf(url, sizeof url, "http://localhost%s", path);
    (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (strcmp(method, "POST") == 0)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    CURLcode rc = curl_easy_perform(curl);
    if (rc != CURLE_OK) {
        free(answer.text);
        return error_set(err, ERROR_UNAVAILABLE, "%s does not answer: %s", name,
                         curl_easy_strerror(rc));
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    *out = answer.length ? json_loadb(answer.text, answer.length, JSON_DECODE_ANY, NULL) : NULL;
    free(answer.text);
    return (int)status;
}
