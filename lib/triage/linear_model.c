#include "triage/linear_model.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "triage/features.h"

enum { LANGUAGE_RUN_WORDS = 4, SURE_WORDS = 3, MIXED_WORDS_MIN = 6 };

static float logistic(float score)
{
    return 1 / (1 + expf(-score));
}

static float head_score(const struct linear_head *head, int32_t sum, uint32_t norm)
{
    return norm == 0 ? head->bias : head->scale * (float)sum / sqrtf((float)norm) + head->bias;
}

static uint32_t word_norm(const struct feature_word *word)
{
    enum {
        WORD = FEATURES_WORD_VALUE * FEATURES_WORD_VALUE,
        GRAM = FEATURES_GRAM_VALUE * FEATURES_GRAM_VALUE
    };
    return WORD * (uint32_t)word->word_count + GRAM * (uint32_t)word->gram_count;
}

static int32_t sum_of(const int8_t *weights, unsigned bits, const uint32_t *hashes, size_t count)
{
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += weights[features_slot(hashes[i], bits)];
    return sum;
}

/* --- urgent --- */

static int32_t urgent_sum(const struct linear_model *self, const struct feature_word *word)
{
    return FEATURES_WORD_VALUE *
               sum_of(self->urgent_weights, self->urgent_bits, word->words, word->word_count) +
           FEATURES_GRAM_VALUE *
               sum_of(self->urgent_weights, self->urgent_bits, word->grams, word->gram_count);
}

static void join(struct linear_block *window, const struct linear_block *earlier)
{
    window->sum += earlier->sum;
    window->norm += earlier->norm;
    window->from = earlier->from;
    window->words += earlier->words;
}

/* Tells the windows that end with block last. A text that is one window or less is told whole, at
 * its end. */
static void tell_windows(const struct linear_windows *self, size_t last, bool is_whole)
{
    enum { LEAST = 2 };
    struct linear_block window = self->blocks[last % LINEAR_WINDOW_BLOCKS];
    size_t most = last + 1 < LINEAR_WINDOW_BLOCKS ? last + 1 : LINEAR_WINDOW_BLOCKS;
    for (size_t blocks = 1; blocks <= most; blocks++) {
        if (blocks > 1)
            join(&window, &self->blocks[(last + 1 - blocks) % LINEAR_WINDOW_BLOCKS]);
        bool is_window = blocks >= LEAST && (blocks & (blocks - 1)) == 0;
        if (is_whole ? blocks == most : is_window)
            self->tell(self->arg, &window);
    }
}

void linear_windows_add(struct linear_windows *self, const struct feature_word *word, int32_t sum)
{
    struct linear_block *block = &self->blocks[(self->count - 1) % LINEAR_WINDOW_BLOCKS];
    if (self->count == 0 || block->words == LINEAR_BLOCK_WORDS) {
        if (self->count == LINEAR_WINDOW_BLOCKS) { /* it is a long one, then */
            for (size_t last = 0; last < LINEAR_WINDOW_BLOCKS; last++)
                tell_windows(self, last, false);
        } else if (self->count > LINEAR_WINDOW_BLOCKS) {
            tell_windows(self, self->count - 1, false);
        }
        block = &self->blocks[self->count++ % LINEAR_WINDOW_BLOCKS];
        *block = (struct linear_block){ .from = word->from };
    }
    block->to = word->to;
    block->sum += sum;
    block->norm += word_norm(word);
    block->words++;
}

void linear_windows_end(struct linear_windows *self)
{
    if (self->count > 0)
        tell_windows(self, self->count - 1, self->count <= LINEAR_WINDOW_BLOCKS);
}

struct urgency {
    float score; /* of the worst window; before the logistic */
    size_t from; /* of that window in the text */
    size_t to;
    bool is_whole; /* it is all that is no greeting */
};

struct urgency_search {
    const struct linear_model *model;
    struct linear_windows windows;
    struct urgency worst;
};

