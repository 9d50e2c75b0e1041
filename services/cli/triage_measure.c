#include "cli/triage_measure.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/triage_words.h"
#include "triage/evaluation.h"

enum {
    SLOWEST_SHOWN = 10,
    GROUPS_MAX = 500, /* of one member; the rest are told apart no more */
    NOT_SAID = 255,
    NO_CLASS = UINT16_MAX,
    SEVERITIES = 6,
    LANGUAGES = 5
};

struct row {
    char *id;
    enum message_truth truth;
    float score;
    uint8_t severity;
    uint8_t restricted;       /* as said by triage */
    uint8_t restricted_truth; /* NOT_SAID */
    uint8_t language;
    uint8_t language_truth; /* LANGUAGE_UNSPECIFIED: another, or none */
    uint16_t category;      /* NO_CLASS */
    uint16_t category_truth;
    uint16_t groups[TRIAGE_MEASURE_BY_MAX]; /* from 1; 0: the message has no such member */
    uint32_t words;
    size_t bytes;
    int64_t took_ns;
};

struct grouping {
    char member[TRIAGE_MEASURE_NAME_BYTES];
    json_t *numbers; /* name → number from 1 */
};

struct triage_measure {
    struct row *rows;
    size_t count;
    size_t room;
    struct grouping by[TRIAGE_MEASURE_BY_MAX];
    size_t by_count;
    char *classes[EVALUATION_CLASSES_MAX];
    size_t class_count;
    json_t *not_ours; /* truths that are no category of the desk → rows */
};

/* --- life --- */

static int add_class(struct triage_measure *self, const char *name, struct error *err)
{
    for (size_t i = 0; i < self->class_count; i++) {
        if (strcmp(self->classes[i], name) == 0)
            return 0;
    }
    if (self->class_count == EVALUATION_CLASSES_MAX)
        return error_set(err, ERROR_CONFIG,
                         "the rules have more than %d categories: join some to measure them",
                         EVALUATION_CLASSES_MAX);
    self->classes[self->class_count] = strdup(name);
    if (!self->classes[self->class_count])
        return error_set(err, ERROR_SYSTEM, "no memory to measure");
    self->class_count++;
    return 0;
}

static int add_classes(struct triage_measure *self, const struct rule_set *rules, struct error *err)
{
    for (size_t i = 0; i < MESSAGE_CATEGORIES; i++) {
        if (add_class(self, message_categories[i], err) != 0)
            return -1;
    }
    for (size_t i = 0; i < rule_set_count(rules); i++) {
        if (add_class(self, rule_set_rule(rules, i)->category, err) != 0)
            return -1;
    }
    return 0;
}

static int add_by(struct triage_measure *self, const char *by, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    for (const char *from = by; *from != '\0';) {
        size_t length = strcspn(from, ",");
        struct grouping *grouping = &self->by[self->by_count];
        if (length == 0 || length >= sizeof grouping->member || strspn(from, allowed) < length)
            return error_set(err, ERROR_INVALID,
                             "--by takes members of messages joined by commas: write "
                             "source,lang,category,genre");
        if (self->by_count == TRIAGE_MEASURE_BY_MAX)
            return error_set(err, ERROR_INVALID, "--by takes at most %d members",
                             TRIAGE_MEASURE_BY_MAX);
        memcpy(grouping->member, from, length);
        grouping->numbers = json_object();
        self->by_count++;
        from += length + (from[length] == ',');
    }
    return 0;
}

struct triage_measure *triage_measure_new(const char *by, const struct rule_set *rules,
                                          struct error *err)
{
    assert(by && rules && err);
    struct triage_measure *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to measure");
        return NULL;
    }
    self->not_ours = json_object();
    if (add_by(self, by, err) != 0 || add_classes(self, rules, err) != 0)
        triage_measure_destroy(&self);
    return self;
}

