#include "triage/sketch.h"

#include <stdlib.h>
#include <string.h>

/* A sketch: FORMAT, apart (4 bytes), number of names, names (2 bytes each), pairs (3 bytes each).
 */
enum {
    FORMAT = 1,
    HEAD_BYTES = 6,
    NAME_BYTES = 2,
    PAIR_BYTES = 3,
    TELLING_SLOTS = 1024, /* a power of two, more than thrice the words */
    PAIRS_HELD = 4 * SKETCH_PAIRS_MAX,
    RECENT_SLOTS = 256,
    CHUNK_LOOKED_BACK = 256
};

/* Alike from this share of common pairs on: ALIKE_OF pairs of ALIKE_IN. Between 1/2 (never) and 4/5
 * (found), as far from both as a sample of SKETCH_PAIRS_MAX strays: nearly four deviations. */
enum { ALIKE_OF = 2, ALIKE_IN = 3 };

/* Who forwards a message adds a greeting or "please share". Who adds a sentence says something of
 * their own, which may be that they need help: most pairs that one of two texts may have alone, or
 * one of OWN_SHARE of those they share in long ones. */
enum { OWN_MAX = 6, OWN_SHARE = 10 };

/* One of these more or less, or another in its place, is another event, normalised as texts are. */
static const char *const telling_words[] = {
    /* no and not */
    "not", "no", "never", "none", "nobody", "nothing", "without", "cannot", "cant", "couldnt",
    "dont", "doesnt", "didnt", "wont", "wouldnt", "shouldnt", "isnt", "arent", "wasnt", "werent",
    "hasnt", "havent", "hadnt", "aint", "nid", "nad", "dim", "ddim", "na", "nac", "nag", "neb",
    "byth", "peidio", "peidiwch", "paid", "heb",
    /* how many */
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred",
    "thousand", "first", "second", "third", "half", "un", "dau", "dwy", "tri", "tair", "pedwar",
    "pedair", "pump", "chwech", "saith", "wyth", "naw", "deg", "ugain", "cant", "mil", "cyntaf",
    "ail", "trydydd", "hanner",
    /* where */
    "north", "south", "east", "west", "northbound", "southbound", "eastbound", "westbound", "left",
    "right", "inside", "outside", "gogledd", "de", "dwyrain", "gorllewin", "chwith", "dde",
    /* when */
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today",
    "tomorrow", "tonight", "yesterday", "heddiw", "yfory", "heno", "ddoe", "llun", "mawrth",
    "mercher", "iau", "gwener", "sadwrn", "sul",
    /* who */
    "he", "she", "him", "her", "his", "hers", "man", "woman", "boy", "girl", "mum", "dad", "mother",
    "father", "brother", "sister", "son", "daughter", "husband", "wife", "boyfriend", "girlfriend",
    "partner", "neighbour", "baby", "child", "ef", "fo", "fe", "dyn", "dynes", "menyw", "bachgen",
    "merch", "mam", "tad", "brawd", "chwaer", "mab", "gwr", "gwraig", "plentyn", "babi",
    /* how it stands */
    "open", "closed", "opened", "reopened", "missing", "found", "safe", "dead", "alive", "agor",
    "agored", "gau", "goll", "saff", "fyw", "marw"
};

struct sketcher {
    uint32_t telling[TELLING_SLOTS]; /* hashes; 0: empty */
    uint32_t pairs[PAIRS_HELD];
    size_t pair_count;
    uint32_t pair_limit;           /* there are enough below it */
    uint32_t recent[RECENT_SLOTS]; /* by their last bits: one said over and over is held once */
};

/* A word as it is drawn. */
struct drawn {
    uint32_t hash;
    bool has_digit;
    bool is_emoji; /* no letter and no digit: nothing is said in words */
};

static uint32_t mix(uint64_t value)
{
    value = (value ^ (value >> 31)) * 0x9E3779B97F4A7C15U;
    value = (value ^ (value >> 29)) * 0xBF58476D1CE4E5B9U;
    return (uint32_t)(value >> 32);
}

static uint32_t mix_two(uint32_t a, uint32_t b)
{
    return mix((uint64_t)a << 32 | b);
}

static uint32_t hash_bytes(uint32_t seed, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t hash = 0xCBF29CE484222325U ^ seed;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 0x100000001B3U;
    uint32_t mixed = mix(hash);
    return mixed != 0 ? mixed : 1; /* 0 is an empty slot */
}

static uint32_t *slot_of(struct sketcher *self, uint32_t hash)
{
    uint32_t at = hash % TELLING_SLOTS;
    while (self->telling[at] != 0 && self->telling[at] != hash)
        at = (at + 1) % TELLING_SLOTS;
    return &self->telling[at];
}

struct sketcher *sketcher_new(struct error *err)
{
    struct sketcher *self = calloc(1, sizeof *self);
    if (!self) {
        (void)error_set(err, ERROR_SYSTEM, "no memory for a sketcher");
        return NULL;
    }
    for (size_t i = 0; i < sizeof telling_words / sizeof telling_words[0]; i++) {
        uint32_t hash = hash_bytes(0, telling_words[i], strlen(telling_words[i]));
        *slot_of(self, hash) = hash;
    }
    return self;
}