static void try_window(void *arg, const struct linear_block *window)
{
    struct urgency_search *search = arg;
    struct urgency *worst = &search->worst;
    float score = head_score(&search->model->urgent, window->sum, window->norm);
    if (worst->to == 0 || score > worst->score)
        *worst = (struct urgency){ score, window->from, window->to, false };
}

static void begin_search(struct urgency_search *search, const struct linear_model *model)
{
    *search = (struct urgency_search){ .model = model,
                                       .windows = { .tell = try_window, .arg = search },
                                       .worst = { .score = model->urgent.bias } };
}

/* Of many runs of chat one sounds bad by chance, the more so the more there are. Nothing for a text
 * of one run. */
static float chance_of_windows(size_t blocks)
{
    static const float for_each_fold = 0.15F; /* of e times as many */
    return blocks <= LINEAR_WINDOW_BLOCKS
               ? 0
               : for_each_fold * logf((float)blocks / (float)LINEAR_WINDOW_BLOCKS);
}

static struct urgency end_search(struct urgency_search *search)
{
    linear_windows_end(&search->windows);
    search->worst.is_whole = search->windows.count <= LINEAR_WINDOW_BLOCKS;
    search->worst.score -= chance_of_windows(search->windows.count);
    return search->worst;
}

/* --- category and restricted --- */

/* A row of weights is added by 16 columns and then by 8: what every processor of ours does at once.
 */
enum { PART_COLUMNS = 16, HALF_COLUMNS = 8, HALVES = LINEAR_TOPIC_COLUMNS / HALF_COLUMNS };
_Static_assert(LINEAR_TOPIC_COLUMNS == PART_COLUMNS + HALF_COLUMNS, "a row is one part and a half");
typedef int8_t bytes16 __attribute__((vector_size(PART_COLUMNS)));
typedef int16_t shorts8 __attribute__((vector_size(PART_COLUMNS)));

struct row_sum { /* 16 bits a column, in order */
    shorts8 halves[HALVES];
};

/* So many features surely fit 16 bits; a word has fewer. */
enum { ROW_SUM_MAX = INT16_MAX / -INT8_MIN };
_Static_assert(FEATURES_WORD_VALUE *FEATURES_WORDS_MAX + FEATURES_GRAM_VALUE * FEATURES_GRAMS_MAX <
                   ROW_SUM_MAX,
               "sums of a word fit 16 bits");

/* Each byte twice makes a number of 16 bits whose upper half is the byte: shifted down, its sign
 * fills what is above. */