void triage_measure_destroy(struct triage_measure **self_p)
{
    struct triage_measure *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->rows[i].id);
    for (size_t i = 0; i < self->by_count; i++)
        json_decref(self->by[i].numbers);
    for (size_t i = 0; i < self->class_count; i++)
        free(self->classes[i]);
    json_decref(self->not_ours);
    free(self->rows);
    free(self);
    *self_p = NULL;
}

size_t triage_measure_rows(const struct triage_measure *self)
{
    return self->count;
}

/* --- taking note --- */

static uint16_t class_of(const struct triage_measure *self, const char *name)
{
    for (size_t i = 0; i < self->class_count; i++) {
        if (strcmp(self->classes[i], name) == 0)
            return (uint16_t)i;
    }
    return NO_CLASS;
}

static uint8_t language_number(const char *word)
{
    for (int i = DESG__V1__LANGUAGE__LANGUAGE_EN; i <= DESG__V1__LANGUAGE__LANGUAGE_MIXED; i++) {
        if (strcmp(triage_language_word(i), word) == 0)
            return (uint8_t)i;
    }
    return DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
}

static uint8_t restricted_number(const char *word)
{
    if (!word)
        return NOT_SAID;
    for (int i = 0; i <= DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE; i++) {
        if (strcmp(triage_restricted_word(i), word) == 0)
            return (uint8_t)i;
    }
    return NOT_SAID;
}

/* As the set counted them, or what stands between white space. */
static uint32_t count_words(const struct labelled_message *message)
{
    const json_t *said = json_object_get(message->members, "words");
    if (json_is_integer(said) && json_integer_value(said) >= 0)
        return (uint32_t)json_integer_value(said);
    uint32_t words = 0;
    for (const char *at = message->text; *(at += strspn(at, " \t\r\n")) != '\0'; words++)
        at += strcspn(at, " \t\r\n");
    return words;
}

static uint16_t group_of(struct grouping *grouping, const struct labelled_message *message)
{
    const char *name = message_member(message, grouping->member);
    if (name[0] == '\0')
        return 0;
    const json_t *known = json_object_get(grouping->numbers, name);
    if (known)
        return (uint16_t)json_integer_value(known);
    size_t number = json_object_size(grouping->numbers) + 1;
    if (number > GROUPS_MAX ||
        json_object_set_new(grouping->numbers, name, json_integer((json_int_t)number)) != 0)
        return 0;
    return (uint16_t)number;
}

static int make_room(struct triage_measure *self, struct error *err)
{
    enum { ROOM_AT_FIRST = 1024 };
    if (self->count < self->room)
        return 0;
    size_t room = self->room ? self->room * 2 : ROOM_AT_FIRST;
    struct row *rows = realloc(self->rows, room * sizeof *rows);
    if (!rows)
        return error_set(err, ERROR_SYSTEM, "no memory for %zu messages", room);
    self->rows = rows;
    self->room = room;
    return 0;
}

static void note_foreign_category(struct triage_measure *self, const char *name)
{
    json_int_t rows = json_integer_value(json_object_get(self->not_ours, name));
    (void)json_object_set_new(self->not_ours, name, json_integer(rows + 1));
}

int triage_measure_add(struct triage_measure *self, const struct labelled_message *message,
                       const Desg__V1__Verdict *verdict, int64_t took_ns, struct error *err)
{
    if (make_room(self, err) != 0)
        return -1;
    struct row *row = &self->rows[self->count];
    *row = (struct row){
        .id = strdup(message->id),
        .truth = message->urgent,
        .score = verdict->score,
        .severity = (uint8_t)verdict->severity,
        .restricted = (uint8_t)verdict->restricted,
        .restricted_truth = restricted_number(message->restricted),
        .language = (uint8_t)verdict->language,
        .language_truth = language_number(message->language),
        .category = class_of(self, verdict->category),
        .category_truth = class_of(self, message->category),
        .words = count_words(message),
        .bytes = message->text_bytes,
        .took_ns = took_ns,
    };
    if (!row->id)
        return error_set(err, ERROR_SYSTEM, "no memory for a message's id");
    for (size_t i = 0; i < self->by_count; i++)
        row->groups[i] = group_of(&self->by[i], message);
    if (row->category_truth == NO_CLASS && message->category[0] != '\0')
        note_foreign_category(self, message->category);
    self->count++;
    return 0;
}

