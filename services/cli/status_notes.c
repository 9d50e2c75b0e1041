#include "cli/status_notes.h"

#include <stdio.h>
#include <string.h>

#include "cli/answer.h"

enum { MINUTE_MS = 60000, OUTBOX_SLOW_MS = 10 * MINUTE_MS };

static int64_t number_at(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void add(json_t *notes, const char *state, json_t *text)
{
    (void)json_array_append_new(notes, json_pack("{s:s, s:o}", "state", state, "text", text));
}

static void note_redis(json_t *notes, const json_t *redis)
{
    const char *state = answer_text(redis, "state");
    const char *problem = answer_text(redis, "problem");
    if (*state && strcmp(state, "ready") != 0)
        add(notes, "redis-away", json_sprintf("Redis: %s", *problem ? problem : state));
}

/* prefix: of the states and whose journal it is, "" for a service's own. */
static void note_journal(json_t *notes, const json_t *journal, const char *prefix)
{
    static const struct {
        const char *journal_state;
        const char *state;
        const char *text;
    } words[] = {
        { "getting-full", "journal-getting-full",
          "journal is getting full: what is finished is deleted early" },
        { "full", "journal-full", "journal is full: nothing new is kept" },
        { "dead", "journal-dead", "journal failed twice: nothing can be stored; look at the disk" },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(answer_text(journal, "state"), words[i].journal_state) == 0) {
            char state[48];
            (void)snprintf(state, sizeof state, "%s%s%s", prefix, *prefix ? "-" : "",
                           words[i].state);
            add(notes, state,
                json_sprintf("the %s%s%s", prefix, *prefix ? " " : "", words[i].text));
        }
}

static void note_classify(json_t *notes, const json_t *detail)
{
    const json_t *peers = json_object_get(detail, "peers");
    if (number_at(peers, "ingest") == 0)
        add(notes, "no-ingest", json_string("no ingest is connected: it gets nothing to judge"));
    if (number_at(peers, "route_urgent") == 0)
        add(notes, "no-route",
            json_string("no route process is connected: urgent messages go to dispatch by notify, "
                        "the rest waits at ingest"));
    if (number_at(peers, "notify") == 0)
        add(notes, "notify-away",
            json_string("no notify process is connected: without route it could alert nobody"));
    if (json_is_false(json_object_get(json_object_get(detail, "rules"), "is_last_reload_good")))
        add(notes, "rules-refused",
            json_string("the newest rules are bad: the ones before stay in use"));
}

static void note_route(json_t *notes, const json_t *detail)
{
    const json_t *lanes = json_object_get(detail, "lanes");
    const char *name;
    const json_t *lane;
    int64_t waiting = 0;
    json_object_foreach((json_t *)lanes, name, lane) waiting +=
        number_at(lane, "waiting_for_notify");
    if (waiting > 0)
        add(notes, "notify-away",
            json_sprintf("notify does not answer: %" JSON_INTEGER_FORMAT
                         " alerts past Redis wait for it",
                         (json_int_t)waiting));
}

static void note_notify(json_t *notes, const json_t *detail)
{
    static const struct {
        const char *key;
        const char *state;
        const char *text;
    } counts[] = {
        { "alerts_unaccepted", "alerts-unaccepted", "alerts not accepted by dispatch" },
        { "alerts_unacknowledged", "alerts-unacknowledged",
          "alerts nobody in dispatch has acknowledged: telephone" },
        { "alerts_unstored", "alerts-unstored", "alerts not in notify's journal" },
    };
    const char *dispatch = answer_text(json_object_get(detail, "dispatch"), "state");
    if (*dispatch && strcmp(dispatch, "up") != 0)
        add(notes, "dispatch-away",
            json_string("dispatch does not take alerts: they are tried again, also by the second "
                        "path"));
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (number_at(detail, counts[i].key) > 0)
            add(notes, counts[i].state,
                json_sprintf("%" JSON_INTEGER_FORMAT " %s",
                             (json_int_t)number_at(detail, counts[i].key), counts[i].text));
    if (json_is_true(json_object_get(json_object_get(detail, "standing_test"), "is_failed")))
        add(notes, "standing-test-failed",
            json_string("the last test message did not come back from dispatch"));
}

static void note_put_aside(json_t *notes, const json_t *put_aside)
{
    const json_t *first = json_array_get(json_object_get(put_aside, "oldest"), 0);
    if (number_at(put_aside, "count") == 0)
        return;
    add(notes, "facts-put-aside",
        json_sprintf("%" JSON_INTEGER_FORMAT
                     " records of what was decided are not in Redis, which refuses them; they stay "
                     "in the journal. The first, at place %" JSON_INTEGER_FORMAT
                     ": %s. Report it; what keeps them out mended, restart this process: it tries "
                     "each again",
                     (json_int_t)number_at(put_aside, "count"),
                     (json_int_t)number_at(first, "sequence"), answer_text(first, "problem")));
}

/* desk and notify: what their journals hold and Redis has not got yet. */
static void note_projection(json_t *notes, const json_t *projector)
{
    note_put_aside(notes, json_object_get(projector, "put_aside"));
    if (!projector || json_is_true(json_object_get(projector, "is_redis_away")))
        return; /* said as such */
    if (!json_is_true(json_object_get(projector, "is_caught_up")))
        add(notes, "facts-replaying",
            json_sprintf("%" JSON_INTEGER_FORMAT
                         " records of what was decided are still to be applied in Redis",
                         (json_int_t)number_at(projector, "behind")));
}

static void note_blocked(json_t *notes, const json_t *blocked)
{
    size_t index;
    const json_t *place;
    json_array_foreach(blocked, index, place) add(
        notes, "account-blocked",
        json_sprintf("%s is blocked%s%s: renew its token, or lift the platform's restriction; it "
                     "goes on by itself",
                     answer_text(place, "place"), *answer_text(place, "problem") ? ": " : "",
                     answer_text(place, "problem")));
}

static void note_slow(json_t *notes, const json_t *oldest)
{
    const char *kind;
    const json_t *age;
    json_object_foreach((json_t *)oldest, kind, age) if (json_integer_value(age) > OUTBOX_SLOW_MS)
        add(notes, "outbox-slow",
            json_sprintf("what goes out waits: of the kind %s the oldest for %" JSON_INTEGER_FORMAT
                         " minutes",
                         kind, json_integer_value(age) / MINUTE_MS));
}

static void note_down(json_t *notes, const json_t *places)
{
    const char *name;
    const json_t *place;
    json_object_foreach((json_t *)places, name,
                        place) if (json_is_true(json_object_get(place, "down")))
        add(notes, "platform-down",
            json_sprintf("%s does not answer: what waits for it "
                         "goes out later",
                         name));
}

/* notify: replies and broadcasts. A freeze is told by Redis, at the top. */
static void note_outbox(json_t *notes, const json_t *outbox)
{
    int64_t unknown = number_at(outbox, "unknown");
    note_journal(notes, json_object_get(outbox, "journal"), "outbox");
    note_blocked(notes, json_object_get(outbox, "blocked"));
    note_down(notes, json_object_get(outbox, "places"));
    note_slow(notes, json_object_get(outbox, "oldest_ms"));
    if (unknown > 0)
        add(notes, "unknown-waiting",
            json_sprintf("%" JSON_INTEGER_FORMAT
                         " sent or not, nobody knows: a person has to say, see desg unknown",
                         (json_int_t)unknown));
    if (outbox)
        note_projection(notes, json_object_get(outbox, "projector"));
}

static void note_feed(json_t *notes, const json_t *feed)
{
    const char *state = answer_text(feed, "state");
    if (strcmp(state, "last-known") == 0)
        add(notes, "feed-stale",
            json_string("the public feed shows what it knew last: Redis has not been read since"));
    else if (strcmp(state, "empty") == 0)
        add(notes, "feed-empty",
            json_string("the public feed has nothing to show: Redis could not be read yet"));
}

json_t *status_notes(const json_t *status)
{
    const json_t *detail = json_object_get(status, "detail");
    const char *service = answer_text(status, "service");
    json_t *own = json_object_get(detail, "degraded");
    json_t *notes = json_is_array(own) ? json_deep_copy(own) : json_array();
    if (json_is_array(own))
        return notes;
    note_redis(notes, json_object_get(detail, "redis"));
    note_journal(notes, json_object_get(detail, "journal"), "");
    note_projection(notes, json_object_get(detail, "projector"));
    if (strcmp(service, "classify") == 0)
        note_classify(notes, detail);
    if (strcmp(service, "route") == 0)
        note_route(notes, detail);
    if (strcmp(service, "notify") == 0) {
        note_notify(notes, detail);
        note_outbox(notes, json_object_get(detail, "outbox"));
        note_feed(notes, json_object_get(detail, "feed"));
    }
    if (strcmp(answer_text(status, "state"), "draining") == 0)
        add(notes, "draining", json_string("draining: it finishes what is in hand and ends"));
    return notes;
}
