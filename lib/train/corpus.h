/* corpus - all messages to train on and to measure with, normalised. */
#ifndef DESG_TRAIN_CORPUS_H
#define DESG_TRAIN_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "error/error.h"
#include "train/train.h"
#include "triage/linear_model.h"

enum { CORPUS_FOLDS = 5, CORPUS_SOURCE_BYTES = 32 };

enum corpus_truth { CORPUS_UNKNOWN, CORPUS_NO, CORPUS_YES };

enum corpus_kind {                /* which weights and which figures a row goes into */
                   CORPUS_DESK,   /* our own */
                   CORPUS_DIRECT, /* messages of help.jsonl sent to somebody */
                   CORPUS_HELP,   /* its others */
                   CORPUS_CHAT,
                   CORPUS_BANK,
                   CORPUS_WELSH,
                   CORPUS_NOISE, /* all else of noise.jsonl */
                   CORPUS_LANGUAGE,
                   CORPUS_FIGURATIVE,
                   CORPUS_KINDS
};

struct corpus_row {
    char *text; /* normalised */
    size_t length;
    size_t words;
    enum corpus_kind kind;
    char source[CORPUS_SOURCE_BYTES];
    unsigned fold;            /* of those written after one pattern the same */
    bool is_held_out;         /* never trained on */
    bool is_foreign_to_rules; /* our own, by a writer who did not know the rules */
    enum corpus_truth urgent;
    int category; /* index, -1: none */
    bool is_sexual_offence;
    bool is_intelligence;
    struct model_evidence evidence; /* what rules find in it; empty where they were tuned to it */
    Desg__V1__Language language;    /* UNSPECIFIED: not labelled */
};

struct corpus {
    struct corpus_row *rows;
    size_t count;
    size_t room;
    char categories[LINEAR_CATEGORIES_MAX][MODEL_CATEGORY_BYTES];
    size_t category_count;
    char rules_edition[32]; /* ""; none took part */
    json_t *files;          /* for the record: name, checksum, rows */
};

struct corpus *corpus_load(const struct train_options *options, struct error *err) MUST_USE;
void corpus_destroy(struct corpus **self_p);

/* A row that may be trained on and says whether it is urgent. */
bool corpus_row_teaches_urgent(const struct corpus_row *row);

#endif