/* --- the report's parts --- */

static json_t *real_or_null(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *describe_interval(struct evaluation_interval interval)
{
    return json_pack("{s:o, s:o, s:o}", "value", real_or_null(interval.value), "low",
                     real_or_null(interval.low), "high", real_or_null(interval.high));
}

static json_t *describe_share(struct evaluation_share share)
{
    json_t *out = describe_interval(share.share);
    double whole = 0;
    bool is_whole = modf(share.hits, &whole) == 0.0;
    (void)json_object_set_new(out, "hits",
                              is_whole ? json_integer((json_int_t)whole) : json_real(share.hits));
    (void)json_object_set_new(out, "of", json_integer((json_int_t)share.of));
    return out;
}

static json_t *describe_flags(const struct evaluation_flags *flags)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "recall", describe_share(flags->recall), "precision",
                     describe_share(flags->precision), "f1", describe_interval(flags->f1),
                     "false_alarms", describe_share(flags->false_alarms));
}

/* Which rows a part is about: all, or those of one group. */
struct choice {
    size_t by;
    uint16_t group; /* 0: all */
};

static bool is_chosen(const struct row *row, const struct choice *choice)
{
    return choice->group == 0 || row->groups[choice->by] == choice->group;
}

/* The chosen rows whose truth is known, flagged from severity on. Returns how many. */
static size_t choose(const struct triage_measure *self, const struct choice *choice, int severity,
                     struct evaluation_row *out)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct row *row = &self->rows[i];
        if (row->truth == MESSAGE_URGENT_UNKNOWN || !is_chosen(row, choice))
            continue;
        out[count++] = (struct evaluation_row){
            .is_urgent = row->truth == MESSAGE_URGENT,
            .is_flagged = row->severity >= severity || row->severity == 0,
            .score = (double)row->score,
        };
    }
    return count;
}

static json_t *describe_order(const struct evaluation_row *rows, size_t count, struct error *err)
{
    static const int percents[] = { 5, 10, 20 };
    json_t *recall_at = json_object();
    struct evaluation_interval auc;
    int rc = evaluation_auc(rows, count, &auc, err);
    for (size_t i = 0; rc == 0 && i < sizeof percents / sizeof percents[0]; i++) {
        char key[8];
        struct evaluation_share recall;
        (void)snprintf(key, sizeof key, "%d", percents[i]);
        rc = evaluation_recall_at(rows, count, percents[i] / 100.0, &recall, err);
        if (rc == 0)
            (void)json_object_set_new(recall_at, key, describe_share(recall));
    }
    if (rc == 0)
        return json_pack("{s:o, s:o}", "auc", describe_interval(auc), "recall_at", recall_at);
    json_decref(recall_at);
    return NULL;
}

static void count_truths(const struct triage_measure *self, const struct choice *choice,
                         size_t truths[static 3], size_t *unknown_flagged)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct row *row = &self->rows[i];
        if (!is_chosen(row, choice))
            continue;
        truths[row->truth]++;
        *unknown_flagged += row->truth == MESSAGE_URGENT_UNKNOWN &&
                            triage_is_urgent_lane((Desg__V1__Severity)row->severity);
    }
}

