/* Near-copies are told from other events: by tables of what must and must not be alike, and by
 * thousands of generated pairs whose overlap is known. All text is invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules_fixture.h"
#include "triage/sketch.h"

enum { TEXT_BYTES = 12000, SEQUENCE_MAX = 1500, PAIRS = 6000, LONG_PAIRS = 600 };

static const char *const neutral[] = {
    "road",      "crash",   "smoke",     "bridge",   "police", "people", "running", "street",
    "lorry",     "water",   "flood",     "shouting", "window", "broken", "crowd",   "garden",
    "fire",      "engine",  "heard",     "loud",     "bang",   "near",   "market",  "station",
    "please",    "share",   "everyone",  "avoid",    "area",   "stay",   "away",    "from",
    "there",     "is",      "and",       "the",      "a",      "in",     "of",      "by",
    "cars",      "blocked", "traffic",   "queue",    "long",   "delays", "expect",  "bus",
    "school",    "park",    "gate",      "fence",    "dog",    "horse",  "field",   "river",
    "bank",      "rising",  "fast",      "tree",     "down",   "across", "lane",    "with",
    "mae",       "tân",     "yn",        "y",        "stryd",  "fawr",   "ger",     "bont",
    "llifogydd", "afon",    "coeden",    "wedi",     "cwympo", "ffordd", "heol",    "ysgol",
    "swnllyd",   "gwelais", "goleuadau", "glas",     "tyrfa"
};
enum { NEUTRAL = sizeof neutral / sizeof neutral[0] };

struct fixture {
    struct sketcher *sketcher;
    struct normalised *normalised;
    uint32_t chance;
};

static int set_up(void **state)
{
    struct error err = { 0 };
    struct fixture *f = calloc(1, sizeof *f);
    f->sketcher = sketcher_new(&err);
    f->normalised = normalised_new(&err);
    assert_non_null(f->sketcher);
    assert_non_null(f->normalised);
    f->chance = 20261122;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sketcher_destroy(&f->sketcher);
    normalised_destroy(&f->normalised);
    free(f);
    return 0;
}

static uint32_t below(struct fixture *f, uint32_t limit)
{
    f->chance = f->chance * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)(f->chance >> 4) * limit) >> 28);
}

static size_t draw(struct fixture *f, const Desg__V1__Event *event, uint8_t *out)
{
    size_t length = strlen(event->text);
    assert_int_equal(normalise(f->normalised, event->text, length, 0), length);
    return sketcher_draw(f->sketcher, event, f->normalised, out);
}

static bool are_alike(struct fixture *f, const Desg__V1__Event *a, const Desg__V1__Event *b)
{
    const Desg__V1__Event *events[] = { a, b };
    struct sketch sketches[2];
    for (int i = 0; i < 2; i++) {
        uint8_t bytes[SKETCH_MAX_BYTES];
        size_t length = draw(f, events[i], bytes);
        if (length == 0)
            return false;
        assert_true(sketch_read(bytes, length, &sketches[i]));
    }
    bool is_alike = sketch_is_alike(&sketches[0], &sketches[1]);
    assert_true(sketch_is_alike(&sketches[1], &sketches[0]) == is_alike);
    return is_alike;
}

static Desg__V1__Event said(const char *text, bool is_public)
{
    Desg__V1__Event event = DESG__V1__EVENT__INIT;
    event.kind = is_public ? DESG__V1__EVENT_KIND__EVENT_KIND_MENTION
                           : DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE;
    event.text = (char *)text;
    event.is_public = is_public;
    return event;
}

static bool texts_are_alike(struct fixture *f, const char *a, const char *b)
{
    Desg__V1__Event first = said(a, true);
    Desg__V1__Event second = said(b, true);
    return are_alike(f, &first, &second);
}

struct pair {
    const char *a;
    const char *b;
};

static void copies_of_one_event_are_alike(void **state)
{
    static const struct pair pairs[] = {
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "RT @cwmnews24: Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep "
          "away" },
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "LORRY ON FIRE BY THE BRIDGE IN ABERCWM, SMOKE EVERYWHERE, PLEASE KEEP AWAY!!! 🔥🔥" },
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "lorry on fire by the bridge in abercwm smoke everywhere plaese keep away" },
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "Hi all, lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away" },
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "Good morning everyone! Lorry on fire by the bridge in Abercwm, smoke everywhere, please "
          "keep away" },
        { "M4 J27 closed, lorry over. Avoid the area https://example.test/a1b2",
          "M4 J27 closed, lorry over. Avoid the area https://example.test/zz9k" },
        { "Mae tân mawr ger yr ysgol yn Abercwm, cadwch draw os gwelwch yn dda",
          "Mae tan mawr ger yr ysgol yn Abercwm, cadwch draw os gwelwch yn dda 🙏" },
        { "Fire at the market now", "Fire at the market now 😱" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!texts_are_alike(*state, pairs[i].a, pairs[i].b))
            fail_msg("pair %zu should be alike", i);
}

static void other_events_are_not_alike_however_like_they_sound(void **state)
{
    static const struct pair pairs[] = {
        /* the same road, another junction; another time; another house */
        { "Crash on the M4 westbound at junction 26, two lanes blocked, please avoid the area if "
          "you "
          "can",
          "Crash on the M4 westbound at junction 28, two lanes blocked, please avoid the area if "
          "you "
          "can" },
        { "Crash on the M4 westbound at J26, two lanes blocked, please avoid the area if you can",
          "Crash on the M4 eastbound at J26, two lanes blocked, please avoid the area if you can" },
        { "Crash on the M4 westbound at J26, two lanes blocked, please avoid the area if you can",
          "Crash on the M4 westbound at J26, three lanes blocked, please avoid the area if you "
          "can" },
        { "There is somebody climbing in at the window of number 14 Heol y Bont as we speak",
          "There is somebody climbing in at the window of number 41 Heol y Bont as we speak" },
        /* the same words, another person or place */
        { "please help Carys is hitting me again", "please help Dafydd is hitting me again" },
        { "please help carys is hitting me again", "please help dafydd is hitting me again" },
        { "There is a man with a knife outside the post office in Abercwm, people are running away",
          "There is a man with a knife outside the post office in Pentreglas, people are running "
          "away" },
        { "my neighbour is shouting at his wife again and the children are crying upstairs",
          "my neighbour is shouting at her husband again and the children are crying upstairs" },
        /* the same words, the opposite */
        { "The bridge in the middle of the town is closed because of the water, go round",
          "The bridge in the middle of the town is open because of the water, go round" },
        { "the people in the house by the river are safe and the water is going down now",
          "the people in the house by the river are not safe and the water is going down now" },
        { "mae'r bont ynghanol y dref ar agor o achos y dŵr, ewch o gwmpas",
          "mae'r bont ynghanol y dref ar gau o achos y dŵr, ewch o gwmpas" },
        /* forwarded, with a word of one's own */
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away from the "
          "river",
          "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away from the "
          "river. I am trapped in my car behind it" },
        /* nothing in common */
        { "Lorry on fire by the bridge in Abercwm, smoke everywhere, please keep away",
          "When does the office in Pentreglas open, I would like to hand in a purse" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (texts_are_alike(*state, pairs[i].a, pairs[i].b))
            fail_msg("pair %zu should not be alike", i);
}

