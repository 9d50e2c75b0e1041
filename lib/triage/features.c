#include "triage/features.h"

#include <assert.h>
#include <string.h>

enum { PADDING_BYTES = 8, LONG_NUMBER_BYTES = 5, GRAM_MIN = 3, GRAM_MAX = 5 };

/* Odd numbers without a pattern: the upper half of a product is well mixed. */
static const uint64_t gram_factor = 0x9E3779B97F4A7C15U;
static const uint64_t word_factor = 0xD6E8FEB86659FD93U;
static const uint64_t pair_factor = 0xA0761D6478BD642FU;
static const uint64_t gap_factor = 0xE7037ED1A0B428DBU;
static const uint64_t start_of_text = 0x8EBC6AF09C88C6E3U;

struct piece {         /* of a word */
    const char *bytes; /* " word " and PADDING_BYTES of anything, in the text or in copy */
    size_t length;     /* without spaces */
    bool has_letter;
    char copy[1 + FEATURES_WORD_MAX_BYTES + 1 + PADDING_BYTES];
};

static uint64_t load(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t gram_hash(const char *bytes, unsigned count)
{
    uint64_t mask = (UINT64_C(1) << (8 * count)) - 1;
    return (uint32_t)(((load(bytes) & mask) * gram_factor) >> 32);
}

static uint64_t word_hash(const struct piece *piece)
{
    uint64_t hash = piece->length;
    size_t bytes = piece->length + 1; /* the space behind it, too */
    for (size_t i = 0; i < bytes; i += sizeof hash) {
        uint64_t mask =
            bytes - i < sizeof hash ? (UINT64_C(1) << (8 * (bytes - i))) - 1 : UINT64_MAX;
        hash = (hash ^ (load(piece->bytes + 1 + i) & mask)) * word_factor;
        hash ^= hash >> 32;
    }
    return hash;
}

static uint32_t pair_hash(uint64_t first, uint64_t second, uint64_t factor)
{
    return (uint32_t)(((first * factor) ^ second) * word_factor >> 32);
}

static void copy_piece(struct piece *piece, const char *bytes)
{
    memset(piece->copy, 0, sizeof piece->copy);
    piece->copy[0] = ' ';
    memcpy(piece->copy + 1, bytes, piece->length);
    piece->copy[piece->length + 1] = ' ';
    piece->bytes = piece->copy;
}

static bool has_letter(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)bytes[i] > '9')
            return true;
    }
    return false;
}

/* A long number is any long number: whose it is tells nothing. Most words are read where they
 * stand. */
static void take_piece(struct piece *piece, const struct feature_reader *reader, size_t length)
{
    static const char long_number[LONG_NUMBER_BYTES + 1] = "00000";
    const char *bytes = reader->text + reader->at;
    piece->length = length;
    piece->has_letter = has_letter(bytes, length);
    bool is_inside = reader->at > 0 && reader->at + length + PADDING_BYTES < reader->length;
    if (!piece->has_letter && length >= LONG_NUMBER_BYTES) {
        piece->length = LONG_NUMBER_BYTES;
        copy_piece(piece, long_number);
    } else if (is_inside && bytes[-1] == ' ' && bytes[length] == ' ') {
        piece->bytes = bytes - 1;
    } else {
        copy_piece(piece, bytes);
    }
}

static size_t put_grams(const struct piece *piece, unsigned from, unsigned to, uint32_t *out)
{
    size_t count = 0;
    size_t bytes = piece->length + 2;
    for (unsigned n = from; n <= to; n++) {
        for (size_t i = 0; i + n <= bytes; i++)
            out[count++] = gram_hash(piece->bytes + i, n);
    }
    return count;
}

static void put_words(struct feature_reader *self, const struct piece *piece,
                      struct feature_word *out)
{
    uint64_t word = word_hash(piece);
    out->words[0] = (uint32_t)(word * word_factor >> 32);
    out->words[1] = pair_hash(self->last, word, pair_factor);
    out->words[2] = pair_hash(self->before_last, word, gap_factor);
    out->word_count = FEATURES_WORDS_MAX;
    if (out->is_neutral)
        return;
    self->before_last = self->last;
    self->last = word;
}

/* What people put before, between and behind what they have to say, in either language. Each ends
 * with a space, so that it is of whole words; of those that begin alike the longest comes first. By
 * their first letters. */
