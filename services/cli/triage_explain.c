#include "cli/triage_explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/triage_words.h"

#define STYLE_MARK "\033[1;7m"
#define STYLE_OFF  "\033[0m"

/* --- marks --- */

static bool is_inside_letter(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static bool take_mark(const Desg__V1__Reason *reason, const char *text, size_t length,
                      struct triage_mark *out)
{
    size_t from = reason->offset_bytes;
    if (reason->length_bytes == 0 || from >= length)
        return false;
    size_t to = length - from < reason->length_bytes ? length : from + reason->length_bytes;
    while (from > 0 && is_inside_letter(text[from]))
        from--;
    while (to < length && is_inside_letter(text[to]))
        to++;
    *out = (struct triage_mark){ from, to };
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct triage_mark *left = a;
    const struct triage_mark *right = b;
    return left->from < right->from ? -1 : left->from > right->from;
}

size_t triage_marks(const Desg__V1__Verdict *verdict, const char *text,
                    struct triage_mark out[static TRIAGE_MARKS_MAX])
{
    size_t length = strlen(text);
    size_t found = 0;
    for (size_t i = 0; i < verdict->n_reasons && found < TRIAGE_MARKS_MAX; i++)
        found += take_mark(verdict->reasons[i], text, length, &out[found]);
    if (found > 1)
        qsort(out, found, sizeof *out, by_place);
    size_t count = 0;
    for (size_t i = 0; i < found; i++) {
        if (count > 0 && out[i].from <= out[count - 1].to) {
            if (out[i].to > out[count - 1].to)
                out[count - 1].to = out[i].to;
        } else {
            out[count++] = out[i];
        }
    }
    return count;
}

/* Nothing a person wrote may steer the terminal. */
static void write_clean(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_c1 = byte == 0xc2 && i + 1 < length && (unsigned char)text[i + 1] >= 0x80 &&
                     (unsigned char)text[i + 1] < 0xa0;
        bool is_control = (byte < ' ' && byte != '\n') || byte == 0x7f || is_c1;
        (void)fputc(is_control ? '.' : byte, out);
        i += is_c1;
    }
}

char *triage_mark_text(const char *text, const struct triage_mark *marks, size_t count,
                       const char *before, const char *behind)
{
    char *marked = NULL;
    size_t bytes = 0;
    size_t at = 0;
    FILE *out = open_memstream(&marked, &bytes);
    if (!out)
        abort(); /* no memory for a line of text */
    for (size_t i = 0; i < count; i++) {
        write_clean(out, text + at, marks[i].from - at);
        (void)fputs(before, out);
        write_clean(out, text + marks[i].from, marks[i].to - marks[i].from);
        (void)fputs(behind, out);
        at = marks[i].to;
    }
    write_clean(out, text + at, strlen(text) - at);
    if (fclose(out) != 0)
        abort();
    return marked;
}

/* --- JSON --- */

/* What a reason that is no rule's means. */
static const char *own_reason(const char *id)
{
    static const struct {
        const char *id;
        const char *means;
    } all[] = {
        { "triage.failed", "triage could not judge all of it" },
        { "triage.too-long", "it is longer than what is looked at" },
        { "triage.unknown-kind", "its kind is not known" },
        { "triage.unknown-language", "it is in neither English nor Welsh" },
        { "triage.no-text", "there are no words in it" },
        { "triage.notice", "the platform speaks to the operator" },
        { "triage.model", "the model: words like these" },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].id, id) == 0)
            return all[i].means;
    }
    return "triage's own";
}

static json_t *describe_reason(const struct triage_edition *edition, const char *text,
                               const Desg__V1__Reason *reason)
{
    const struct rule *rule = triage_edition_rule(edition, reason->rule);
    struct triage_mark mark;
    json_t *out =
        json_pack("{s:s, s:f, s:I, s:I}", "rule", reason->rule, "weight", (double)reason->weight,
                  "offset_bytes", (json_int_t)reason->offset_bytes, "length_bytes",
                  (json_int_t)reason->length_bytes);
    if (rule) {
        (void)json_object_set_new(out, "severity",
                                  json_string(triage_severity_word(rule->severity)));
        (void)json_object_set_new(out, "category", json_string(rule->category));
        (void)json_object_set_new(out, "file", json_string(rule->file));
        (void)json_object_set_new(out, "line", json_integer((json_int_t)rule->line));
    } else {
        (void)json_object_set_new(out, "means", json_string(own_reason(reason->rule)));
    }
    if (take_mark(reason, text, strlen(text), &mark))
        (void)json_object_set_new(out, "words",
                                  json_stringn(text + mark.from, mark.to - mark.from));
    return out;
}