static void few_words_have_no_sketch(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[SKETCH_MAX_BYTES];
    Desg__V1__Event event = said("he's back", true);
    assert_int_equal(draw(f, &event, bytes), 0);
    event = said("he's back 🔪 🔪 🔪 🔪 🔪", true);
    assert_int_equal(draw(f, &event, bytes), 0);
    event = said("", true);
    assert_int_equal(draw(f, &event, bytes), 0);
    event = said("smoke over the market hall", true);
    assert_true(draw(f, &event, bytes) > 0);
    event = said("smoke over the market hall", false); /* in private it may be two fires */
    assert_int_equal(draw(f, &event, bytes), 0);
    event = said("there is smoke coming over the market hall", false);
    assert_true(draw(f, &event, bytes) > 0);
}

static void what_comes_with_the_words_counts(void **state)
{
    static const char text[] = "somebody is breaking into the shed behind the house";
    Desg__V1__Event first = said(text, false);
    Desg__V1__Event second = said(text, false);
    uint8_t bytes[SKETCH_MAX_BYTES];
    assert_true(are_alike(*state, &first, &second));
    first.location_text = (char *)"2 Heol y Bont";
    second.location_text = (char *)"3 Heol y Bont";
    assert_false(are_alike(*state, &first, &second));
    second.location_text = first.location_text;
    assert_true(are_alike(*state, &first, &second));
    Desg__V1__Attachment place = DESG__V1__ATTACHMENT__INIT;
    Desg__V1__Attachment other = DESG__V1__ATTACHMENT__INIT;
    Desg__V1__Attachment *list = &place;
    Desg__V1__Attachment *other_list = &other;
    place.latitude = 51.5;
    other.latitude = 51.6;
    first.attachments = &list;
    first.n_attachments = 1;
    assert_false(are_alike(*state, &first, &second));
    second.attachments = &other_list;
    second.n_attachments = 1;
    assert_false(are_alike(*state, &first, &second));
    other.latitude = place.latitude;
    assert_true(are_alike(*state, &first, &second));
    first.kind = DESG__V1__EVENT_KIND__EVENT_KIND_POSTBACK; /* everybody's button is the same */
    assert_int_equal(draw(*state, &first, bytes), 0);
}

