#include "desk/broadcast_order.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error/error.h"
#include "ids/ids.h"
#include "outward/broadcast.h"

enum { PATH_BYTES = 96, AUTHORIZATION_BYTES = HTTP_HEADER_MAX_BYTES, PROBLEM_BYTES = 4096 };

static void drop_json(json_t **value_p)
{
    json_decref(*value_p);
}

static void free_answer(struct http_answer *answer)
{
    free(answer->body);
}

/* --- the answer --- */

static void pack(Desg__V1__BroadcastAnswer *answer, struct broadcast_order_answer *out)
{
    out->status = answer->status;
    out->bytes = malloc(desg__v1__broadcast_answer__get_packed_size(answer) + 1);
    if (!out->bytes)
        abort(); /* some hundred bytes */
    out->length = desg__v1__broadcast_answer__pack(answer, out->bytes);
}

static void say(const Desg__V1__BroadcastOrder *order, unsigned status, const char *problem,
                struct broadcast_order_answer *out)
{
    Desg__V1__BroadcastAnswer answer = DESG__V1__BROADCAST_ANSWER__INIT;
    answer.number = order ? order->number : 0;
    answer.status = status;
    answer.problem = (char *)problem;
    pack(&answer, out);
}

void broadcast_order_refuse(const Desg__V1__BroadcastOrder *order,
                            struct broadcast_order_answer *out)
{
    say(order, 503, "This desk is stopping. Ask again, a change with the same key.", out);
}

static void add_line(char *text, size_t bytes, const char *line)
{
    size_t length = strlen(text);
    if (line && *line && length < bytes)
        (void)snprintf(text + length, bytes - length, "%s%s", length > 0 ? "\n" : "", line);
}

/* A text cut short may end inside a character: what protobuf calls a string is UTF-8. */
static void end_at_character(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
        length--;
    if (length > 0 && ((unsigned char)text[length - 1] & 0x80))
        length--;
    text[length] = '\0';
}

/* What a problem document says, a line for each thing. */
static void put_problem(const json_t *body, char out[static PROBLEM_BYTES])
{
    size_t index;
    const json_t *line;
    add_line(out, PROBLEM_BYTES, json_string_value(json_object_get(body, "detail")));
    add_line(out, PROBLEM_BYTES, json_string_value(json_object_get(body, "remedy")));
    json_array_foreach(json_object_get(body, "problems"), index, line)
    {
        add_line(out, PROBLEM_BYTES, json_string_value(line));
    }
    if (!out[0])
        add_line(out, PROBLEM_BYTES, "Refused.");
    if (strlen(out) == PROBLEM_BYTES - 1)
        end_at_character(out);
}

static Desg__V1__BroadcastState state_from(const char *word)
{
    for (int i = DESG__V1__BROADCAST_STATE__BROADCAST_STATE_DRAFT;
         word && i <= DESG__V1__BROADCAST_STATE__BROADCAST_STATE_CANCELLED; i++)
        if (strcmp(broadcast_state_word((Desg__V1__BroadcastState)i), word) == 0)
            return (Desg__V1__BroadcastState)i;
    return DESG__V1__BROADCAST_STATE__BROADCAST_STATE_UNSPECIFIED;
}

static void translate(const Desg__V1__BroadcastOrder *order, const struct http_answer *from,
                      struct broadcast_order_answer *out)
{
    Desg__V1__BroadcastAnswer answer = DESG__V1__BROADCAST_ANSWER__INIT;
    struct id id;
    char problem[PROBLEM_BYTES] = "";
    AUTO(drop_json)
    json_t *body = from->body ? json_loadb(from->body, from->body_bytes, 0, NULL) : NULL;
    const char *named = json_string_value(json_object_get(body, "broadcast"));
    answer.number = order->number;
    answer.status = from->status;
    if (from->status / 100 != 2) {
        put_problem(body, problem);
        answer.problem = problem;
    } else if (named && id_parse(named, &id) == 0) {
        answer.id = (ProtobufCBinaryData){ ID_BYTES, id.bytes };
        answer.version = (uint32_t)json_number_value(json_object_get(body, "version"));
        answer.state = state_from(json_string_value(json_object_get(body, "state")));
    }
    pack(&answer, out);
}

/* --- the request --- */

struct way {
    const char *method;
    const char *rest; /* of the path, after the id; NULL: no id in it */
    const ProtobufCBinaryData *id;
    const Desg__V1__Broadcast *broadcast;
};

