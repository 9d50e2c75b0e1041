#include "route/answers.h"

#include <stdlib.h>
#include <string.h>

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_texts(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

/* Zero for answers that may share a packet. */
static int compare_group(const struct answer *a, const struct answer *b)
{
    int order = compare_numbers(a->to.peer, b->to.peer);
    if (order == 0)
        order = memcmp(a->to.source.bytes, b->to.source.bytes, ID_BYTES);
    if (order == 0)
        order = compare_numbers(a->to.incarnation, b->to.incarnation);
    if (order == 0)
        order = (int)a->kind - (int)b->kind;
    return order != 0 ? order : compare_texts(a->reason, b->reason);
}

static int by_group(const void *a, const void *b)
{
    const struct answer *left = a;
    const struct answer *right = b;
    int order = compare_group(left, right);
    if (order == 0)
        order = compare_numbers(left->to.sequence, right->to.sequence);
    return order != 0 ? order : compare_numbers(left->to.index, right->to.index);
}

/* The messages of one packet, on the stack of the sender. */
struct letter {
    Desg__V1__Position positions[LINK_BATCH_MAX_ITEMS];
    union {
        Desg__V1__DoneItem done[LINK_BATCH_MAX_ITEMS];
        Desg__V1__BusyItem busy[LINK_BATCH_MAX_ITEMS];
    } items;
    void *pointers[LINK_BATCH_MAX_ITEMS];
};

static ProtobufCBinaryData source_of(const struct answer *answer)
{
    return (ProtobufCBinaryData){ ID_BYTES, (uint8_t *)answer->to.source.bytes };
}

static void write_positions(struct letter *letter, const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        desg__v1__position__init(&letter->positions[i]);
        letter->positions[i].sequence = answers[i].to.sequence;
        letter->positions[i].index = answers[i].to.index;
    }
}

static void send_done(struct letter *letter, const struct answer *answers, size_t count,
                      const char *history, answers_send_fn *send, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        Desg__V1__DoneItem *item = &letter->items.done[i];
        desg__v1__done_item__init(item);
        item->position = &letter->positions[i];
        item->outcome = answers[i].outcome;
        item->verdict =
            (ProtobufCBinaryData){ answers[i].verdict_length, (uint8_t *)answers[i].verdict };
        letter->pointers[i] = item;
    }
    Desg__V1__Done done = DESG__V1__DONE__INIT;
    done.source = source_of(answers);
    done.incarnation = answers->to.incarnation;
    done.history = (char *)history;
    done.n_items = count;
    done.items = (Desg__V1__DoneItem **)letter->pointers;
    Desg__V1__Packet packet = link_packet_done(&done);
    send(arg, answers->to.peer, &packet);
}

static void send_busy(struct letter *letter, const struct answer *answers, size_t count,
                      answers_send_fn *send, void *arg)
{
    for (size_t i = 0; i < count; i++) {
        Desg__V1__BusyItem *item = &letter->items.busy[i];
        desg__v1__busy_item__init(item);
        item->position = &letter->positions[i];
        item->is_alerted = answers[i].is_alerted;
        letter->pointers[i] = item;
    }
    Desg__V1__Busy busy = DESG__V1__BUSY__INIT;
    busy.source = source_of(answers);
    busy.incarnation = answers->to.incarnation;
    busy.n_items = count;
    busy.items = (Desg__V1__BusyItem **)letter->pointers;
    busy.reason = (char *)(answers->reason ? answers->reason : "");
    Desg__V1__Packet packet = link_packet_busy(&busy);
    send(arg, answers->to.peer, &packet);
}

static void send_refused(struct letter *letter, const struct answer *answers, size_t count,
                         answers_send_fn *send, void *arg)
{
    for (size_t i = 0; i < count; i++)
        letter->pointers[i] = &letter->positions[i];
    Desg__V1__Refused refused = DESG__V1__REFUSED__INIT;
    refused.source = source_of(answers);
    refused.incarnation = answers->to.incarnation;
    refused.n_positions = count;
    refused.positions = (Desg__V1__Position **)letter->pointers;
    refused.reason = (char *)(answers->reason ? answers->reason : "");
    Desg__V1__Packet packet = link_packet_refused(&refused);
    send(arg, answers->to.peer, &packet);
}

static void send_group(const struct answer *answers, size_t count, const char *history,
                       answers_send_fn *send, void *arg)
{
    struct letter letter;
    write_positions(&letter, answers, count);
    switch (answers->kind) {
    case ANSWER_DONE:
        send_done(&letter, answers, count, history, send, arg);
        break;
    case ANSWER_BUSY:
        send_busy(&letter, answers, count, send, arg);
        break;
    case ANSWER_REFUSED:
        send_refused(&letter, answers, count, send, arg);
        break;
    }
}

void answers_send(struct answer *answers, size_t count, const char *history, answers_send_fn *send,
                  void *arg)
{
    qsort(answers, count, sizeof *answers, by_group);
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count && end - first < LINK_BATCH_MAX_ITEMS &&
               compare_group(&answers[first], &answers[end]) == 0)
            end++;
        send_group(&answers[first], end - first, history, send, arg);
        first = end;
    }
}
