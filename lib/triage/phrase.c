#include "triage/phrase.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "triage/normalise.h"
#include "triage/welsh.h"

enum { DEPTH_MAX = 2, GAP_WORDS_DEFAULT = 4, GAP_WORDS_MAX = 9, STEM_MIN_LETTERS = 3 };

struct parser {
    const char *phrase;
    size_t length;
    size_t at;
    bool is_welsh;
    unsigned depth;
    bool is_group_attached[DEPTH_MAX + 1]; /* by depth: to the word before it */
    unsigned parts;
    char *out;
    size_t used;
    struct error *err;
};

static int refuse(struct parser *self, const char *what)
{
    return error_set(self->err, ERROR_CONFIG, "phrase \"%.120s\", character %zu: %s", self->phrase,
                     self->at + 1, what);
}

static int emit(struct parser *self, const char *text)
{
    size_t length = strlen(text);
    if (length >= PHRASE_REGEX_BYTES - self->used)
        return refuse(self, "the phrase becomes too long: write two phrases");
    memcpy(self->out + self->used, text, length + 1);
    self->used += length;
    return 0;
}

static char peek(const struct parser *self, size_t ahead)
{
    if (self->at + ahead >= self->length)
        return '\0';
    return self->phrase[self->at + ahead];
}

/* What stands before here; before the phrase there is a space. */
static char previous(const struct parser *self)
{
    if (self->at == 0)
        return ' ';
    return self->phrase[self->at - 1];
}

static bool ends_term(char c)
{
    return c == '\0' || c == ' ' || c == ')' || c == '|';
}

static bool is_gap_sign(const struct parser *self)
{
    return peek(self, 0) == '.' && peek(self, 1) == '.' && peek(self, 2) == '.';
}

/* How far ahead the bracket that closes the one here stands; 0: none does. */
static size_t find_close(const struct parser *self)
{
    unsigned depth = 0;
    for (size_t i = 0; self->at + i < self->length; i++) {
        if (peek(self, i) == '(')
            depth++;
        else if (peek(self, i) == ')')
            depth--;
        if (depth == 0)
            return i;
    }
    return 0;
}

/* Whether a whole term is one group that may be missing: "(is)?" between spaces. */
static bool is_lone_optional(const struct parser *self)
{
    size_t close = find_close(self);
    return close > 0 && peek(self, close + 1) == '?' && ends_term(peek(self, close + 2));
}

/* Whether a term begins with words that may be missing: "(is)? " or "(is )?". */
static bool starts_with_optional_words(const struct parser *self)
{
    size_t close = find_close(self);
    return close > 0 && peek(self, close + 1) == '?' &&
           (peek(self, close - 1) == ' ' || peek(self, close + 2) == ' ');
}

/* Folds the codepoint here. Returns its bytes in the phrase, or 0 if it is not a letter or digit of
 * the phrase language. */
static size_t read_letter(const struct parser *self,
                          char folded[static NORMALISE_CODEPOINT_BYTES + 1])
{
    utf8proc_int32_t codepoint = 0;
    utf8proc_ssize_t step =
        utf8proc_iterate((const utf8proc_uint8_t *)self->phrase + self->at,
                         (utf8proc_ssize_t)(self->length - self->at), &codepoint);
    if (step < 1)
        return 0;
    size_t count = normalise_codepoint(codepoint, folded);
    folded[count] = '\0';
    bool is_plain = count > 0;
    for (size_t i = 0; i < count; i++)
        is_plain = is_plain && ((folded[i] >= 'a' && folded[i] <= 'z') ||
                                (folded[i] >= '0' && folded[i] <= '9'));
    return is_plain ? (size_t)step : 0;
}

/* An apostrophe (straight or curly) or hyphen: its bytes, or 0. */
static size_t joint_bytes(const struct parser *self)
{
    if (peek(self, 0) == '\'' || peek(self, 0) == '-')
        return 1;
    bool is_curly =
        self->length - self->at >= 3 && memcmp(self->phrase + self->at, "\xE2\x80\x99", 3) == 0;
    return is_curly ? 3 : 0;
}

/* Whether something of the same word stands before here: then a joint may be a space in the text.
 * At the start of an alternative it depends on what its group is attached to: he('s|'ll). */
static bool is_attached(const struct parser *self)
{
    char before = previous(self);
    if (before == '(' || before == '|')
        return self->is_group_attached[self->depth];
    return before != ' ';
}

static int parse_joint(struct parser *self, size_t bytes)
{
    bool is_inner = is_attached(self);
    self->at += bytes;
    if (!is_inner || ends_term(peek(self, 0)))
        return 0;
    return emit(self, " ?");
}