static bool find_way(const Desg__V1__BroadcastOrder *order, struct way *out)
{
    switch (order->what_case) {
    case DESG__V1__BROADCAST_ORDER__WHAT_DRAFT:
        *out = (struct way){ "POST", NULL, NULL, order->draft };
        return true;
    case DESG__V1__BROADCAST_ORDER__WHAT_UPDATE:
        *out = (struct way){ "POST", "/versions", &order->update->id, order->update };
        return true;
    case DESG__V1__BROADCAST_ORDER__WHAT_APPROVE:
        *out = (struct way){ "POST", "/approval", &order->approve, NULL };
        return true;
    case DESG__V1__BROADCAST_ORDER__WHAT_PUBLISH:
        *out = (struct way){ "POST", "/publication", &order->publish, NULL };
        return true;
    case DESG__V1__BROADCAST_ORDER__WHAT_CANCEL:
        *out = (struct way){ "POST", "/cancellation", &order->cancel, NULL };
        return true;
    case DESG__V1__BROADCAST_ORDER__WHAT_SHOW:
        *out = (struct way){ "GET", "", &order->show, NULL };
        return true;
    default:
        return false;
    }
}

static bool put_path(const struct way *way, char out[static PATH_BYTES])
{
    char id[ID_TEXT_BYTES];
    if (!way->rest) {
        (void)snprintf(out, PATH_BYTES, "/v1/broadcasts");
        return true;
    }
    if (way->id->len != ID_BYTES)
        return false;
    id_text(way->id->data, id);
    (void)snprintf(out, PATH_BYTES, "/v1/broadcasts/%s%s", id, way->rest);
    return true;
}

static size_t pack_broadcast(const Desg__V1__Broadcast *broadcast, uint8_t **out)
{
    *out = malloc(desg__v1__broadcast__get_packed_size(broadcast) + 1);
    if (!*out)
        abort(); /* less than came in */
    return desg__v1__broadcast__pack(broadcast, *out);
}

/* As JSON, unless that says less: bytes that are no UTF-8, a member or value not known here. */
static char *broadcast_body(const Desg__V1__Broadcast *broadcast)
{
    struct error ignored = { 0 };
    uint8_t *given = NULL;
    uint8_t *read = NULL;
    AUTO(drop_json) json_t *value = broadcast_to_json(broadcast);
    Desg__V1__Broadcast *again = broadcast_from_json(value, &ignored);
    size_t length = pack_broadcast(broadcast, &given);
    bool is_whole =
        again && pack_broadcast(again, &read) == length && memcmp(given, read, length) == 0;
    free(given);
    free(read);
    desg__v1__broadcast__free_unpacked(again, NULL);
    return is_whole ? json_dumps(value, JSON_COMPACT) : NULL;
}

/* NULL: it cannot be said in JSON. */
static char *body_of(const Desg__V1__BroadcastOrder *order, const struct way *way)
{
    AUTO(drop_json) json_t *value = NULL;
    if (way->broadcast)
        return broadcast_body(way->broadcast);
    if (order->what_case == DESG__V1__BROADCAST_ORDER__WHAT_SHOW)
        return strdup("");
    if (order->what_case == DESG__V1__BROADCAST_ORDER__WHAT_CANCEL)
        value = json_pack("{s:s}", "reason", order->reason);
    else
        value = json_pack("{s:I}", "version", (json_int_t)order->version);
    return value ? json_dumps(value, JSON_COMPACT) : NULL;
}

static void ask_as(const Desg__V1__BroadcastOrder *order, const struct way *way, const char *path,
                   const char *body, const struct broadcast_order_asker *asker,
                   struct broadcast_order_answer *out)
{
    char authorization[AUTHORIZATION_BYTES];
    AUTO(free_answer) struct http_answer answer = { 0 };
    const struct http_request request = {
        .method = way->method,
        .path = path,
        .authorization = authorization,
        .idempotency_key = order->key,
        .body = body,
        .body_bytes = strlen(body),
    };
    (void)snprintf(authorization, sizeof authorization, "Bearer %s", order->token);
    asker->ask(asker->arg, &request, &answer);
    translate(order, &answer, out);
    explicit_bzero(authorization, sizeof authorization);
}

void broadcast_order_answer(const Desg__V1__BroadcastOrder *order,
                            const struct broadcast_order_asker *asker,
                            struct broadcast_order_answer *out)
{
    assert(asker && asker->ask && out);
    struct way way;
    char path[PATH_BYTES];
    if (!order || !find_way(order, &way)) {
        say(order, 400, "That is no BroadcastOrder. Send one of what it can hold.", out);
        return;
    }
    if (!put_path(&way, path)) {
        say(order, 400, "The broadcast is named by an id of 16 bytes.", out);
        return;
    }
    if (strlen(order->token) > AUTHORIZATION_BYTES / 2) {
        say(order, 401, "The token is not known.", out);
        return;
    }
    char *body = body_of(order, &way);
    if (!body)
        say(order, 422,
            "The order holds what is not understood: text that is not UTF-8, or a member or value "
            "not known here.",
            out);
    else if (strlen(body) > HTTP_BODY_MAX_BYTES)
        say(order, 413, "The broadcast is too large.", out);
    else
        ask_as(order, &way, path, body, asker, out);
    free(body);
}
