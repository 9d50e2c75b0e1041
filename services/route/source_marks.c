#include "route/source_marks.h"

#include <string.h>

#include "log/log.h"

static bool take_source(const ProtobufCBinaryData *bytes, struct id *source)
{
    if (bytes->len != ID_BYTES) {
        log_warn("source_refused", KV("bytes", bytes->len));
        return false;
    }
    memcpy(source->bytes, bytes->data, ID_BYTES);
    return true;
}

static void send_packet(const struct route_hands *hands, link_peer peer,
                        const Desg__V1__Packet *packet)
{
    struct error err = { 0 };
    if (hands->answer(hands->arg, peer, packet, &err) != 0)
        log_debug("answer_not_sent", KV("error", err.text));
}

void source_marks_hello(const struct route_hands *hands, link_peer peer,
                        const Desg__V1__Hello *hello)
{
    struct id source;
    if (!take_source(&hello->source, &source))
        return;
    char history[STORE_HISTORY_BYTES] = "";
    struct store_mark mark = { 0 };
    struct error err = { 0 };
    bool is_silent = hands->is_silent(hands->arg);
    if (!is_silent && hands->hello(hands->arg, &source, &mark, history, &err) != 0) {
        history[0] = '\0';
        hands->report(hands->arg, hands->problem(hands->arg));
    }
    Desg__V1__History answer = DESG__V1__HISTORY__INIT;
    answer.source = hello->source;
    answer.history = history;
    answer.mark_incarnation = mark.incarnation;
    answer.mark_sequence = mark.sequence;
    answer.mark_beat = mark.beat;
    answer.number = hello->number;
    Desg__V1__Packet packet = link_packet_history(&answer);
    send_packet(hands, peer, &packet);
}

static bool is_newest(struct source_marks *self, const struct id *source,
                      const Desg__V1__Mark *mark)
{
    uint64_t start = mark->beat - mark->number;
    size_t at = 0;
    while (at < SOURCE_MARKS_MAX && memcmp(&self->newest[at].source, source, sizeof *source) != 0)
        at++;
    if (at == SOURCE_MARKS_MAX)
        at = self->next++ % SOURCE_MARKS_MAX;
    else if (self->newest[at].start == start && mark->number <= self->newest[at].number)
        return false;
    self->newest[at].source = *source;
    self->newest[at].start = start;
    self->newest[at].number = mark->number;
    return true;
}

void source_marks_mark(struct source_marks *self, const struct route_hands *hands, link_peer peer,
                       const Desg__V1__Mark *mark)
{
    struct id source;
    if (!take_source(&mark->source, &source) || !is_newest(self, &source, mark))
        return;
    char history[STORE_HISTORY_BYTES] = "";
    bool is_stored = false;
    struct error err = { 0 };
    bool is_history = strlen(mark->history) == STORE_HISTORY_BYTES - 1;
    if (is_history && !hands->is_silent(hands->arg)) {
        memcpy(history, mark->history, STORE_HISTORY_BYTES);
        const struct store_mark wanted = { mark->incarnation, mark->sequence, mark->beat };
        const struct store_mark previous = { mark->previous_incarnation, mark->previous_sequence,
                                             mark->previous_beat };
        if (hands->set_mark(hands->arg, &source, &wanted, &previous, history, &is_stored, &err) !=
            0) {
            history[0] = '\0';
            hands->report(hands->arg, hands->problem(hands->arg));
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
    send_packet(hands, peer, &packet);
}