static shorts8 widen_low(bytes16 b)
{
    bytes16 twice = __builtin_shufflevector(b, b, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return (shorts8)twice >> 8;
}

static shorts8 widen_high(bytes16 b)
{
    bytes16 twice =
        __builtin_shufflevector(b, b, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    return (shorts8)twice >> 8;
}

static const int8_t *row_of(const struct linear_model *self, uint32_t hash)
{
    return self->topic_weights + features_slot(hash, self->topic_bits) * LINEAR_TOPIC_COLUMNS;
}

static struct row_sum add_rows(const struct linear_model *self, const uint32_t *hashes,
                               size_t count)
{
    struct row_sum sum = { 0 };
    for (size_t i = 0; i < count; i++) {
        const int8_t *row = row_of(self, hashes[i]);
        bytes16 first;
        bytes16 rest = { 0 };
        memcpy(&first, row, sizeof first);
        memcpy(&rest, row + PART_COLUMNS, HALF_COLUMNS);
        sum.halves[0] += widen_low(first);
        sum.halves[1] += widen_high(first);
        sum.halves[2] += widen_low(rest);
    }
    return sum;
}

struct topic_sums {
    struct row_sum recent; /* of so many features */
    size_t recent_count;
    int32_t columns[LINEAR_TOPIC_COLUMNS]; /* all before */
    uint32_t norm;
    size_t words; /* looked at */
};

static void settle_recent(struct topic_sums *sums)
{
    for (size_t i = 0; i < HALVES; i++) {
        for (size_t j = 0; j < HALF_COLUMNS; j++)
            sums->columns[i * HALF_COLUMNS + j] += sums->recent.halves[i][j];
    }
    sums->recent = (struct row_sum){ 0 };
    sums->recent_count = 0;
}

/* Rows are far apart: asked for early they are there when they are added. */
static void fetch_rows(const struct linear_model *self, const struct feature_word *word)
{
    for (size_t i = 0; i < word->word_count; i++)
        __builtin_prefetch(row_of(self, word->words[i]));
    for (size_t i = 0; i < word->gram_count; i++)
        __builtin_prefetch(row_of(self, word->grams[i]));
}

static void add_topics(const struct linear_model *self, const struct feature_word *word,
                       struct topic_sums *sums)
{
    sums->words++;
    if (word->is_neutral)
        return;
    size_t count = FEATURES_WORD_VALUE * word->word_count + FEATURES_GRAM_VALUE * word->gram_count;
    if (sums->recent_count + count > ROW_SUM_MAX)
        settle_recent(sums);
    struct row_sum of_words = add_rows(self, word->words, word->word_count);
    struct row_sum of_grams = add_rows(self, word->grams, word->gram_count);
    for (size_t i = 0; i < HALVES; i++)
        sums->recent.halves[i] +=
            FEATURES_WORD_VALUE * of_words.halves[i] + FEATURES_GRAM_VALUE * of_grams.halves[i];
    sums->recent_count += count;
    sums->norm += word_norm(word);
}

static void score_topics(const struct linear_model *self, struct topic_sums *sums,
                         float out[static LINEAR_TOPIC_COLUMNS])
{
    settle_recent(sums);
    for (size_t i = 0; i < LINEAR_TOPIC_COLUMNS; i++)
        out[i] = head_score(&self->topics[i], sums->columns[i], sums->norm);
}

/* The scores of all topic columns for text[from..to), of at most LINEAR_TOPIC_WORDS words. */
static void topics_of(const struct linear_model *self, const char *text, size_t from, size_t to,
                      float out[static LINEAR_TOPIC_COLUMNS])
{
    struct topic_sums sums = { 0 };
    struct feature_reader reader;
    struct feature_word word;
    features_begin(&reader, text, to, from);
    reader.is_without_letters = true;
    while (sums.words < LINEAR_TOPIC_WORDS && features_next(&reader, &word))
        add_topics(self, &word, &sums);
    score_topics(self, &sums, out);
}

size_t linear_model_rule_columns(const struct model_evidence *evidence,
                                 uint8_t out[static LINEAR_RULE_COLUMNS])
{
    enum {
        GRAVE = MODEL_CATEGORIES_MAX,
        SEVERITY = 2 * MODEL_CATEGORIES_MAX,
        RESTRICTED = SEVERITY + 6
    };
    size_t count = 0;
    for (unsigned i = 0; i < MODEL_CATEGORIES_MAX; i++) {
        if (evidence->categories >> i & 1)
            out[count++] = (uint8_t)i;
        if (evidence->grave_categories >> i & 1)
            out[count++] = (uint8_t)(GRAVE + i);
    }
    unsigned severity = (unsigned)evidence->severity;
    if (severity > 0 && severity <= DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK)
        out[count++] = (uint8_t)(SEVERITY + severity);
    if (evidence->is_sexual_offence)
        out[count++] = RESTRICTED;
    if (evidence->is_intelligence)
        out[count++] = RESTRICTED + 1;
    return count;
}

static void add_rules(const struct linear_model *self, const struct model_evidence *evidence,
                      float scores[static LINEAR_TOPIC_COLUMNS])
{
    uint8_t columns[LINEAR_RULE_COLUMNS];
    size_t count = linear_model_rule_columns(evidence, columns);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < LINEAR_TOPIC_COLUMNS; j++)
            scores[j] += self->topic_rules[columns[i]][j];
    }
}

static float urgent_by_rules(const struct linear_model *self, const struct model_evidence *evidence)
{
    uint8_t columns[LINEAR_RULE_COLUMNS];
    size_t count = linear_model_rule_columns(evidence, columns);
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += self->urgent_rules[columns[i]];
    return sum;
}

/* --- language --- */

struct language_sum {
    int32_t sum;
    uint32_t norm;
};