/* --- generated pairs --- */

/* A text as words, so that the overlap is known without the code under test. A number above NEUTRAL
 * is a word of its own. */
struct sequence {
    uint32_t list[SEQUENCE_MAX];
    size_t count;
};

static void add_word(struct sequence *words, uint32_t word)
{
    if (words->count < SEQUENCE_MAX)
        words->list[words->count++] = word;
}

static void write_word(uint32_t word, char out[static 32])
{
    if (word < NEUTRAL) {
        (void)snprintf(out, 32, "%s", neutral[word]);
        return;
    }
    size_t at = 0;
    out[at++] = 'z';
    for (uint32_t left = word; left > 0; left /= 16)
        out[at++] = (char)("bcdfghjklmnpqrst"[left % 16]);
    out[at] = '\0';
}

static void write_text(const struct sequence *words, char *out)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < words->count; i++) {
        char word[32];
        write_word(words->list[i], word);
        at += (size_t)snprintf(out + at, TEXT_BYTES - at, "%s%s", i > 0 ? " " : "", word);
        assert_true(at < TEXT_BYTES);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static size_t pairs_of(const struct sequence *words, uint64_t *out)
{
    size_t count = 0;
    size_t kept = 0;
    for (size_t i = 1; i < words->count; i++)
        out[count++] = (uint64_t)words->list[i - 1] << 32 | words->list[i];
    qsort(out, count, sizeof *out, by_value);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

struct overlap {
    double share; /* of all pairs */
    size_t common;
    size_t alone; /* the most that one of them has */
};

static struct overlap overlap(const struct sequence *a, const struct sequence *b)
{
    static uint64_t left[SEQUENCE_MAX];
    static uint64_t right[SEQUENCE_MAX];
    size_t left_count = pairs_of(a, left);
    size_t right_count = pairs_of(b, right);
    size_t common = 0;
    for (size_t i = 0, j = 0; i < left_count && j < right_count;) {
        common += left[i] == right[j];
        uint64_t one = left[i];
        uint64_t two = right[j];
        i += one <= two;
        j += two <= one;
    }
    size_t most = left_count > right_count ? left_count : right_count;
    return (struct overlap){ (double)common / (double)(left_count + right_count - common), common,
                             most - common };
}

static void make_words(struct fixture *f, size_t count, uint32_t vocabulary, struct sequence *out)
{
    out->count = 0;
    for (size_t i = 0; i < count; i++)
        add_word(out, below(f, vocabulary));
}

/* Leaves words out, writes others wrong, puts new ones in: the more, the higher share (of 1000). */
static void change_words(struct fixture *f, const struct sequence *from, uint32_t share,
                         struct sequence *out)
{
    out->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        uint32_t fresh = 1000 + below(f, 1U << 20);
        uint32_t how = below(f, 1000) < share ? 1 + below(f, 3) : 0;
        if (how == 2)
            add_word(out, fresh);
        if (how != 1)
            add_word(out, how == 3 ? fresh : from->list[i]);
    }
}

struct tally {
    size_t near;
    size_t far;
    size_t between;
};

/* How much must be common to be found: 4/5, with a few words of one's own; of long texts, of which
 * a sketch is a sample, more. */
static bool is_near(const struct overlap *overlap, bool is_exact)
{
    return is_exact ? overlap->share >= 0.8 && overlap->alone <= 6 : overlap->share >= 0.93;
}

/* And how little never is: half, or a sentence of one's own. */
static bool is_far(const struct overlap *overlap, bool is_exact)
{
    return overlap->share <= 0.5 ||
           (is_exact ? overlap->alone > 6 && overlap->alone > overlap->common / 10
                     : overlap->alone * 4 > overlap->common);
}

static void judge_pair(struct fixture *f, const struct sequence *a, const struct sequence *b,
                       bool is_exact, struct tally *tally)
{
    static char first[TEXT_BYTES];
    static char second[TEXT_BYTES];
    struct overlap found = overlap(a, b);
    write_text(a, first);
    write_text(b, second);
    bool is_alike = texts_are_alike(f, first, second);
    bool is_expected = found.share >= 2.0 / 3 - 1e-9 && !is_far(&found, true);
    if (is_near(&found, is_exact) && !is_alike)
        fail_msg("%zu and %zu words overlap by %.3f and are not alike", a->count, b->count,
                 found.share);
    if (is_far(&found, is_exact) && is_alike)
        fail_msg("%zu and %zu words overlap by %.3f and are alike", a->count, b->count,
                 found.share);
    if (is_exact && is_expected != is_alike)
        fail_msg("%zu and %zu words overlap by %.3f", a->count, b->count, found.share);
    tally->near += is_near(&found, is_exact);
    tally->far += is_far(&found, is_exact);
    tally->between += !is_near(&found, is_exact) && !is_far(&found, is_exact);
}

static void pairs_overlapping_by_four_fifths_are_found_and_by_half_never(void **state)
{
    struct fixture *f = *state;
    struct tally tally = { 0 };
    for (int i = 0; i < PAIRS; i++) {
        struct sequence a;
        struct sequence b;
        make_words(f, 6 + below(f, 60), i % 2 == 0 ? NEUTRAL : 1U << 16, &a);
        change_words(f, &a, below(f, 300), &b);
        if (b.count >= SKETCH_WORDS_PUBLIC)
            judge_pair(f, &a, &b, true, &tally);
    }
    assert_true(tally.near > PAIRS / 5 && tally.far > PAIRS / 5 && tally.between > PAIRS / 10);
}

/* Of these a sketch holds but a sample. */
static void the_same_of_long_texts(void **state)
{
    struct fixture *f = *state;
    struct tally tally = { 0 };
    for (int i = 0; i < LONG_PAIRS; i++) {
        struct sequence a;
        struct sequence b;
        make_words(f, 150 + below(f, 1000), 4000, &a);
        change_words(f, &a, below(f, 2) == 0 ? below(f, 25) : 250 + below(f, 100), &b);
        judge_pair(f, &a, &b, false, &tally);
    }
    assert_true(tally.near > LONG_PAIRS / 5 && tally.far > LONG_PAIRS / 5);
}

static void texts_that_only_use_the_same_words_are_not_alike(void **state)
{
    struct fixture *f = *state;
    struct tally tally = { 0 };
    for (int i = 0; i < PAIRS; i++) {
        struct sequence a;
        struct sequence b;
        size_t count = 6 + below(f, 30);
        make_words(f, count, NEUTRAL, &a);
        make_words(f, count, NEUTRAL, &b);
        judge_pair(f, &a, &b, true, &tally);
    }
    assert_int_equal(tally.far, PAIRS);
}

static void write_copy(struct fixture *f, const char *text, char *out)
{
    static const char *const before[] = { "",          "RT @cwmnews24: ", "FYI: ",   "Hi all, ",
                                          "Bore da, ", "Please share! ",  "Hello! ", "🚨 ",
                                          "@heddlu1 " };
    static const char *const behind[] = { "", "!!!", " 😱", " please", " 🙏🙏", " diolch", " #cwm" };
    (void)snprintf(out, TEXT_BYTES, "%s%s%s", before[below(f, sizeof before / sizeof *before)],
                   text, behind[below(f, sizeof behind / sizeof *behind)]);
    bool is_loud = below(f, 5) == 0;
    for (char *at = out; is_loud && *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
}

/* From a dozen words on: below, a frame of three words is a large part of the whole. */
static void thousands_of_copies_are_alike_and_with_another_number_never(void **state)
{
    struct fixture *f = *state;
    static char text[TEXT_BYTES];
    static char numbered[TEXT_BYTES];
    static char copy[TEXT_BYTES];
    for (int i = 0; i < PAIRS; i++) {
        struct sequence words;
        make_words(f, 12 + below(f, 30), NEUTRAL, &words);
        write_text(&words, text);
        unsigned number = 1 + below(f, 999);
        (void)snprintf(numbered, sizeof numbered, "%.11000s %u", text, number);
        write_copy(f, numbered, copy);
        if (!texts_are_alike(f, numbered, copy))
            fail_msg("not alike: %s | %s", numbered, copy);
        (void)snprintf(numbered, sizeof numbered, "%.11000s %u", text, number + 1 + below(f, 99));
        if (texts_are_alike(f, numbered, copy))
            fail_msg("alike: %s | %s", numbered, copy);
    }
}

/* --- bytes --- */

static void bytes_that_are_no_sketch_are_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[SKETCH_MAX_BYTES + 8] = { 0 };
    struct sketch sketch;
    Desg__V1__Event event = said("smoke over the market hall in Abercwm and by the river", true);
    size_t length = draw(f, &event, bytes);
    assert_true(length > 0 && sketch_read(bytes, length, &sketch));
    assert_false(sketch_read(bytes, 0, &sketch));
    assert_false(sketch_read(bytes, length - 1, &sketch));
    assert_false(sketch_read(bytes, SKETCH_MAX_BYTES + 3, &sketch));
    bytes[5] = SKETCH_NAMES_MAX + 1;
    assert_false(sketch_read(bytes, length, &sketch));
    bytes[5] = 1;
    bytes[0] = 9; /* of another format than ours */
    assert_false(sketch_read(bytes, length, &sketch));
    for (int i = 0; i < PAIRS; i++) {
        length = below(f, SKETCH_MAX_BYTES + 1);
        for (size_t at = 0; at < length; at++)
            bytes[at] = (uint8_t)below(f, 256);
        bytes[0] = 1;
        if (sketch_read(bytes, length, &sketch))
            assert_true(sketch_is_alike(&sketch, &sketch));
    }
}

static int set_up_rules(void **state)
{
    (void)rules_fixture_setup(state);
    char *text = rule_text("knife.en", "urgent", "a knife", "");
    rules_write(*state, "test.yaml", text);
    free(text);
    return 0;
}

static void a_verdict_holds_the_sketch(void **state)
{
    struct triage *triage = rules_triage(*state, NULL);
    struct verdict verdict;
    static char text[40000];
    Desg__V1__Event event = said("there is smoke coming over the market hall", false);
    triage_judge(triage, &event, &verdict);
    assert_true(verdict.message.sketch.len > 0);
    event = said("he's back", false);
    triage_judge(triage, &event, &verdict);
    assert_int_equal(verdict.message.sketch.len, 0);
    for (size_t at = 0; at < 10000; at += 10)
        (void)snprintf(text + at, sizeof text - at, "w%08zx ", at * 2654435761U % 0xFFFFFFF);
    event = said(text, false);
    triage_judge(triage, &event, &verdict);
    assert_true(verdict.message.sketch.len > 0 && verdict.message.sketch.len <= SKETCH_MAX_BYTES);
    for (size_t at = 0; at < sizeof text - 1; at++)
        text[at] = " abcdefghijklmnopqrstuvwxyz"[at % 6 == 0 ? 0 : 1 + at % 26];
    triage_judge(triage, &event, &verdict); /* more than is looked at in one piece */
    assert_int_equal(verdict.message.sketch.len, 0);
    triage_destroy(&triage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies_of_one_event_are_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_events_are_not_alike_however_like_they_sound, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(few_words_have_no_sketch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_with_the_words_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            pairs_overlapping_by_four_fifths_are_found_and_by_half_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_of_long_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_that_only_use_the_same_words_are_not_alike, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(thousands_of_copies_are_alike_and_with_another_number_never,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_sketch_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_verdict_holds_the_sketch, set_up_rules,
                                        rules_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