/* Everything about urgency of the chosen rows. rows: room for all. */
static json_t *describe_choice(const struct triage_measure *self, const struct choice *choice,
                               struct evaluation_row *rows, struct error *err)
{
    struct evaluation_flags flags;
    size_t truths[3] = { 0 };
    size_t unknown_flagged = 0;
    count_truths(self, choice, truths, &unknown_flagged);
    size_t count = choose(self, choice, DESG__V1__SEVERITY__SEVERITY_REVIEW, rows);
    json_t *out = describe_order(rows, count, err);
    if (!out)
        return NULL;
    evaluation_flags(rows, count, &flags);
    (void)json_object_set_new(out, "flagged", describe_flags(&flags));
    (void)choose(self, choice, DESG__V1__SEVERITY__SEVERITY_URGENT, rows);
    evaluation_flags(rows, count, &flags);
    (void)json_object_set_new(out, "urgent_or_worse", describe_flags(&flags));
    const struct evaluation_share unknown =
        evaluation_share((double)unknown_flagged, truths[MESSAGE_URGENT_UNKNOWN]);
    (void)json_object_set_new(out, "unknown_flagged", describe_share(unknown));
    json_t *counts = json_pack("{s:I, s:I, s:I, s:I}", "rows",
                               (json_int_t)count + (json_int_t)truths[MESSAGE_URGENT_UNKNOWN],
                               "urgent", (json_int_t)truths[MESSAGE_URGENT], "not_urgent",
                               (json_int_t)truths[MESSAGE_NOT_URGENT], "unknown",
                               (json_int_t)truths[MESSAGE_URGENT_UNKNOWN]);
    (void)json_object_update_new(out, counts);
    return out;
}

static json_t *describe_groups(const struct triage_measure *self, struct evaluation_row *rows,
                               struct error *err)
{
    json_t *by = json_object();
    for (size_t i = 0; i < self->by_count; i++) {
        const char *name;
        json_t *number;
        json_t *groups = json_object();
        (void)json_object_set_new(by, self->by[i].member, groups);
        json_object_foreach(self->by[i].numbers, name, number)
        {
            const struct choice choice = { i, (uint16_t)json_integer_value(number) };
            json_t *group = describe_choice(self, &choice, rows, err);
            if (!group) {
                json_decref(by);
                return NULL;
            }
            (void)json_object_set_new(groups, name, group);
        }
    }
    return by;
}

static json_t *describe_severities(const struct triage_measure *self)
{
    static const char *const truth_words[] = { "unknown", "not_urgent", "urgent" };
    json_t *out = json_object();
    for (int severity = 1; severity < SEVERITIES; severity++) {
        json_int_t truths[3] = { 0 };
        json_t *row = json_object();
        for (size_t i = 0; i < self->count; i++) {
            if (self->rows[i].severity == severity)
                truths[self->rows[i].truth]++;
        }
        for (int i = MESSAGE_URGENT; i >= MESSAGE_URGENT_UNKNOWN; i--)
            (void)json_object_set_new(row, truth_words[i], json_integer(truths[i]));
        (void)json_object_set_new(out, triage_severity_word(severity), row);
    }
    return out;
}

/* --- categories --- */

static const char *class_name(const struct triage_measure *self, size_t class)
{
    return class < self->class_count ? self->classes[class] : "(other)";
}

static json_t *describe_class(const struct evaluation_class *class)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "rows", (json_int_t) class->rows, "said",
                     (json_int_t) class->said, "right", (json_int_t) class->right, "precision",
                     real_or_null(class->precision), "recall", real_or_null(class->recall), "f1",
                     real_or_null(class->f1));
}

/* What was taken for what, the most frequent first. */
static int by_rows(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a;
    const json_t *right = *(json_t *const *)b;
    json_int_t difference = json_integer_value(json_object_get(right, "rows")) -
                            json_integer_value(json_object_get(left, "rows"));
    return difference < 0 ? -1 : difference > 0;
}

static json_t *describe_confusion(const struct triage_measure *self,
                                  const struct evaluation_pair *pairs, size_t count)
{
    enum { CELLS = EVALUATION_CLASSES_MAX * (EVALUATION_CLASSES_MAX + 1) };
    json_int_t cells[EVALUATION_CLASSES_MAX][EVALUATION_CLASSES_MAX + 1] = { { 0 } };
    json_t *found[CELLS];
    size_t found_count = 0;
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t said = pairs[i].said < self->class_count ? pairs[i].said : self->class_count;
        cells[pairs[i].truth][said]++;
    }
    for (size_t truth = 0; truth < self->class_count; truth++)
        for (size_t said = 0; said <= self->class_count; said++)
            if (truth != said && cells[truth][said] > 0)
                found[found_count++] =
                    json_pack("{s:s, s:s, s:I}", "truth", class_name(self, truth), "said",
                              class_name(self, said), "rows", cells[truth][said]);
    if (found_count > 0)
        qsort(found, found_count, sizeof(void *), by_rows);
    for (size_t i = 0; i < found_count; i++)
        (void)json_array_append_new(out, found[i]);
    return out;
}

