#include "triage/phrase.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "triage/forms.h"
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
    unsigned gaps;
    struct error *err;
};

static int refuse(struct parser *self, const char *what)
{
    return error_set(self->err, ERROR_CONFIG, "phrase \"%.120s\", character %zu: %s", self->phrase,
                     self->at + 1, what);
}

static int refuse_for_memory(struct parser *self)
{
    return error_set(self->err, ERROR_SYSTEM, "no memory for the phrases");
}

/* The forms so far, each followed by this text. */
static int follow_text(struct parser *self, struct forms *forms, const char *text)
{
    return forms_append(forms, text, strlen(text)) == 0 ? 0 : refuse_for_memory(self);
}

/* … each followed by each of next, which is emptied. */
static int follow(struct parser *self, struct forms *forms, struct forms *next, const char *between)
{
    bool is_too_many = forms->count * next->count > PHRASE_FORMS_MAX;
    if (forms_follow(forms, next, between, PHRASE_FORMS_MAX) == 0)
        return 0;
    return is_too_many ? refuse(self, "the phrase becomes too long: write two phrases")
                       : refuse_for_memory(self);
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

/* Folds the codepoint here: a letter or digit of the phrase language, or an emoji, which is a word
 * of its own. Returns its bytes in the phrase, or 0 if it is neither. */
static size_t read_letter(const struct parser *self,
                          char folded[static NORMALISE_CODEPOINT_BYTES + 3])
{
    unsigned char first = (unsigned char)peek(self, 0);
    if (first < 0x80) { /* as below, but quickly: most letters are such */
        size_t bytes = normalise_codepoint(first, folded);
        folded[bytes] = '\0';
        return bytes > 0 && folded[0] != ' ';
    }
    utf8proc_int32_t codepoint = 0;
    utf8proc_ssize_t step =
        utf8proc_iterate((const utf8proc_uint8_t *)self->phrase + self->at,
                         (utf8proc_ssize_t)(self->length - self->at), &codepoint);
    if (step < 1)
        return 0;
    bool is_emoji = normalise_is_emoji(codepoint);
    size_t count = normalise_codepoint(codepoint, folded + is_emoji);
    if (is_emoji) {
        folded[0] = folded[count + 1] = ' ';
        folded[count + 2] = '\0';
        return (size_t)step;
    }
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

/* May be a space in the text, or nothing. */
static int parse_joint(struct parser *self, size_t bytes, struct forms *out)
{
    bool is_inner = is_attached(self);
    self->at += bytes;
    if (!is_inner || ends_term(peek(self, 0)))
        return 0;
    struct forms next = { 0 };
    if (forms_add(&next, "", 0) != 0 || forms_add(&next, " ", 1) != 0) {
        forms_clear(&next);
        return refuse_for_memory(self);
    }
    return follow(self, out, &next, "");
}

static int parse_mutating(struct parser *self, struct forms *out)
{
    if (!self->is_welsh)
        return refuse(self, "~ is for Welsh: set the rule's language to cy or take it out");
    char before = previous(self);
    if (!strchr(" (|'-", before))
        return refuse(self, "~ stands before the first letter of a word");
    self->at++;
    char word[WELSH_WORD_BYTES] = "";
    size_t length = 0;
    char folded[NORMALISE_CODEPOINT_BYTES + 3];
    for (size_t step; (step = read_letter(self, folded)) > 0; self->at += step) {
        for (const char *letter = folded; *letter != '\0'; letter++) {
            if (length == WELSH_WORD_BYTES - 4)
                return refuse(self, "the word after ~ is too long: at most 60 letters");
            word[length++] = *letter;
        }
    }
    if (length < 2)
        return refuse(self, "~ needs a word of two letters or more after it, such as ~cyllell");
    char mutated[WELSH_FORMS_MAX][WELSH_WORD_BYTES];
    size_t count = welsh_mutate(word, length, mutated);
    struct forms next = { 0 };
    for (size_t i = 0; i < count; i++) {
        if (forms_add(&next, mutated[i], strlen(mutated[i])) != 0) {
            forms_clear(&next);
            return refuse_for_memory(self);
        }
    }
    return follow(self, out, &next, "");
}

static int parse_star(struct parser *self, size_t letters, struct forms *out)
{
    static const char stem_end[] = { PHRASE_STEM_END, '\0' };
    if (letters < STEM_MIN_LETTERS)
        return refuse(self, "* needs at least three letters before it");
    self->at++;
    if (!ends_term(peek(self, 0)))
        return refuse(self, "* stands at the end of a word; write two words or another phrase");
    return follow_text(self, out, stem_end);
}

static int parse_words(struct parser *self, struct forms *out);

/* A space before each form. */
static int forms_lead(struct parser *self, struct forms *forms)
{
    struct forms lead = { 0 };
    int rc =
        forms_add(&lead, " ", 1) == 0 ? follow(self, &lead, forms, "") : refuse_for_memory(self);
    forms_clear(forms);
    *forms = lead;
    return rc;
}

static int parse_alternative(struct parser *self, bool is_space_outside_before, struct forms *out)
{
    bool is_space_first = peek(self, 0) == ' ';
    if (is_space_first && is_space_outside_before)
        return refuse(self, "a space before and after the bracket: leave one out");
    self->at += is_space_first;
    if (parse_words(self, out) != 0)
        return -1;
    return is_space_first ? forms_lead(self, out) : 0;
}

/* The alternatives between two brackets, each with the spaces at its ends. */
static int parse_alternatives(struct parser *self, bool *is_space_last, struct forms *out)
{
    bool is_after_space = previous(self) == ' ';
    self->is_group_attached[self->depth + 1] = is_attached(self);
    self->depth++;
    do {
        self->at++; /* past ( or | */
        struct forms one = { 0 };
        int rc = parse_alternative(self, is_after_space, &one);
        if (rc == 0 && previous(self) == ' ') {
            *is_space_last = true;
            rc = follow_text(self, &one, " ");
        }
        if (rc == 0 && forms_unite(out, &one) != 0)
            rc = refuse_for_memory(self);
        forms_clear(&one);
        if (rc != 0)
            return -1;
    } while (peek(self, 0) == '|');
    self->depth--;
    return 0;
}

static int parse_group(struct parser *self, struct forms *out)
{
    if (self->depth == DEPTH_MAX)
        return refuse(self, "brackets inside brackets inside brackets: write two phrases");
    bool is_space_last = false;
    struct forms group = { 0 };
    int rc = parse_alternatives(self, &is_space_last, &group);
    if (rc == 0 && peek(self, 0) != ')')
        rc = refuse(self, "a bracket is not closed: write )");
    if (rc == 0) {
        self->at++;
        bool is_optional = peek(self, 0) == '?';
        self->at += is_optional;
        if (is_space_last && ends_term(peek(self, 0)))
            rc = refuse(self, "a space before and after the bracket: leave one out");
        else if (is_optional && forms_add(&group, "", 0) != 0)
            rc = refuse_for_memory(self);
    }
    if (rc == 0)
        return follow(self, out, &group, "");
    forms_clear(&group);
    return rc;
}

/* The letters of a term that have not gone into its forms yet, and the run of one among them: text
 * holds at most two in a row. */
struct run {
    size_t letters; /* of the word so far */
    size_t same;
    char last;
    size_t waiting;
    char text[PHRASE_MAX_BYTES + NORMALISE_CODEPOINT_BYTES + 3];
};

static int flush_letters(struct parser *self, struct run *run, struct forms *out)
{
    run->text[run->waiting] = '\0';
    bool is_none = run->waiting == 0;
    run->waiting = 0;
    return is_none ? 0 : follow_text(self, out, run->text);
}

static int parse_letter(struct parser *self, struct run *run, size_t step, const char *folded,
                        struct forms *out)
{
    run->same = folded[0] == run->last ? run->same + 1 : 1;
    run->last = folded[0];
    run->letters++;
    self->at += step;
    bool is_left_out = run->same > 2 && (run->last < '0' || run->last > '9');
    size_t length = is_left_out ? 0 : strlen(folded);
    if (run->waiting + length >= sizeof run->text && flush_letters(self, run, out) != 0)
        return -1;
    memcpy(run->text + run->waiting, folded, length);
    run->waiting += length;
    return 0;
}

static int parse_piece(struct parser *self, struct run *run, struct forms *out)
{
    char folded[NORMALISE_CODEPOINT_BYTES + 3];
    size_t joint = joint_bytes(self);
    size_t step = joint > 0 ? 0 : read_letter(self, folded);
    if (step > 0)
        return parse_letter(self, run, step, folded, out);
    if (flush_letters(self, run, out) != 0)
        return -1;
    run->last = '\0';
    if (joint > 0)
        return parse_joint(self, joint, out);
    switch (peek(self, 0)) {
    case '(':
        run->letters = 0;
        return parse_group(self, out);
    case '~':
        run->letters = STEM_MIN_LETTERS;
        return parse_mutating(self, out);
    case '*':
        return parse_star(self, run->letters, out);
    case '?':
        return refuse(self, "? stands after a closing bracket: write (word)?");
    default:
        return refuse(self, "this sign is not part of a phrase: write words, ( | ), ( )?, ..., "
                            "word* or ~word, or an emoji; punctuation is a gap between words "
                            "anyway");
    }
}

/* Letters, groups, joints and * up to the next space: one word, or what is written like one.
 * *is_optional: it may be missing as a whole. */
static int parse_term(struct parser *self, struct forms *out, bool *is_optional)
{
    struct run run = { 0 };
    size_t start = self->at;
    if (forms_add(out, "", 0) != 0)
        return refuse_for_memory(self);
    while (!ends_term(peek(self, 0))) {
        if (parse_piece(self, &run, out) != 0)
            return -1;
    }
    if (flush_letters(self, &run, out) != 0)
        return -1;
    bool is_lone_group = self->phrase[start] == '(' && self->phrase[self->at - 1] == '?';
    bool has_text = out->bytes > out->count;
    if (!has_text)
        return refuse(self, "an apostrophe or hyphen alone is no word: write a letter or digit "
                            "with it");
    *is_optional = false;
    for (const char *form = NULL; (form = forms_next(out, form));)
        *is_optional |= form[strspn(form, " ")] == '\0';
    return *is_optional && !is_lone_group
               ? refuse(self, "nothing of this word must be there: write (word)? for what may be "
                              "missing")
               : 0;
}

/* How many words the gap here may hold; -1: it is not written like one. */
static int read_gap(struct parser *self)
{
    self->at += 3;
    int words = GAP_WORDS_DEFAULT;
    if (peek(self, 0) >= '1' && peek(self, 0) <= '9') {
        words = peek(self, 0) - '0';
        self->at++;
    }
    if (peek(self, 0) == ' ' && !ends_term(peek(self, 1)) && peek(self, 1) != '.')
        return words;
    return refuse(self, "a gap is ... or ...1 to ...9 with a space and a word on either side");
}

/* Told of each thing of a sequence: a gap of so many words, or (0) forms, which it empties. */
typedef int sequence_part(struct parser *self, void *arg, unsigned gap_words, struct forms *forms,
                          bool is_optional);

/* Terms up to the end, a | or a ), with spaces between them. */
static int parse_sequence(struct parser *self, sequence_part *part, void *arg)
{
    bool has_anchor = false;
    while (!ends_term(peek(self, 0)) || peek(self, 0) == ' ') {
        if (peek(self, 0) == ' ') {
            self->at++;
            continue;
        }
        struct forms forms = { 0 };
        if (is_gap_sign(self)) {
            if (!has_anchor)
                return refuse(self, "a gap needs a word before it that must be there");
            int words = read_gap(self);
            if (words < 0 || part(self, arg, (unsigned)words, &forms, false) != 0)
                return -1;
            has_anchor = self->depth > 0; /* the next part needs one of its own */
            continue;
        }
        bool is_optional = false;
        int rc = parse_term(self, &forms, &is_optional);
        if (rc == 0)
            rc = part(self, arg, 0, &forms, is_optional);
        forms_clear(&forms);
        if (rc != 0)
            return -1;
        has_anchor = has_anchor || !is_optional;
    }
    if (!has_anchor)
        return refuse(self, "nothing that must be there: write at least one word outside ( )?");
    return 0;
}

/* Inside brackets: what follows is put together to whole forms. */
static int put_together(struct parser *self, void *arg, unsigned gap_words, struct forms *forms,
                        bool is_optional)
{
    (void)is_optional; /* then one of the forms is empty */
    struct forms *out = arg;
    char any_words[2 * (GAP_WORDS_MAX + 1)] = "";
    size_t used = 0;
    for (unsigned i = 0; gap_words > 0 && i <= gap_words; i++) {
        if (forms_add(forms, any_words, used) != 0)
            return refuse_for_memory(self);
        any_words[used++] = ' ';
        any_words[used++] = PHRASE_ANY_WORD;
    }
    return follow(self, out, forms, " ");
}

static int parse_words(struct parser *self, struct forms *out)
{
    if (forms_add(out, "", 0) != 0)
        return refuse_for_memory(self);
    return parse_sequence(self, put_together, out);
}

/* A stem stands at the end of a word, and is long enough to be one: in "self-h*" it may be h alone.
 */
static int check_stems(struct parser *self, const char *form)
{
    const char *stem_end = strchr(form, PHRASE_STEM_END);
    if (!stem_end)
        return 0;
    if (stem_end[1] != '\0' && stem_end[1] != ' ')
        return refuse(self, "* stands at the end of a word; write two words or another phrase");
    const char *word = stem_end;
    while (word > form && word[-1] != ' ')
        word--;
    if (stem_end - word < STEM_MIN_LETTERS)
        return refuse(self, "* needs at least three letters before it");
    return check_stems(self, stem_end + 1);
}

/* Of the whole phrase: one more term. */
static int add_term(struct parser *self, void *arg, unsigned gap_words, struct forms *forms,
                    bool is_optional)
{
    struct phrase *out = arg;
    self->gaps += gap_words > 0;
    if (self->gaps > PHRASE_GAPS_MAX)
        return refuse(self, "more than seven gaps: write two phrases");
    if (out->term_count == PHRASE_TERMS_MAX)
        return refuse(self, "too many words: write two phrases");
    struct phrase_term *term = &out->terms[out->term_count++];
    *term = (struct phrase_term){ .gap_words = gap_words, .is_optional = is_optional };
    if (gap_words > 0)
        return 0;
    if (forms_tidy(forms) != 0)
        return refuse_for_memory(self);
    for (const char *form = NULL; (form = forms_next(forms, form));) {
        if (check_stems(self, form) != 0)
            return -1;
    }
    term->forms = *forms;
    *forms = (struct forms){ 0 };
    return 0;
}

void phrase_clear(struct phrase *self)
{
    for (size_t i = 0; i < self->term_count; i++)
        forms_clear(&self->terms[i].forms);
    self->term_count = 0;
}

int phrase_parse(const char *text, bool is_welsh, struct phrase *out, struct error *err)
{
    assert(text && out && err);
    struct parser self = {
        .phrase = text, .length = strlen(text), .is_welsh = is_welsh, .err = err
    };
    out->term_count = 0;
    if (self.length > PHRASE_MAX_BYTES)
        return refuse(&self, "longer than 300 bytes: write two phrases");
    while (self.length > 0 && text[self.length - 1] == ' ')
        self.length--;
    int rc = parse_sequence(&self, add_term, out);
    if (rc == 0 && self.at < self.length)
        rc = refuse(&self, "this stands outside brackets: write (one|other)");
    if (rc != 0)
        phrase_clear(out);
    return rc;
}