void sketcher_destroy(struct sketcher **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* Reads the word at text[at..] up to its space; *at moves behind that. */
static struct drawn read_word(const char *text, size_t *at)
{
    uint64_t hash = 0xCBF29CE484222325U;
    struct drawn word = { .is_emoji = (uint8_t)text[*at] == 0xF0 || (uint8_t)text[*at] == 0xE2 };
    size_t i = *at;
    for (; text[i] != ' '; i++) {
        uint8_t byte = (uint8_t)text[i];
        word.has_digit |= (uint8_t)(byte - '0') < 10;
        hash = (hash ^ byte) * 0x100000001B3U;
    }
    *at = i + 1;
    uint32_t mixed = mix(hash);
    word.hash = mixed != 0 ? mixed : 1;
    return word;
}

/* Whether what stands at text[at], up to the blank before it, is an address or an account: those
 * differ between copies. */
static bool is_in_link(const char *text, size_t at)
{
    size_t from = at;
    while (from > 0 && at - from < CHUNK_LOOKED_BACK && (uint8_t)text[from - 1] > ' ')
        from--;
    return text[from] == '@' || strncmp(text + from, "http", 4) == 0 ||
           strncmp(text + from, "www.", 4) == 0;
}

static bool is_capital(const char *at)
{
    uint8_t first = (uint8_t)at[0];
    uint8_t next = (uint8_t)at[1];
    if (first == 'I') /* I, I'm, I've are nobody's name */
        return (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
    return (first >= 'A' && first <= 'Z') || (first == 0xC3 && next >= 0x80 && next <= 0x9E) ||
           (first == 0xC5 && (next == 0xB4 || next == 0xB6));
}

static bool is_small(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

/* A capital after a word in small letters, a comma or a figure: the name of somebody or of a place.
 * At the start of a sentence, or where all is written large, it says nothing. */
static bool is_name(const char *text, size_t at)
{
    if (at < 2 || text[at - 1] != ' ' || !is_capital(text + at))
        return false;
    uint8_t before = (uint8_t)text[at - 2];
    bool is_inside = (before >= '0' && before <= '9') || before == ',' || before >= 0x80;
    return is_small(text[at - 2]) || (is_inside && is_small(text[at + 1]));
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static int by_short_number(const void *a, const void *b)
{
    uint16_t left = *(const uint16_t *)a;
    uint16_t right = *(const uint16_t *)b;
    return (left > right) - (left < right);
}

/* Sorts, and leaves each number once. How many are left. */
static size_t tidy(uint32_t *numbers, size_t count)
{
    size_t kept = 0;
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || numbers[kept - 1] != numbers[i])
            numbers[kept++] = numbers[i];
    return kept;
}

static uint8_t *put(uint8_t *at, uint32_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *at++ = (uint8_t)(number >> (8 * i));
    return at;
}

static uint32_t get(const uint8_t *at, size_t bytes)
{
    uint32_t number = 0;
    for (size_t i = bytes; i-- > 0;)
        number = number << 8 | at[i];
    return number;
}

static uint32_t hash_place(double degrees)
{
    uint64_t bits = 0;
    memcpy(&bits, &degrees, sizeof bits);
    return mix(bits);
}

/* The same words about another place, or with another thing attached, are another event. */
static uint32_t start_apart(const Desg__V1__Event *event)
{
    uint32_t apart = hash_bytes((uint32_t)event->n_attachments, event->location_text,
                                strlen(event->location_text));
    for (size_t i = 0; i < event->n_attachments; i++) {
        const Desg__V1__Attachment *attachment = event->attachments[i];
        apart = mix_two(apart, hash_place(attachment->latitude));
        apart = mix_two(apart, hash_place(attachment->longitude));
        apart = hash_bytes(apart, attachment->title, strlen(attachment->title));
    }
    return apart;
}

/* Leaves the lowest pairs, each once. */
static void thin(struct sketcher *self)
{
    self->pair_count = tidy(self->pairs, self->pair_count);
    if (self->pair_count < SKETCH_PAIRS_MAX)
        return;
    self->pair_count = SKETCH_PAIRS_MAX;
    self->pair_limit = self->pairs[SKETCH_PAIRS_MAX - 1];
}

static void add_pair(struct sketcher *self, uint32_t pair)
{
    uint32_t *recent = &self->recent[pair % RECENT_SLOTS];
    if (pair >= self->pair_limit || *recent == pair)
        return;
    *recent = pair;
    self->pairs[self->pair_count++] = pair;
    if (self->pair_count == PAIRS_HELD)
        thin(self);
}

static size_t finish(struct sketcher *self, uint32_t apart, const uint16_t *names,
                     size_t name_count, uint8_t *out)
{
    if (self->pair_count > SKETCH_PAIRS_MAX)
        thin(self);
    uint8_t *at = out;
    *at++ = FORMAT;
    at = put(at, apart, 4);
    *at++ = (uint8_t)name_count;
    for (size_t i = 0; i < name_count; i++)
        at = put(at, names[i], NAME_BYTES);
    for (size_t i = 0; i < self->pair_count; i++)
        at = put(at, self->pairs[i], PAIR_BYTES);
    return (size_t)(at - out);
}

size_t sketcher_draw(struct sketcher *self, const Desg__V1__Event *event,
                     const struct normalised *normalised, uint8_t out[static SKETCH_MAX_BYTES])
{
    uint16_t names[SKETCH_NAMES_MAX];
    size_t name_count = 0;
    size_t word_count = 0;
    uint32_t apart = start_apart(event);
    uint32_t before = 0;
    const char *text = event->text;
    if (event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_POSTBACK)
        return 0;
    self->pair_count = 0;
    self->pair_limit = UINT32_MAX;
    memset(self->recent, 0xFF, sizeof self->recent); /* no pair has so many bits */
    for (size_t at = 1; at < normalised->length;) {
        size_t origin = normalised->origin[at];
        struct drawn word = read_word(normalised->text, &at);
        bool is_named = is_name(text, origin);
        if ((word.has_digit && !is_in_link(text, origin)) || *slot_of(self, word.hash) != 0 ||
            (is_named && name_count == SKETCH_NAMES_MAX))
            apart = mix_two(apart, word.hash);
        else if (is_named)
            names[name_count++] = (uint16_t)word.hash;
        if (before != 0)
            add_pair(self, mix_two(before, word.hash) >> 8);
        before = word.hash;
        word_count += !word.is_emoji;
    }
    if (word_count < (event->is_public ? SKETCH_WORDS_PUBLIC : SKETCH_WORDS_PRIVATE))
        return 0;
    return finish(self, apart, names, name_count, out);
}

bool sketch_read(const uint8_t *bytes, size_t length, struct sketch *out)
{
    if (length < HEAD_BYTES || length > SKETCH_MAX_BYTES || bytes[0] != FORMAT)
        return false;
    size_t name_count = bytes[HEAD_BYTES - 1];
    size_t pairs_from = HEAD_BYTES + name_count * NAME_BYTES;
    if (name_count > SKETCH_NAMES_MAX || pairs_from >= length ||
        (length - pairs_from) % PAIR_BYTES != 0 ||
        (length - pairs_from) / PAIR_BYTES > SKETCH_PAIRS_MAX)
        return false;
    *out = (struct sketch){ .apart = get(bytes + 1, 4), .name_count = name_count };
    for (size_t i = 0; i < name_count; i++)
        out->names[i] = (uint16_t)get(bytes + HEAD_BYTES + i * NAME_BYTES, NAME_BYTES);
    qsort(out->names, name_count, sizeof out->names[0], by_short_number);
    size_t count = (length - pairs_from) / PAIR_BYTES;
    for (size_t i = 0; i < count; i++)
        out->pairs[i] = get(bytes + pairs_from + i * PAIR_BYTES, PAIR_BYTES);
    out->is_part = count == SKETCH_PAIRS_MAX;
    out->pair_count = tidy(out->pairs, count);
    return true;
}

/* Names may be more in a copy ("Via Mair: …"), not others. */
static bool has_all_names(const struct sketch *self, const struct sketch *other)
{
    size_t at = 0;
    for (size_t i = 0; i < other->name_count; i++) {
        while (at < self->name_count && self->names[at] < other->names[i])
            at++;
        if (at == self->name_count || self->names[at] != other->names[i])
            return false;
    }
    return true;
}

/* Up to which number all pairs of the text are in its sketch. */
static uint32_t known_up_to(const struct sketch *self)
{
    return self->is_part ? self->pairs[self->pair_count - 1] : UINT32_MAX;
}

/* Whether so many pairs may be in one text alone. */
static bool is_frame(size_t alone, size_t common)
{
    size_t share = common / OWN_SHARE;
    return alone <= (share > OWN_MAX ? share : OWN_MAX);
}

static bool is_overlapping(const struct sketch *a, const struct sketch *b)
{
    uint32_t last_a = known_up_to(a);
    uint32_t last_b = known_up_to(b);
    uint32_t last = last_a < last_b ? last_a : last_b;
    size_t i = 0;
    size_t j = 0;
    size_t common = 0;
    size_t alone[2] = { 0 };
    while ((i < a->pair_count && a->pairs[i] <= last) ||
           (j < b->pair_count && b->pairs[j] <= last)) {
        uint32_t left = i < a->pair_count ? a->pairs[i] : UINT32_MAX;
        uint32_t right = j < b->pair_count ? b->pairs[j] : UINT32_MAX;
        i += left <= right;
        j += right <= left;
        common += left == right;
        alone[0] += left < right;
        alone[1] += right < left;
    }
    size_t all = common + alone[0] + alone[1];
    return common > 0 && common * ALIKE_IN >= all * ALIKE_OF && is_frame(alone[0], common) &&
           is_frame(alone[1], common);
}

bool sketch_is_alike(const struct sketch *a, const struct sketch *b)
{
    return a->apart == b->apart && (has_all_names(a, b) || has_all_names(b, a)) &&
           is_overlapping(a, b);
}
