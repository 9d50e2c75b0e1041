#include "cli/triage_files.h"

#include <assert.h>
#include <string.h>

#include "cli/triage_measure.h"
#include "cli/triage_words.h"
#include "triage/message_file.h"

enum { COMPLAINTS_SHOWN = 20, PROGRESS_EVERY = 500, SEVERITIES = 6, TRUTHS = 3, JUDGEMENTS = 2 };

static const char *const truth_words[TRUTHS] = { "unknown", "not-urgent", "urgent" };

struct side {
    struct triage_edition *edition;
    struct triage_measure *measure;
    struct verdict verdict; /* of the message in hand */
    int64_t took_ns;
};

struct run {
    const struct triage_files *files;
    struct side sides[2];
    size_t side_count;
    size_t seen;
    size_t left_out;
    size_t complaints;
    json_t *changes;
    json_int_t moves[SEVERITIES][SEVERITIES][TRUTHS];
    json_int_t lost;
    json_int_t found;
};

/* --- one message --- */

/* Each is judged twice and the quicker time counts: what else the machine does is not triage's. */
static void judge(struct side *side, const char *text)
{
    side->took_ns = INT64_MAX;
    for (int i = 0; i < JUDGEMENTS; i++) {
        int64_t took_ns = 0;
        triage_edition_judge(side->edition, text, &side->verdict, &took_ns);
        if (took_ns < side->took_ns)
            side->took_ns = took_ns;
    }
}

static void write_verdict(FILE *out, const struct labelled_message *message,
                          const Desg__V1__Verdict *verdict)
{
    json_t *reasons = json_array();
    for (size_t i = 0; i < verdict->n_reasons; i++)
        (void)json_array_append_new(reasons, json_string(verdict->reasons[i]->rule));
    json_t *line = json_pack("{s:s, s:s, s:s, s:b, s:f, s:s, s:s, s:s, s:o}", "id", message->id,
                             "truth", truth_words[message->urgent], "severity",
                             triage_severity_word((int)verdict->severity), "is_flagged",
                             (int)triage_is_urgent_lane(verdict->severity), "score",
                             (double)verdict->score, "category", verdict->category, "language",
                             triage_language_word((int)verdict->language), "restricted",
                             triage_restricted_word((int)verdict->restricted), "reasons", reasons);
    (void)json_dumpf(line, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)fputc('\n', out);
    json_decref(line);
}

static void note_change(struct run *self, const struct labelled_message *message)
{
    Desg__V1__Severity from = self->sides[0].verdict.message.severity;
    Desg__V1__Severity to = self->sides[1].verdict.message.severity;
    bool is_urgent = message->urgent == MESSAGE_URGENT;
    bool was_flagged = triage_is_urgent_lane(from);
    bool is_flagged = triage_is_urgent_lane(to);
    bool is_lost = is_urgent && was_flagged && !is_flagged;
    if (from == to || (unsigned)from >= SEVERITIES || (unsigned)to >= SEVERITIES)
        return;
    self->lost += is_lost;
    self->found += is_urgent && !was_flagged && is_flagged;
    self->moves[from][to][message->urgent]++;
    json_t *change = json_pack("{s:s, s:s, s:s, s:s, s:b}", "id", message->id, "from",
                               triage_severity_word((int)from), "to", triage_severity_word((int)to),
                               "truth", truth_words[message->urgent], "is_lost", (int)is_lost);
    (void)json_array_append_new(self->changes, change);
}

static void show_progress(const struct run *self)
{
    if (self->files->progress && self->seen % PROGRESS_EVERY == 0)
        (void)fprintf(self->files->progress, "\r%zu messages", self->seen);
}

static int take(void *arg, const struct labelled_message *message, struct error *err)
{
    struct run *self = arg;
    self->seen++;
    show_progress(self);
    if (self->files->is_held_out_only && !message_is_held_out(message->id)) {
        self->left_out++;
        return 0;
    }
    for (size_t i = 0; i < self->side_count; i++) {
        struct side *side = &self->sides[i];
        judge(side, message->text);
        if (triage_measure_add(side->measure, message, &side->verdict.message, side->took_ns,
                               err) != 0)
            return -1;
    }
    if (self->side_count > 1)
        note_change(self, message);
    if (self->files->verdicts)
        write_verdict(self->files->verdicts, message,
                      &self->sides[self->side_count - 1].verdict.message);
    return 0;
}

