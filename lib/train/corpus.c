#include "train/corpus.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "triage/evidence.h"
#include "triage/features.h"
#include "triage/message_file.h"
#include "triage/normalise.h"
#include "triage/scan.h"

struct set {
    const char *name;
    bool is_measured_only;
};
static const struct set sets[] = {
    { "help.jsonl", false },
    { "noise.jsonl", false },
    { "lid.jsonl", false },
    { "figurative.jsonl", true },
};

struct eyes { /* what looks for rules; all NULL: nothing does */
    struct rule_set *rules;
    struct scanner *scanner;
    struct evidence_map *map;
};

struct reading {
    struct corpus *corpus;
    const struct eyes *eyes;
    struct normalised *window;
    const struct set *set; /* NULL: our own messages */
    size_t rows;
    size_t held_out;
    char complaint[256]; /* the first */
};

_Static_assert((int)MESSAGE_CATEGORIES <= (int)LINEAR_CATEGORIES_MAX, "room for all categories");

void corpus_destroy(struct corpus **self_p)
{
    struct corpus *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free(self->rows[i].text);
    free(self->rows);
    json_decref(self->files);
    free(self);
    *self_p = NULL;
}

bool corpus_row_teaches_urgent(const struct corpus_row *row)
{
    return !row->is_held_out && row->urgent != CORPUS_UNKNOWN;
}

/* Rules were written with these in view: what they find there says nothing of how far they are to
 * be trusted. */
static bool are_rules_tuned_to(const struct labelled_message *message)
{
    return strcmp(message->source, "desk-hand") == 0 ||
           strcmp(message->source, "desk-template") == 0;
}

/* Who wrote without knowing the rules is in one fold with all they wrote: a model is measured, and
 * its limits are chosen, on writers it never saw. -1: not one of those. */
static int fold_of_writer(const struct labelled_message *message)
{
    static const struct {
        const char *source;
        const char *language; /* NULL: any */
        int fold;
    } writers[] = {
        { "desk-a", NULL, 0 },      { "desk-b", NULL, 1 },      { "desk-scenes", NULL, 2 },
        { "desk-voices", "en", 3 }, { "desk-voices", NULL, 4 }, { "desk-c1", NULL, 2 },
        { "desk-c2", NULL, 3 },     { "desk-c3", NULL, 4 },     { "desk-c4", NULL, 2 },
        { "desk-c5", NULL, 4 },     { "desk-d1", NULL, 0 },     { "desk-d2", NULL, 1 },
        { "desk-d3", NULL, 2 },     { "desk-d5", NULL, 4 },     { "desk-d6", NULL, 2 },
        { "desk-d7", NULL, 0 },     { "desk-e1", NULL, 3 },     { "desk-e2", NULL, 1 },
        { "desk-e3", NULL, 0 },     { "desk-e4", NULL, 3 },     { "desk-e5", NULL, 1 },
        { "desk-e6", NULL, 4 },     { "desk-e7", NULL, 2 },
    };
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        if (strcmp(writers[i].source, message->source) == 0 &&
            (!writers[i].language || strcmp(writers[i].language, message->language) == 0))
            return writers[i].fold;
    }
    return -1;
}

/* Messages of one template, and neighbours in a file, share a fold: what was written together is
 * not measured by each other. */
static unsigned fold_of_id(const char *id)
{
    enum { NEIGHBOURS = 16 };
    size_t end = strlen(id);
    size_t start = end;
    while (start > 0 && id[start - 1] >= '0' && id[start - 1] <= '9')
        start--;
    unsigned long number = strtoul(id + start, NULL, 10);
    bool is_template = strncmp(id, "hand", strlen("hand")) != 0;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < start; i++)
        hash = (hash ^ (unsigned char)id[i]) * 16777619U;
    if (!is_template || start == 0 || strchr(id, ':'))
        hash += (uint32_t)(number / NEIGHBOURS) * 2654435761U;
    return (hash >> 8) % CORPUS_FOLDS;
}

static unsigned fold_of(const struct labelled_message *message)
{
    int fold = fold_of_writer(message);
    return fold >= 0 ? (unsigned)fold : fold_of_id(message->id);
}