enum { LETTERS = 26, PHRASES_MAX = 9 };
static const char *const neutral_phrases[LETTERS][PHRASES_MAX + 1] = {
    ['a' - 'a'] = { "annwyl syr neu fadam ", "annwyl syr " },
    ['b' - 'a'] = { "bore da " },
    ['d' - 'a'] = { "dear sir or madam ", "dear sir madam ", "dear sir ", "dear madam ",
                    "dydd da " },
    ['g' - 'a'] = { "good afternoon ", "good day ", "good evening ", "good morning " },
    ['h' - 'a'] = { "haia ", "heia ", "hello there ", "hello ", "helo ", "hey ", "hi there ",
                    "hiya ", "hi " },
    ['n' - 'a'] = { "noswaith dda " },
    ['o' - 'a'] = { "os gweli di n dda ", "os gweli din dda ", "os gwelwch yn dda " },
    ['p' - 'a'] = { "please ", "plis ", "pls ", "plse ", "plz ", "pnawn da ", "prynhawn da " },
    ['s' - 'a'] = { "shwmae ", "shwmai ", "smai ", "su mae " },
};

/* "Hi, there is a man": what comes then is no part of the greeting. */
static bool begins_a_sentence(const char *there, const char *end)
{
    static const char *const verbs[] = {
        "appears ", "aint ", "are ",    "arent ", "been ",  "came ",   "comes ", "could ",
        "goes ",    "has ",  "hasnt ",  "have ",  "is ",    "isnt ",   "looks ", "may ",
        "might ",   "must ", "r ",      "s ",     "seems ", "should ", "used ",  "was ",
        "wasnt ",   "were ", "werent ", "will ",  "wont ",  "would ",
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        size_t bytes = strlen(verbs[i]);
        if (bytes <= (size_t)(end - there) && memcmp(there, verbs[i], bytes) == 0)
            return true;
    }
    return false;
}

static bool is_phrase(const char *text, size_t length, const char *phrase, size_t bytes)
{
    static const char there[] = " there ";
    enum { THERE_BYTES = sizeof there - 1 };
    if (bytes > length || memcmp(text, phrase, bytes) != 0)
        return false;
    return bytes <= THERE_BYTES || memcmp(phrase + bytes - THERE_BYTES, there, THERE_BYTES) != 0 ||
           !begins_a_sentence(text + bytes, text + length);
}

static size_t neutral_phrase(const char *text, size_t length)
{
    if (length < 2 || text[0] < 'a' || text[0] > 'z')
        return 0;
    for (const char *const *phrase = neutral_phrases[text[0] - 'a']; *phrase; phrase++) {
        if ((*phrase)[1] != text[1])
            continue;
        size_t bytes = strlen(*phrase);
        if (is_phrase(text, length, *phrase, bytes))
            return bytes;
    }
    return 0;
}

/* Pictures are the only words of normalised text that begin with these bytes: U+2000 to U+2FFF and
 * what lies above U+FFFF, where no letters of living languages are. */
static bool is_picture(const char *word)
{
    return (unsigned char)word[0] == 0xE2 || (unsigned char)word[0] == 0xF0;
}

static bool is_neutral(struct feature_reader *self)
{
    if (self->at < self->neutral_end)
        return true;
    size_t bytes = neutral_phrase(self->text + self->at, self->length - self->at);
    self->neutral_end = self->at + bytes;
    return bytes > 0 || is_picture(self->text + self->at);
}

void features_begin(struct feature_reader *self, const char *text, size_t length, size_t from)
{
    assert(self && text && from <= length);
    *self =
        (struct feature_reader){ text, length, from, start_of_text, start_of_text, from, false };
}

bool features_next(struct feature_reader *self, struct feature_word *out)
{
    _Static_assert(GRAM_MAX - GRAM_MIN + 1 == 3, "room for three lengths of grams");
    const char *text = self->text;
    while (self->at < self->length && text[self->at] == ' ')
        self->at++;
    if (self->at == self->length)
        return false;
    size_t most = self->length - self->at;
    if (most > FEATURES_WORD_MAX_BYTES)
        most = FEATURES_WORD_MAX_BYTES;
    const char *space = memchr(text + self->at, ' ', most);
    size_t length = space ? (size_t)(space - (text + self->at)) : most;
    struct piece piece;
    take_piece(&piece, self, length);
    out->from = self->at;
    out->to = self->at + length;
    out->has_letter = piece.has_letter;
    out->is_neutral = is_neutral(self);
    put_words(self, &piece, out);
    out->gram_count = put_grams(&piece, GRAM_MIN, GRAM_MAX, out->grams);
    self->at += length;
    out->letter_count = 0;
    if (self->is_without_letters)
        return true;
    /* The two spaces alone tell nothing: bytes 1 and on for single ones, all for two. */
    out->letter_count = put_grams(&piece, 2, 2, out->letters);
    for (size_t i = 0; i < piece.length; i++)
        out->letters[out->letter_count++] = gram_hash(piece.bytes + 1 + i, 1);
    return true;
}