static int parse_mutating(struct parser *self)
{
    if (!self->is_welsh)
        return refuse(self, "~ is for Welsh: set the rule's language to cy or take it out");
    char before = previous(self);
    if (!strchr(" (|'-", before))
        return refuse(self, "~ stands before the first letter of a word");
    self->at++;
    char word[WELSH_WORD_BYTES] = "";
    size_t length = 0;
    char folded[NORMALISE_CODEPOINT_BYTES + 1];
    for (size_t step; (step = read_letter(self, folded)) > 0; self->at += step) {
        for (const char *letter = folded; *letter != '\0'; letter++) {
            if (length == WELSH_WORD_BYTES - 4)
                return refuse(self, "the word after ~ is too long: at most 60 letters");
            word[length++] = *letter;
        }
    }
    if (length < 2)
        return refuse(self, "~ needs a word of two letters or more after it, such as ~cyllell");
    char forms[WELSH_FORMS_MAX][WELSH_WORD_BYTES];
    size_t count = welsh_mutate(word, length, forms);
    for (size_t i = 0; i < count; i++) {
        if (emit(self, i == 0 ? "(?:" : "|") != 0 || emit(self, forms[i]) != 0)
            return -1;
    }
    return emit(self, ")");
}

static int parse_star(struct parser *self, size_t letters)
{
    if (letters < STEM_MIN_LETTERS)
        return refuse(self, "* needs at least three letters before it");
    self->at++;
    if (!ends_term(peek(self, 0)))
        return refuse(self, "* stands at the end of a word; write two words or another phrase");
    return emit(self, "[^ 0-9]*");
}

static int parse_sequence(struct parser *self);

static int parse_alternative(struct parser *self, bool is_space_outside_before)
{
    if (peek(self, 0) == ' ') {
        if (is_space_outside_before)
            return refuse(self, "a space before and after the bracket: leave one out");
        if (emit(self, " ") != 0)
            return -1;
        self->at++;
    }
    return parse_sequence(self);
}

static int parse_group(struct parser *self)
{
    if (self->depth == DEPTH_MAX)
        return refuse(self, "brackets inside brackets inside brackets: write two phrases");
    bool is_after_space = previous(self) == ' ';
    bool is_space_last = false;
    self->is_group_attached[self->depth + 1] = is_attached(self);
    self->depth++;
    self->at++;
    if (emit(self, "(?:") != 0)
        return -1;
    for (;;) {
        if (parse_alternative(self, is_after_space) != 0)
            return -1;
        if (previous(self) == ' ') {
            is_space_last = true;
            if (emit(self, " ") != 0)
                return -1;
        }
        if (peek(self, 0) != '|')
            break;
        self->at++;
        if (emit(self, "|") != 0)
            return -1;
    }
    if (peek(self, 0) != ')')
        return refuse(self, "a bracket is not closed: write )");
    self->at++;
    self->depth--;
    bool is_optional = peek(self, 0) == '?';
    self->at += is_optional;
    if (is_space_last && ends_term(peek(self, 0)))
        return refuse(self, "a space before and after the bracket: leave one out");
    return emit(self, is_optional ? ")?" : ")");
}

/* Letters, groups, joints and * up to the next space: one word, or what is written like one. */
static int parse_term(struct parser *self)
{
    size_t letters = 0;
    size_t same = 0; /* text holds at most two of a letter in a row */
    char last = '\0';
    while (!ends_term(peek(self, 0))) {
        char folded[NORMALISE_CODEPOINT_BYTES + 1];
        size_t joint = joint_bytes(self);
        size_t step = joint > 0 ? 0 : read_letter(self, folded);
        int rc = 0;
        if (step > 0) {
            same = folded[0] == last ? same + 1 : 1;
            last = folded[0];
            bool is_left_out = same > 2 && (last < '0' || last > '9');
            letters++;
            self->at += step;
            rc = is_left_out ? 0 : emit(self, folded);
        } else if (joint > 0) {
            rc = parse_joint(self, joint);
        } else if (peek(self, 0) == '(') {
            rc = parse_group(self);
            letters = 0;
        } else if (peek(self, 0) == '~') {
            rc = parse_mutating(self);
            letters = STEM_MIN_LETTERS;
        } else if (peek(self, 0) == '*') {
            rc = parse_star(self, letters);
        } else if (peek(self, 0) == '?') {
            return refuse(self, "? stands after a closing bracket: write (word)?");
        } else {
            return refuse(self, "this sign is not part of a phrase: write words, ( | ), ( )?, ..., "
                                "word* or ~word; punctuation is a gap between words anyway");
        }
        if (rc != 0)
            return -1;
        if (step == 0)
            last = '\0';
    }
    return 0;
}