static void complain(void *arg, const char *text)
{
    struct run *self = arg;
    self->complaints++;
    if (self->complaints <= COMPLAINTS_SHOWN)
        (void)fprintf(self->files->complaints, "desg: %s; passed over\n", text);
    else if (self->complaints == COMPLAINTS_SHOWN + 1)
        (void)fprintf(self->files->complaints, "desg: further bad lines are only counted\n");
}

/* --- all of them --- */

static int read_all(struct run *self, const char *const *paths, size_t count, size_t *bad_lines,
                    struct error *err)
{
    struct message_reading reading = { .take = take, .complain = complain, .arg = self };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = message_file_read(paths[i], &reading, err);
    if (self->files->progress && self->seen >= PROGRESS_EVERY)
        (void)fprintf(self->files->progress, "\r%*s\r", 40, "");
    if (rc != 0)
        return -1;
    *bad_lines = reading.bad_lines;
    if (triage_measure_rows(self->sides[0].measure) > 0)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "there is nothing to measure: %zu lines read, %zu bad, "
                     "%zu not held out",
                     reading.rows + reading.bad_lines, reading.bad_lines, self->left_out);
}

static json_t *report_of(const struct run *self, const struct side *side, size_t bad_lines,
                         struct error *err)
{
    json_t *report = triage_measure_report(side->measure, err);
    if (!report)
        return NULL;
    (void)json_object_set_new(report, "edition", triage_edition_describe(side->edition));
    (void)json_object_set_new(report, "held_out_only", json_boolean(self->files->is_held_out_only));
    (void)json_object_set_new(report, "left_out", json_integer((json_int_t)self->left_out));
    (void)json_object_set_new(report, "bad_lines", json_integer((json_int_t)bad_lines));
    return report;
}

static json_t *describe_moves(const struct run *self)
{
    json_t *moves = json_array();
    for (int from = 0; from < SEVERITIES; from++)
        for (int to = 0; to < SEVERITIES; to++) {
            const json_int_t *rows = self->moves[from][to];
            json_int_t all = rows[0] + rows[1] + rows[2];
            if (all > 0)
                (void)json_array_append_new(
                    moves,
                    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "from", triage_severity_word(from),
                              "to", triage_severity_word(to), "rows", all, "urgent",
                              rows[MESSAGE_URGENT], "not_urgent", rows[MESSAGE_NOT_URGENT],
                              "unknown", rows[MESSAGE_URGENT_UNKNOWN]));
        }
    return moves;
}

static json_t *describe(const struct run *self, size_t bad_lines, struct error *err)
{
    json_t *report = report_of(self, &self->sides[0], bad_lines, err);
    if (self->side_count == 1 || !report)
        return report;
    json_t *new_report = report_of(self, &self->sides[1], bad_lines, err);
    if (!new_report) {
        json_decref(report);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:O}", "old", report, "new", new_report, "lost",
                     self->lost, "found", self->found, "moves", describe_moves(self), "changes",
                     self->changes);
}

json_t *triage_files_measure(const struct triage_files *self, const char *const *paths,
                             size_t count, struct error *err)
{
    assert(self && self->edition && self->complaints && paths && err);
    struct run run = { .files = self, .side_count = self->new_edition ? 2 : 1 };
    struct triage_edition *const editions[2] = { self->edition, self->new_edition };
    size_t bad_lines = 0;
    json_t *out = NULL;
    bool is_ready = true;
    run.changes = json_array();
    for (size_t i = 0; i < run.side_count; i++) {
        run.sides[i].edition = editions[i];
        run.sides[i].measure = triage_measure_new(self->by, triage_edition_rules(editions[i]), err);
        is_ready = is_ready && run.sides[i].measure;
    }
    if (is_ready && read_all(&run, paths, count, &bad_lines, err) == 0)
        out = describe(&run, bad_lines, err);
    for (size_t i = 0; i < run.side_count; i++)
        triage_measure_destroy(&run.sides[i].measure);
    json_decref(run.changes);
    return out;
}