static json_t *describe_categories(const struct triage_measure *self, struct evaluation_pair *pairs)
{
    struct evaluation_class classes[EVALUATION_CLASSES_MAX];
    size_t count = 0;
    size_t right = 0;
    json_t *by_name = json_object();
    for (size_t i = 0; i < self->count; i++) {
        const struct row *row = &self->rows[i];
        if (row->category_truth == NO_CLASS)
            continue;
        pairs[count++] = (struct evaluation_pair){ row->category_truth, row->category };
        right += row->category_truth == row->category;
    }
    evaluation_classes(pairs, count, self->class_count, classes);
    for (size_t i = 0; i < self->class_count; i++) {
        if (classes[i].rows + classes[i].said > 0)
            (void)json_object_set_new(by_name, self->classes[i], describe_class(&classes[i]));
    }
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:O}", "rows", (json_int_t)count, "right",
                     describe_share(evaluation_share((double)right, count)), "macro_f1",
                     describe_interval(evaluation_macro_f1(pairs, count, self->class_count)),
                     "classes", by_name, "confusion", describe_confusion(self, pairs, count),
                     "not_ours", self->not_ours);
}

/* --- restricted, language, time --- */

static json_t *describe_restricted(const struct triage_measure *self)
{
    size_t rows = 0;
    size_t restricted = 0;
    size_t said = 0;
    size_t both = 0;
    size_t right[3] = { 0 };
    size_t of[3] = { 0 };
    json_t *by_class = json_object();
    for (size_t i = 0; i < self->count; i++) {
        const struct row *row = &self->rows[i];
        if (row->restricted_truth == NOT_SAID)
            continue;
        rows++;
        restricted += row->restricted_truth != 0;
        said += row->restricted != 0;
        both += row->restricted_truth != 0 && row->restricted != 0;
        of[row->restricted_truth]++;
        right[row->restricted_truth] += row->restricted == row->restricted_truth;
    }
    for (int i = 0; i < 3; i++)
        (void)json_object_set_new(by_class, triage_restricted_word(i),
                                  describe_share(evaluation_share((double)right[i], of[i])));
    return json_pack("{s:I, s:o, s:o, s:o}", "rows", (json_int_t)rows, "recall",
                     describe_share(evaluation_share((double)both, restricted)), "precision",
                     describe_share(evaluation_share((double)both, said)), "right_class", by_class);
}

struct words_range {
    const char *key;
    uint32_t from;
    uint32_t to;
};

/* truth 0: English and Welsh. */
static json_t *describe_language(const struct triage_measure *self, uint8_t truth,
                                 const struct words_range *range)
{
    size_t of = 0;
    size_t right = 0;
    size_t unsure = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct row *row = &self->rows[i];
        bool is_meant = truth ? row->language_truth == truth
                              : row->language_truth == DESG__V1__LANGUAGE__LANGUAGE_EN ||
                                    row->language_truth == DESG__V1__LANGUAGE__LANGUAGE_CY;
        if (!is_meant || row->words < range->from || row->words > range->to)
            continue;
        of++;
        right += row->language == row->language_truth;
        unsure += row->language == DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    }
    json_t *out = describe_share(evaluation_share((double)right, of));
    (void)json_object_set_new(out, "unsure", json_integer((json_int_t)unsure));
    return out;
}