static int parse_group(struct parser *self);

/* Words that may be missing right after a gap are part of the gap: left in the expression they
 * would blur where the part begins. Returns how many words they may be, or -1. */
static int skip_optional_words(struct parser *self)
{
    int words = 0;
    while (peek(self, 0) == ' ')
        self->at++;
    while (starts_with_optional_words(self)) {
        size_t used = self->used;
        size_t start = self->at;
        if (parse_group(self) != 0) /* refuses what is wrong in it */
            return -1;
        self->used = used;
        self->out[used] = '\0';
        words++;
        for (size_t i = start; i < self->at; i++)
            words += self->phrase[i] == ' ';
        while (peek(self, 0) == ' ')
            self->at++;
    }
    return words;
}

static int begin_part(struct parser *self, int words)
{
    if (++self->parts > PHRASE_PARTS_MAX)
        return refuse(self, "more than seven gaps: write two phrases");
    int more = skip_optional_words(self);
    if (more < 0)
        return -1;
    words = words + more > GAP_WORDS_MAX ? GAP_WORDS_MAX : words + more;
    char text[32];
    (void)snprintf(text, sizeof text, " %c%d ", PHRASE_PART_END, words);
    return emit(self, text);
}

/* Between words of the whole phrase a gap begins a new part; inside brackets it is an expression.
 */
static int parse_gap(struct parser *self)
{
    self->at += 3;
    int words = GAP_WORDS_DEFAULT;
    if (peek(self, 0) >= '1' && peek(self, 0) <= '9') {
        words = peek(self, 0) - '0';
        self->at++;
    }
    if (peek(self, 0) != ' ' || ends_term(peek(self, 1)) || peek(self, 1) == '.')
        return refuse(self, "a gap is ... or ...1 to ...9 with a space and a word on either side");
    if (self->depth == 0)
        return begin_part(self, words);
    char text[32];
    (void)snprintf(text, sizeof text, "(?: [^ ]+){0,%d}", words);
    return emit(self, text);
}

/* Terms up to the end, a | or a ). Spaces lie between terms; a missing optional term takes its
 * space along: the one after it until a term that must be there has come, the one before it from
 * then on. */
static int parse_sequence(struct parser *self)
{
    bool has_anchor = false;
    while (!ends_term(peek(self, 0)) || peek(self, 0) == ' ') {
        if (peek(self, 0) == ' ') {
            self->at++;
            continue;
        }
        if (is_gap_sign(self)) {
            if (!has_anchor)
                return refuse(self, "a gap needs a word before it that must be there");
            if (parse_gap(self) != 0)
                return -1;
            has_anchor = self->depth > 0; /* the next part needs one of its own */
            continue;
        }
        bool is_optional = is_lone_optional(self);
        const char *before = is_optional ? (has_anchor ? "(?: " : "(?:") : (has_anchor ? " " : "");
        const char *after = is_optional ? (has_anchor ? ")?" : " )?") : "";
        if (emit(self, before) != 0)
            return -1;
        size_t used = self->used;
        if (parse_term(self) != 0)
            return -1;
        if (self->used == used)
            return refuse(self, "an apostrophe or hyphen alone is no word: write a letter or digit "
                                "with it");
        if (is_optional)
            self->out[--self->used] = '\0'; /* the group's own "?": the space around it decides */
        if (emit(self, after) != 0)
            return -1;
        has_anchor = has_anchor || !is_optional;
    }
    if (!has_anchor)
        return refuse(self, "nothing that must be there: write at least one word outside ( )?");
    return 0;
}

int phrase_compile(const char *phrase, bool is_welsh, char out[static PHRASE_REGEX_BYTES],
                   struct error *err)
{
    assert(phrase && out && err);
    struct parser self = { .parts = 1,
                           .phrase = phrase,
                           .length = strlen(phrase),
                           .is_welsh = is_welsh,
                           .out = out,
                           .err = err };
    if (self.length > PHRASE_MAX_BYTES)
        return refuse(&self, "longer than 300 bytes: write two phrases");
    while (self.length > 0 && phrase[self.length - 1] == ' ')
        self.length--;
    if (emit(&self, " ") != 0 || parse_sequence(&self) != 0)
        return -1;
    if (self.at < self.length)
        return refuse(&self, "this stands outside brackets: write (one|other)");
    return emit(&self, " ");
}