static struct language_sum language_of_word(const struct linear_model *self,
                                            const struct feature_word *word)
{
    const int8_t *weights = self->language_weights;
    return (struct language_sum){
        sum_of(weights, self->language_bits, word->grams, word->gram_count) +
            sum_of(weights, self->language_bits, word->letters, word->letter_count) +
            sum_of(weights, self->language_bits, word->words, 1),
        (uint32_t)(word->gram_count + word->letter_count + 1),
    };
}

struct language_sums {
    struct language_sum words[LINEAR_LANGUAGE_WORDS];
    struct language_sum all;
    size_t count;
};

static void add_language(const struct linear_model *self, const struct feature_word *word,
                         struct language_sums *sums)
{
    if (!word->has_letter || sums->count == LINEAR_LANGUAGE_WORDS)
        return;
    struct language_sum of_word = language_of_word(self, word);
    sums->words[sums->count++] = of_word;
    sums->all.sum += of_word.sum;
    sums->all.norm += of_word.norm;
}

/* Highest and lowest score of a few words in a row. */
static void find_extremes(const struct linear_model *self, const struct language_sums *sums,
                          struct linear_language *out)
{
    for (size_t i = 0; i + LANGUAGE_RUN_WORDS <= sums->count; i++) {
        struct language_sum run = { 0, 0 };
        for (size_t j = 0; j < LANGUAGE_RUN_WORDS; j++) {
            run.sum += sums->words[i + j].sum;
            run.norm += sums->words[i + j].norm;
        }
        float score = head_score(&self->language, run.sum, run.norm);
        out->most = i == 0 ? score : fmaxf(out->most, score);
        out->least = i == 0 ? score : fminf(out->least, score);
    }
}

static struct linear_language score_language(const struct linear_model *self,
                                             const struct language_sums *sums)
{
    struct linear_language out = { .words = sums->count };
    if (sums->count > 0)
        out.score = head_score(&self->language, sums->all.sum, sums->all.norm);
    find_extremes(self, sums, &out);
    return out;
}

struct linear_language linear_model_language_scores(const struct linear_model *self,
                                                    const char *text, size_t length)
{
    struct language_sums sums;
    struct feature_reader reader;
    struct feature_word word;
    sums.all = (struct language_sum){ 0, 0 };
    sums.count = 0;
    features_begin(&reader, text, length, 0);
    while (sums.count < LINEAR_LANGUAGE_WORDS && features_next(&reader, &word))
        add_language(self, &word, &sums);
    return score_language(self, &sums);
}

Desg__V1__Language linear_model_language(const struct linear_model *self,
                                         const struct linear_language *scores, bool *is_sure)
{
    float distance = fabsf(scores->score);
    *is_sure = false;
    if (scores->words == 0 || distance < self->language_unsure)
        return DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    *is_sure = scores->words >= SURE_WORDS || distance >= self->language_sure;
    if (scores->words >= MIXED_WORDS_MIN && scores->most >= self->language_mixed &&
        scores->least <= -self->language_mixed)
        return DESG__V1__LANGUAGE__LANGUAGE_MIXED;
    return scores->score > 0 ? DESG__V1__LANGUAGE__LANGUAGE_CY : DESG__V1__LANGUAGE__LANGUAGE_EN;
}

/* --- the judge --- */

/* What one pass over a text says of it. */
struct reading {
    struct urgency_search urgency;
    struct language_sums language;
    struct topic_sums topics; /* of its first words */
    size_t words;
};