static json_t *describe_flags(const Desg__V1__Verdict *verdict)
{
    json_t *flags = json_array();
    for (size_t i = 0; i < verdict->n_flags; i++)
        (void)json_array_append_new(flags, json_string(triage_flag_word((int)verdict->flags[i])));
    return flags;
}

json_t *triage_explain(const struct triage_edition *edition, const char *text,
                       const Desg__V1__Verdict *verdict, int64_t took_ns)
{
    static const double ns_per_us = 1000;
    json_t *reasons = json_array();
    for (size_t i = 0; i < verdict->n_reasons; i++)
        (void)json_array_append_new(reasons, describe_reason(edition, text, verdict->reasons[i]));
    return json_pack(
        "{s:s, s:b, s:b, s:f, s:s, s:s, s:o, s:s, s:s, s:b, s:o, s:o, s:f}", "severity",
        triage_severity_word((int)verdict->severity), "is_urgent", (int)verdict->is_urgent,
        "is_flagged", (int)triage_is_urgent_lane(verdict->severity), "score",
        (double)verdict->score, "grade", verdict->grade, "category", verdict->category, "flags",
        describe_flags(verdict), "language", triage_language_word((int)verdict->language),
        "restricted", triage_restricted_word((int)verdict->restricted), "is_context_sensitive",
        (int)verdict->is_context_sensitive, "reasons", reasons, "edition",
        triage_edition_describe(edition), "took_us", (double)took_ns / ns_per_us);
}

/* --- for people --- */

static void print_text(const char *text, const Desg__V1__Verdict *verdict, bool is_styled)
{
    struct triage_mark marks[TRIAGE_MARKS_MAX];
    size_t count = triage_marks(verdict, text, marks);
    char *marked = triage_mark_text(text, marks, count, is_styled ? STYLE_MARK : "[",
                                    is_styled ? STYLE_OFF : "]");
    (void)putchar('\n');
    for (char *rest = marked; rest;) {
        const char *line = strsep(&rest, "\n");
        (void)printf("  %s\n", line);
    }
    (void)putchar('\n');
    free(marked);
}

static void print_reason(const json_t *reason)
{
    const char *words = answer_text(reason, "words");
    (void)printf("  %-44s weight %.2f", answer_text(reason, "rule"),
                 json_number_value(json_object_get(reason, "weight")));
    if (json_object_get(reason, "file"))
        (void)printf("  %-12s %s:%lld", answer_text(reason, "severity"),
                     answer_text(reason, "file"),
                     (long long)json_integer_value(json_object_get(reason, "line")));
    else
        (void)printf("  %s", answer_text(reason, "means"));
    if (words[0]) {
        (void)printf("\n      at byte %lld: \"",
                     (long long)json_integer_value(json_object_get(reason, "offset_bytes")));
        write_clean(stdout, words, strlen(words));
        (void)putchar('"');
    }
    (void)putchar('\n');
}

static void print_flag_words(const json_t *flags)
{
    size_t index;
    const json_t *flag;
    if (json_array_size(flags) == 0)
        (void)printf("none");
    json_array_foreach(flags, index, flag)(void)
        printf("%s%s", index > 0 ? ", " : "", json_string_value(flag));
}

void triage_explain_print(const json_t *explained, const char *text,
                          const Desg__V1__Verdict *verdict, bool is_styled)
{
    const json_t *edition = json_object_get(explained, "edition");
    const char *model = answer_text(edition, "model");
    size_t index;
    const json_t *reason;
    (void)printf("%s\n", triage_severity_sentence((int)verdict->severity));
    print_text(text, verdict, is_styled);
    (void)printf("Grade %s, category %s, language %s, restricted %s, score %.3f\nFlags: ",
                 verdict->grade, verdict->category, answer_text(explained, "language"),
                 answer_text(explained, "restricted"), (double)verdict->score);
    print_flag_words(json_object_get(explained, "flags"));
    if (verdict->is_context_sensitive)
        (void)printf(
            "\nRaised to urgent if its conversation held something grave in the last day.");
    (void)printf("\n\n%s\n",
                 verdict->n_reasons > 0 ? "Because:" : "No rule speaks of anything in it.");
    json_array_foreach(json_object_get(explained, "reasons"), index, reason) print_reason(reason);
    (void)printf("\nRules %s, %s%s; judged in %.1f us.\n", answer_text(edition, "rules"),
                 model[0] ? "model " : "no model", model,
                 json_number_value(json_object_get(explained, "took_us")));
}
