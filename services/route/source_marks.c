#include "route/source_marks.h"

#include <stdlib.h>
#include <string.h>

#include "log/log.h"

struct source_marks {
    struct store *store;
    struct watch *watch;
};

struct source_marks *source_marks_new(struct store *store, struct watch *watch)
{
    struct source_marks *self = calloc(1, sizeof *self);
    if (!self)
        abort(); /* start-up only */
    self->store = store;
    self->watch = watch;
    return self;
}

void source_marks_destroy(struct source_marks **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static bool take_source(const ProtobufCBinaryData *bytes, struct id *source)
{
    if (bytes->len != ID_BYTES) {
        log_warn("source_refused", KV("bytes", bytes->len));
        return false;
    }
    memcpy(source->bytes, bytes->data, ID_BYTES);
    return true;
}

static void send_packet(struct link *link, link_peer peer, const Desg__V1__Packet *packet)
{
    struct error err = { 0 };
    if (link_send(link, peer, packet, &err) != 0)
        log_debug("answer_not_sent", KV("error", err.text));
}

void source_marks_hello(struct source_marks *self, struct link *link, link_peer peer,
                        const Desg__V1__Hello *hello, bool is_silent)
{
    struct id source;
    if (!take_source(&hello->source, &source))
        return;
    char history[STORE_HISTORY_BYTES] = "";
    struct store_mark mark = { 0 };
    struct error err = { 0 };
    if (!is_silent && store_hello(self->store, &source, &mark, history, &err) != 0) {
        history[0] = '\0';
        watch_report(self->watch, store_problem(self->store));
    }
    Desg__V1__History answer = DESG__V1__HISTORY__INIT;
    answer.source = hello->source;
    answer.history = history;
    answer.mark_incarnation = mark.incarnation;
    answer.mark_sequence = mark.sequence;
    answer.number = hello->number;
    Desg__V1__Packet packet = link_packet_history(&answer);
    send_packet(link, peer, &packet);
}

void source_marks_mark(struct source_marks *self, struct link *link, link_peer peer,
                       const Desg__V1__Mark *mark, bool is_silent)
{
    struct id source;
    if (!take_source(&mark->source, &source))
        return;
    char history[STORE_HISTORY_BYTES] = "";
    bool is_stored = false;
    struct error err = { 0 };
    bool is_history = strlen(mark->history) == STORE_HISTORY_BYTES - 1;
    if (is_history && !is_silent) {
        memcpy(history, mark->history, STORE_HISTORY_BYTES);
        const struct store_mark wanted = { mark->incarnation, mark->sequence };
        const struct store_mark previous = { mark->previous_incarnation, mark->previous_sequence };
        if (store_set_mark(self->store, &source, &wanted, &previous, history, &is_stored, &err) !=
            0) {
            history[0] = '\0';
            watch_report(self->watch, store_problem(self->store));
        }
    }
    Desg__V1__Marked answer = DESG__V1__MARKED__INIT;
    answer.source = mark->source;
    answer.history = history;
    answer.incarnation = mark->incarnation;
    answer.sequence = mark->sequence;
    answer.is_stored = is_stored;
    answer.number = mark->number;
    Desg__V1__Packet packet = link_packet_marked(&answer);
    send_packet(link, peer, &packet);
}