static json_t *describe_languages(const struct triage_measure *self)
{
    static const struct words_range ranges[] = {
        { "1", 0, 1 }, { "2", 2, 2 }, { "3-5", 3, 5 }, { "6+", 6, UINT32_MAX }
    };
    static const struct words_range all = { "all", 0, UINT32_MAX };
    json_t *by_words = json_object();
    json_t *by_language = json_object();
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        (void)json_object_set_new(by_words, ranges[i].key, describe_language(self, 0, &ranges[i]));
    for (int i = DESG__V1__LANGUAGE__LANGUAGE_EN; i <= DESG__V1__LANGUAGE__LANGUAGE_MIXED; i++)
        (void)json_object_set_new(by_language, triage_language_word(i),
                                  describe_language(self, (uint8_t)i, &all));
    return json_pack("{s:o, s:o}", "by_words", by_words, "by_language", by_language);
}

static int slower_first(const void *a, const void *b)
{
    const struct row *left = *(const struct row *const *)a;
    const struct row *right = *(const struct row *const *)b;
    return left->took_ns > right->took_ns ? -1 : left->took_ns < right->took_ns;
}

static double us_of(int64_t ns)
{
    static const double ns_per_us = 1000;
    return (double)ns / ns_per_us;
}

static json_t *describe_slowest(const struct row *const *slowest, size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count && i < SLOWEST_SHOWN; i++)
        (void)json_array_append_new(out, json_pack("{s:s, s:f, s:I}", "id", slowest[i]->id, "us",
                                                   us_of(slowest[i]->took_ns), "bytes",
                                                   (json_int_t)slowest[i]->bytes));
    return out;
}

static json_t *describe_time(const struct triage_measure *self, struct error *err)
{
    const struct row **slowest = calloc(self->count + 1, sizeof(void *));
    int64_t *sorted_ns = calloc(self->count + 1, sizeof *sorted_ns);
    json_t *out = NULL;
    if (!slowest || !sorted_ns) {
        (void)error_set(err, ERROR_SYSTEM, "no memory to put times in order");
    } else {
        for (size_t i = 0; i < self->count; i++)
            slowest[i] = &self->rows[i];
        qsort(slowest, self->count, sizeof(void *), slower_first);
        for (size_t i = 0; i < self->count; i++)
            sorted_ns[self->count - 1 - i] = slowest[i]->took_ns;
        out = json_pack("{s:f, s:f, s:o}", "median",
                        us_of(evaluation_quantile(sorted_ns, self->count, 0.5)), "p99",
                        us_of(evaluation_quantile(sorted_ns, self->count, 0.99)), "slowest",
                        describe_slowest(slowest, self->count));
    }
    free(slowest);
    free(sorted_ns);
    return out;
}

/* --- all of it --- */

static json_t *fill_report(const struct triage_measure *self, struct evaluation_row *rows,
                           struct evaluation_pair *pairs, struct error *err)
{
    const struct choice all = { 0 };
    json_t *report = describe_choice(self, &all, rows, err);
    json_t *by = report ? describe_groups(self, rows, err) : NULL;
    json_t *time_us = by ? describe_time(self, err) : NULL;
    if (!time_us) {
        json_decref(report);
        json_decref(by);
        return NULL;
    }
    (void)json_object_set_new(report, "by", by);
    (void)json_object_set_new(report, "severity", describe_severities(self));
    (void)json_object_set_new(report, "category", describe_categories(self, pairs));
    (void)json_object_set_new(report, "restricted", describe_restricted(self));
    (void)json_object_set_new(report, "language", describe_languages(self));
    (void)json_object_set_new(report, "time_us", time_us);
    return report;
}

json_t *triage_measure_report(const struct triage_measure *self, struct error *err)
{
    struct evaluation_row *rows = calloc(self->count + 1, sizeof *rows);
    struct evaluation_pair *pairs = calloc(self->count + 1, sizeof *pairs);
    json_t *report = NULL;
    if (rows && pairs)
        report = fill_report(self, rows, pairs, err);
    else
        (void)error_set(err, ERROR_SYSTEM, "no memory for a report");
    free(rows);
    free(pairs);
    return report;
}