static void read_text(const struct linear_model *self, const char *text, size_t length,
                      struct reading *out)
{
    struct feature_reader reader;
    struct feature_word words[2]; /* one, and the next */
    begin_search(&out->urgency, self);
    out->language.all = (struct language_sum){ 0, 0 };
    out->language.count = 0;
    out->topics = (struct topic_sums){ 0 };
    out->words = 0;
    features_begin(&reader, text, length, 0);
    bool is_more = features_next(&reader, &words[0]);
    for (; is_more; out->words++) {
        const struct feature_word *word = &words[out->words % 2];
        struct feature_word *next = &words[(out->words + 1) % 2];
        reader.is_without_letters = out->language.count + word->has_letter >= LINEAR_LANGUAGE_WORDS;
        is_more = features_next(&reader, next);
        if (is_more && out->words + 1 < LINEAR_TOPIC_WORDS)
            fetch_rows(self, next);
        add_language(self, word, &out->language);
        if (!word->is_neutral)
            linear_windows_add(&out->urgency.windows, word, urgent_sum(self, word));
        if (out->words < LINEAR_TOPIC_WORDS)
            add_topics(self, word, &out->topics);
    }
}

static void give_topics(const struct linear_model *self, const char *text,
                        const struct urgency *urgency, struct reading *reading,
                        const struct model_evidence *evidence, struct model_opinion *out)
{
    float window[LINEAR_TOPIC_COLUMNS];
    float start[LINEAR_TOPIC_COLUMNS];
    score_topics(self, &reading->topics, start);
    add_rules(self, evidence, start);
    const float *of_category = start;
    if (urgency->is_whole && reading->words <= LINEAR_TOPIC_WORDS) {
        memcpy(window, start, sizeof window);
    } else {
        topics_of(self, text, urgency->from, urgency->to, window);
        add_rules(self, evidence, window);
        if (urgency->is_whole)
            memcpy(start, window, sizeof start);
        if (logistic(urgency->score) >= self->thresholds.review)
            of_category = window;
    }
    size_t best = 0;
    for (size_t i = 1; i < self->category_count; i++) {
        if (of_category[i] > of_category[best])
            best = i;
    }
    if (self->category_count > 0) {
        out->category = self->categories[best];
        out->category_surety = logistic(of_category[best]);
    }
    size_t column = self->category_count;
    out->sexual_offence = logistic(fmaxf(window[column], start[column]));
    out->intelligence = logistic(fmaxf(window[column + 1], start[column + 1]));
}

/* Keeps the weightiest places, the first of them the weightiest. */
static void keep_place(struct model_opinion *out, struct model_place place)
{
    size_t at = out->place_count;
    while (at > 0 && out->places[at - 1].weight < place.weight)
        at--;
    if (at == MODEL_PLACES_MAX)
        return;
    if (out->place_count < MODEL_PLACES_MAX)
        out->place_count++;
    memmove(out->places + at + 1, out->places + at,
            (out->place_count - at - 1) * sizeof *out->places);
    out->places[at] = place;
}

static void give_places(const struct linear_model *self, const char *text,
                        const struct urgency *urgency, struct model_opinion *out)
{
    struct feature_reader reader;
    struct feature_word word;
    features_begin(&reader, text, urgency->to, urgency->from);
    reader.is_without_letters = true;
    while (features_next(&reader, &word)) {
        int32_t sum = word.is_neutral ? 0 : urgent_sum(self, &word);
        if (sum > 0)
            keep_place(out,
                       (struct model_place){ word.from, word.to, self->urgent.scale * (float)sum });
    }
}

int linear_model_judge(const void *arg, const char *text, size_t length,
                       const struct model_evidence *evidence, struct model_opinion *out)
{
    const struct linear_model *self = arg;
    assert(self && text && evidence && out);
    *out = (struct model_opinion){ 0 };
    struct reading reading;
    read_text(self, text, length, &reading);
    struct urgency urgency = end_search(&reading.urgency);
    struct linear_language language = score_language(self, &reading.language);
    out->language = linear_model_language(self, &language, &out->is_language_sure);
    uint8_t columns[LINEAR_RULE_COLUMNS];
    if (urgency.to == 0 && linear_model_rule_columns(evidence, columns) == 0)
        return 0; /* not a word, or none but greetings, and no rule knows it */
    if (urgency.to == 0)
        urgency.to = length;
    urgency.score += urgent_by_rules(self, evidence);
    out->urgent = logistic(urgency.score);
    give_topics(self, text, &urgency, &reading, evidence, out);
    if (out->urgent >= self->thresholds.review / 2)
        give_places(self, text, &urgency, out);
    return 0;
}
