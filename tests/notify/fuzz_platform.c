/* Bytes from platforms, and texts and ids from anybody into requests: never a crash, nothing read
 * as sent that was not answered with 2xx, no header of several lines, twice the same. Input: a byte
 * for the platform, two for the status, a line that is the value of every header, and the body
 * (which is also the text, person and post of a request). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notify/platform_channels.h"

static const struct platform *const platforms[] = {
    &platform_facebook, &platform_instagram, &platform_whatsapp, &platform_x,       &platform_web,
    &platform_page,     &platform_x_post,    &platform_mastodon, &platform_webhook,
};

enum { PLATFORMS = sizeof platforms / sizeof platforms[0], NOW_S = 1770833400 };
static const int64_t now_ms = INT64_C(1000) * NOW_S;

static void must(int is_so)
{
    if (!is_so)
        abort();
}

static const char *header(void *arg, const char *name)
{
    (void)name;
    const char *value = arg;
    return value[0] ? value : NULL;
}

static int is_text(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static void check_result(const struct platform_result *result, unsigned status)
{
    must(result->outcome >= DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT &&
         result->outcome <= DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED);
    must(is_text(result->object_id, sizeof result->object_id) &&
         is_text(result->error, sizeof result->error));
    must((result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT) ==
         (result->error[0] == '\0'));
    must(result->outcome != DESG__V1__SEND_OUTCOME__SEND_OUTCOME_SENT ||
         (status >= 200 && status < 300));
    must(result->after_ms >= 0 && result->after_ms <= 86400000 && result->reset_ms >= 0);
    must(result->used_percent <= 100 && result->code >= 0);
    must(result->is_token_dead ==
         (result->outcome == DESG__V1__SEND_OUTCOME__SEND_OUTCOME_BLOCKED));
}

static void read_answer(const struct platform *platform, struct platform_answer *answer,
                        const struct platform_message *message)
{
    struct platform_result first;
    struct platform_result second;
    memset(&first, 0, sizeof first);
    memset(&second, 0xa5, sizeof second);
    platform->sent(answer, now_ms, &first);
    platform->sent(answer, now_ms, &second);
    check_result(&first, answer->http_status);
    must(first.outcome == second.outcome && first.after_ms == second.after_ms &&
         strcmp(first.object_id, second.object_id) == 0 && strcmp(first.error, second.error) == 0);
    if (!platform->looked_up)
        return;
    answer->http_status = 200;
    char object_id[PLATFORM_OBJECT_BYTES] = "";
    enum platform_found found = platform->looked_up(answer, message, now_ms, object_id);
    must(is_text(object_id, sizeof object_id));
    must(found == PLATFORM_IS_THERE || object_id[0] == '\0');
}

typedef int request_maker(const struct platform_self *self, const struct platform_message *message,
                          struct platform_request *out, struct error *err);

static void make(request_maker *maker, const struct platform_message *message)
{
    static const struct platform_self self = {
        .base_url = "https://api.example/v1",
        .account = "3001",
        .token = "token",
        .token_secret = "ts",
        .consumer_key = "ck",
        .consumer_secret = "cs",
        .signature_secret = "s",
    };
    struct platform_request request = { 0 };
    struct error err = { 0 };
    if (!maker)
        return;
    if (maker(&self, message, &request, &err) != 0) {
        must(err.kind == ERROR_INVALID && !request.body && request.header_count == 0);
        return;
    }
    must(is_text(request.url, sizeof request.url) &&
         strncmp(request.url, self.base_url, strlen(self.base_url)) == 0 &&
         !strpbrk(request.url, " \r\n#\\") && !strstr(request.url, "/../"));
    must(request.header_count <= PLATFORM_HEADERS_MAX);
    for (size_t i = 0; i < request.header_count; i++)
        must(is_text(request.headers[i], sizeof request.headers[i]) &&
             !strpbrk(request.headers[i], "\r\n"));
    must(!request.body || strlen(request.body) == request.length);
    platform_request_clear(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    char *text = malloc(size - 3 + 1);
    must(text != NULL);
    memcpy(text, data + 3, size - 3);
    text[size - 3] = '\0';
    char *value = text;
    char *body = memchr(text, '\n', size - 3);
    if (body)
        *body++ = '\0';
    else
        body = text + size - 3;
    const struct platform *platform = platforms[data[0] % PLATFORMS];
    struct platform_message message = {
        .person = body,
        .object_id = body,
        .contact = body,
        .text = body,
        .ref = value,
        .key = value,
        .is_reply = data[1] & 0x80,
        .at_ms = now_ms,
    };
    struct platform_answer answer = {
        .http_status = (unsigned)(data[1] << 8 | data[2]) % 700,
        .is_unsent = data[2] & 1,
        .body = body,
        .length = size - 3 - (size_t)(body - text),
        .header = header,
        .arg = value,
    };
    read_answer(platform, &answer, &message);
    make(platform->send, &message);
    make(platform->edit, &message);
    make(platform->remove, &message);
    make(platform->look_up, &message);
    free(text);
    return 0;
}