static enum corpus_kind kind_of(const struct reading *reading,
                                const struct labelled_message *message)
{
    static const struct {
        const char *set;
        const char *source; /* NULL: any */
        enum corpus_kind kind;
    } table[] = {
        { "noise.jsonl", "sms_ham", CORPUS_CHAT },
        { "noise.jsonl", "banking77", CORPUS_BANK },
        { "noise.jsonl", "cy_sentences", CORPUS_WELSH },
        { "noise.jsonl", NULL, CORPUS_NOISE },
        { "lid.jsonl", NULL, CORPUS_LANGUAGE },
        { "figurative.jsonl", NULL, CORPUS_FIGURATIVE },
    };
    if (!reading->set)
        return CORPUS_DESK;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].set, reading->set->name) == 0 &&
            (!table[i].source || strcmp(table[i].source, message->source) == 0))
            return table[i].kind;
    }
    return strcmp(message_member(message, "genre"), "direct") == 0 ? CORPUS_DIRECT : CORPUS_HELP;
}

static int category_of(const char *name)
{
    for (int i = 0; i < MESSAGE_CATEGORIES; i++) {
        if (strcmp(message_categories[i], name) == 0)
            return i;
    }
    return -1;
}

static Desg__V1__Language language_of_label(const char *label)
{
    if (strcmp(label, "en") == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_EN;
    if (strcmp(label, "cy") == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_CY;
    if (strcmp(label, "mixed") == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_MIXED;
    return DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
}

static size_t count_words(const char *text, size_t length)
{
    struct feature_reader reader;
    struct feature_word word;
    size_t count = 0;
    features_begin(&reader, text, length, 0);
    while (features_next(&reader, &word))
        count += word.has_letter;
    return count;
}

static int make_room(struct corpus *corpus, struct error *err)
{
    enum { FIRST = 4096 };
    if (corpus->count < corpus->room)
        return 0;
    size_t room = corpus->room == 0 ? FIRST : 2 * corpus->room;
    struct corpus_row *rows = reallocarray(corpus->rows, room, sizeof *rows);
    if (!rows)
        return error_set(err, ERROR_SYSTEM, "no memory for %zu messages", room);
    corpus->rows = rows;
    corpus->room = room;
    return 0;
}

static bool may_teach(const struct reading *reading, const struct labelled_message *message)
{
    if (!reading->set)
        return true;
    return !reading->set->is_measured_only && !message_is_held_out(message->id) &&
           strcmp(message->source, "po_fixmystreet") != 0;
}

static struct model_evidence look(const struct eyes *eyes, const struct labelled_message *message)
{
    struct model_evidence evidence = { 0 };
    struct scan scan;
    if (!eyes->scanner || are_rules_tuned_to(message))
        return evidence;
    scanner_scan(eyes->scanner, message->text, message->text_bytes, &scan);
    for (size_t i = 0; i < scan.hit_count; i++)
        evidence_add(eyes->map, scan.hits[i].rule, &evidence);
    return evidence;
}

static int take(void *arg, const struct labelled_message *message, struct error *err)
{
    struct reading *reading = arg;
    struct corpus *corpus = reading->corpus;
    if (make_room(corpus, err) != 0)
        return -1;
    (void)normalise(reading->window, message->text, message->text_bytes, 0);
    struct corpus_row row = {
        .text = strndup(reading->window->text, reading->window->length),
        .length = reading->window->length,
        .words = count_words(reading->window->text, reading->window->length),
        .kind = kind_of(reading, message),
        .fold = fold_of(message),
        .is_foreign_to_rules = !reading->set && !are_rules_tuned_to(message),
        .is_held_out = !may_teach(reading, message),
        .urgent = message->urgent == MESSAGE_URGENT ? CORPUS_YES : CORPUS_NO,
        .category = reading->set ? -1 : category_of(message->category),
        .evidence = look(reading->eyes, message),
        .language = language_of_label(message->language),
    };
    if (!row.text)
        return error_set(err, ERROR_SYSTEM, "no memory for a message");
    if (message->urgent == MESSAGE_URGENT_UNKNOWN)
        row.urgent = CORPUS_UNKNOWN;
    (void)snprintf(row.source, sizeof row.source, "%s", message->source);
    const char *restricted = message->restricted ? message->restricted : "";
    row.is_sexual_offence = strcmp(restricted, "sexual-offence") == 0;
    row.is_intelligence = strcmp(restricted, "intelligence") == 0;
    corpus->rows[corpus->count++] = row;
    reading->rows++;
    reading->held_out += row.is_held_out;
    if (!reading->set && row.category < 0)
        return error_set(err, ERROR_INVALID, "%s:%u: the category is none of the %d", message->file,
                         message->line, (int)MESSAGE_CATEGORIES);
    return 0;
}

static void keep_complaint(void *arg, const char *text)
{
    struct reading *reading = arg;
    if (reading->complaint[0] == '\0')
        (void)snprintf(reading->complaint, sizeof reading->complaint, "%s", text);
}

static void close_stream(FILE **stream_p)
{
    if (*stream_p)
        (void)fclose(*stream_p);
}

/* Hashes what a file holds; an empty text if it cannot be read. */
static void file_checksum(const char *path, char *hex, size_t room)
{
    uint8_t checksum[CRYPTO_SHA256_BYTES];
    char *bytes = NULL;
    size_t length = 0;
    hex[0] = '\0';
    AUTO(close_stream) FILE *stream = fopen(path, "rbe");
    if (!stream || room <= 2 * sizeof checksum)
        return;
    ssize_t got = getdelim(&bytes, &length, EOF, stream); /* no byte of a text file is that */
    if (got >= 0) {
        crypto_sha256(bytes, (size_t)got, checksum);
        crypto_hex(checksum, sizeof checksum, hex);
    }
    free(bytes);
}

static int note_file(const struct reading *reading, const char *path, struct error *err)
{
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    const char *slash = strrchr(path, '/');
    file_checksum(path, hex, sizeof hex);
    json_t *entry = json_pack("{s:s, s:I, s:I, s:s}", "name", slash ? slash + 1 : path, "rows",
                              (json_int_t)reading->rows, "never_trained_on",
                              (json_int_t)reading->held_out, "sha256", hex);
    if (json_array_append_new(reading->corpus->files, entry) != 0)
        return error_set(err, ERROR_SYSTEM, "no memory for the training record");
    return 0;
}

static int read_file(const struct reading *by, const char *path, const struct set *set,
                     struct error *err)
{
    struct reading reading = *by;
    reading.set = set;
    struct message_reading messages = { .take = take, .complain = keep_complaint, .arg = &reading };
    if (message_file_read(path, &messages, err) != 0)
        return -1;
    if (messages.bad_lines > 0)
        return error_set(err, ERROR_INVALID, "%zu wrong lines, the first: %s", messages.bad_lines,
                         reading.complaint);
    return note_file(&reading, path, err);
}

static int read_all(const struct reading *by, const struct train_options *options,
                    struct error *err)
{
    for (size_t i = 0; i < options->message_file_count; i++) {
        if (read_file(by, options->message_files[i], NULL, err) != 0)
            return -1;
    }
    for (size_t i = 0; options->sets_directory && i < sizeof sets / sizeof sets[0]; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", options->sets_directory, sets[i].name) >=
            (int)sizeof path)
            return error_set(err, ERROR_INVALID, "the path of the sets is too long");
        if (read_file(by, path, &sets[i], err) != 0)
            return -1;
    }
    return 0;
}

static void close_eyes(struct eyes *eyes)
{
    evidence_map_destroy(&eyes->map);
    scanner_destroy(&eyes->scanner);
    rule_set_destroy(&eyes->rules);
}

static int open_eyes(struct eyes *eyes, struct corpus *corpus, const char *directory,
                     struct error *err)
{
    if (!directory)
        return 0;
    eyes->rules = rule_set_load(directory, err);
    if (!eyes->rules)
        return -1;
    (void)snprintf(corpus->rules_edition, sizeof corpus->rules_edition, "%s",
                   rule_set_edition(eyes->rules));
    eyes->scanner = scanner_new(eyes->rules, err);
    eyes->map =
        evidence_map_new(eyes->rules, (const char(*)[MODEL_CATEGORY_BYTES])corpus->categories,
                         corpus->category_count, err);
    return eyes->scanner && eyes->map ? 0 : -1;
}

struct corpus *corpus_load(const struct train_options *options, struct error *err)
{
    struct corpus *self = calloc(1, sizeof *self);
    if (!self || !(self->files = json_array())) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for messages");
        corpus_destroy(&self);
        return NULL;
    }
    self->category_count = MESSAGE_CATEGORIES;
    for (size_t i = 0; i < MESSAGE_CATEGORIES; i++)
        (void)snprintf(self->categories[i], sizeof self->categories[i], "%s",
                       message_categories[i]);
    AUTO(normalised_destroy) struct normalised *window = normalised_new(err);
    AUTO(close_eyes) struct eyes eyes = { 0 };
    const struct reading by = { .corpus = self, .eyes = &eyes, .window = window };
    if (!window || open_eyes(&eyes, self, options->rules_directory, err) != 0 ||
        read_all(&by, options, err) != 0)
        corpus_destroy(&self);
    return self;
}
