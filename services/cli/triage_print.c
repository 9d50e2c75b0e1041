#include "cli/triage_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/answer.h"

enum { CHANGES_SHOWN = 40, CONFUSIONS_SHOWN = 15 };

static long long number_at(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static double real_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* "0.534 (0.486-0.582)", or "-" where there is nothing to measure. */
static void print_interval(const json_t *interval)
{
    double value = real_at(interval, "value");
    if (isnan(value))
        (void)printf("%-21s", "-");
    else
        (void)printf("%.3f (%.3f-%.3f)  ", value, real_at(interval, "low"),
                     real_at(interval, "high"));
}

static void print_share(const char *label, const json_t *share)
{
    (void)printf("  %-18s ", label);
    print_interval(share);
    if (json_object_get(share, "of"))
        (void)printf(" %.6g of %lld", real_at(share, "hits"), number_at(share, "of"));
    (void)putchar('\n');
}

static void print_flags(const char *title, const json_t *flags)
{
    (void)printf("\n%s\n", title);
    print_share("recall", json_object_get(flags, "recall"));
    print_share("precision", json_object_get(flags, "precision"));
    print_share("F1", json_object_get(flags, "f1"));
    print_share("false alarms", json_object_get(flags, "false_alarms"));
}

static void print_order(const json_t *report)
{
    const char *percent;
    json_t *share;
    (void)puts("\nBy score");
    print_share("AUC", json_object_get(report, "auc"));
    json_object_foreach(json_object_get(report, "recall_at"), percent, share)
    {
        char label[40];
        (void)snprintf(label, sizeof label, "recall at %s %%", percent);
        print_share(label, share);
    }
}

static void print_group(const char *name, const json_t *group)
{
    const json_t *flags = json_object_get(group, "flagged");
    (void)printf("  %-24.24s %6lld %7lld ", name, number_at(group, "rows"),
                 number_at(group, "urgent"));
    print_interval(json_object_get(flags, "recall"));
    (void)putchar(' ');
    print_interval(json_object_get(flags, "precision"));
    (void)putchar(' ');
    print_interval(json_object_get(flags, "false_alarms"));
    (void)putchar(' ');
    print_interval(json_object_get(group, "auc"));
    (void)putchar('\n');
}

static void print_groups(const json_t *by)
{
    const char *member;
    const char *name;
    json_t *groups;
    json_t *group;
    json_object_foreach((json_t *)by, member, groups)
    {
        if (json_object_size(groups) == 0)
            continue;
        (void)printf("\nBy %-23.23s %6s %7s %-21s %-21s %-21s %s\n", member, "rows", "urgent",
                     "recall", "precision", "false alarms", "AUC");
        json_object_foreach(groups, name, group) print_group(name, group);
    }
}

static void print_severities(const json_t *severities)
{
    const char *name;
    json_t *row;
    (void)printf("\n%-20s %8s %10s %8s\n", "Severity", "urgent", "not urgent", "unknown");
    json_object_foreach((json_t *)severities, name, row)(void)
        printf("  %-18s %8lld %10lld %8lld\n", name, number_at(row, "urgent"),
               number_at(row, "not_urgent"), number_at(row, "unknown"));
}

static void print_categories(const json_t *category)
{
    const char *name;
    json_t *class;
    size_t index;
    const json_t *cell;
    if (number_at(category, "rows") == 0)
        return;
    (void)puts("\nCategory");
    print_share("right", json_object_get(category, "right"));
    print_share("macro F1", json_object_get(category, "macro_f1"));
    (void)printf("  %-24s %5s %5s %10s %7s %6s\n", "", "rows", "said", "precision", "recall", "F1");
    json_object_foreach(json_object_get(category, "classes"), name, class)(void)
        printf("  %-24.24s %5lld %5lld %10.3f %7.3f %6.3f\n", name, number_at(class, "rows"),
               number_at(class, "said"), real_at(class, "precision"), real_at(class, "recall"),
               real_at(class, "f1"));
    (void)puts("  taken for another, most often:");
    json_array_foreach(json_object_get(category, "confusion"), index, cell)
    {
        if (index == CONFUSIONS_SHOWN)
            break;
        (void)printf("  %5lld  %s, taken for %s\n", number_at(cell, "rows"),
                     answer_text(cell, "truth"), answer_text(cell, "said"));
    }
}

static void print_restricted(const json_t *restricted)
{
    const char *name;
    json_t *share;
    if (number_at(restricted, "rows") == 0)
        return;
    (void)puts("\nRestricted");
    print_share("recall", json_object_get(restricted, "recall"));
    print_share("precision", json_object_get(restricted, "precision"));
    json_object_foreach(json_object_get(restricted, "right_class"), name, share)
        print_share(name, share);
}

static void print_languages(const json_t *language)
{
    const char *name;
    json_t *share;
    (void)puts("\nLanguage, English and Welsh, by words");
    json_object_foreach(json_object_get(language, "by_words"), name, share)
        print_share(name, share);
    json_object_foreach(json_object_get(language, "by_language"), name, share)
    {
        if (number_at(share, "of") > 0)
            print_share(name, share);
    }
}

static void print_times(const json_t *time_us)
{
    size_t index;
    const json_t *row;
    (void)printf("\nTime: median %.1f us, 99 of 100 within %.1f us; the slowest:\n",
                 real_at(time_us, "median"), real_at(time_us, "p99"));
    json_array_foreach(json_object_get(time_us, "slowest"), index, row)(void)
        printf("  %10.1f us  %7lld bytes  %s\n", real_at(row, "us"), number_at(row, "bytes"),
               answer_text(row, "id"));
}

static void print_edition(const json_t *edition)
{
    const char *model = answer_text(edition, "model");
    (void)printf("rules %s, %s%s", answer_text(edition, "rules"), model[0] ? "model " : "no model",
                 model);
}

static void print_counts(const json_t *report)
{
    (void)printf("%lld messages: %lld urgent, %lld not, %lld nobody knows",
                 number_at(report, "rows"), number_at(report, "urgent"),
                 number_at(report, "not_urgent"), number_at(report, "unknown"));
    if (json_is_true(json_object_get(report, "held_out_only")))
        (void)printf("; held out only, %lld left out", number_at(report, "left_out"));
    if (number_at(report, "bad_lines") > 0)
        (void)printf("; %lld bad lines passed over", number_at(report, "bad_lines"));
    (void)putchar('\n');
}

void triage_print_report(const json_t *report)
{
    print_counts(report);
    print_edition(json_object_get(report, "edition"));
    (void)putchar('\n');
    print_flags("Flagged (review or worse: the urgent lane)", json_object_get(report, "flagged"));
    print_flags("Urgent or worse (dispatch is alerted)",
                json_object_get(report, "urgent_or_worse"));
    print_order(report);
    if (number_at(report, "unknown") > 0)
        print_share("unknown, flagged", json_object_get(report, "unknown_flagged"));
    print_severities(json_object_get(report, "severity"));
    print_groups(json_object_get(report, "by"));
    print_categories(json_object_get(report, "category"));
    print_restricted(json_object_get(report, "restricted"));
    print_languages(json_object_get(report, "language"));
    print_times(json_object_get(report, "time_us"));
}

/* --- two editions --- */

static void print_both(const char *label, const json_t *old_part, const json_t *new_part,
                       const char *key)
{
    (void)printf("  %-18s ", label);
    print_interval(json_object_get(old_part, key));
    (void)putchar(' ');
    print_interval(json_object_get(new_part, key));
    (void)putchar('\n');
}

static void print_changes(const json_t *changes)
{
    size_t index;
    const json_t *change;
    json_array_foreach(changes, index, change)
    {
        if (index == CHANGES_SHOWN) {
            (void)printf("  and %zu more (--json lists all)\n", json_array_size(changes) - index);
            return;
        }
        (void)printf("  %-40.40s %-12s -> %-12s %s%s\n", answer_text(change, "id"),
                     answer_text(change, "from"), answer_text(change, "to"),
                     answer_text(change, "truth"),
                     json_is_true(json_object_get(change, "is_lost")) ? "  LOST" : "");
    }
}

static void print_moves(const json_t *moves)
{
    size_t index;
    const json_t *move;
    json_array_foreach(moves, index, move)(void)
        printf("  %6lld  %-12s -> %-12s (%lld urgent, %lld not)\n", number_at(move, "rows"),
               answer_text(move, "from"), answer_text(move, "to"), number_at(move, "urgent"),
               number_at(move, "not_urgent"));
}

void triage_print_comparison(const json_t *comparison)
{
    const json_t *old_report = json_object_get(comparison, "old");
    const json_t *new_report = json_object_get(comparison, "new");
    const json_t *old_flags = json_object_get(old_report, "flagged");
    const json_t *new_flags = json_object_get(new_report, "flagged");
    print_counts(new_report);
    (void)printf("old: ");
    print_edition(json_object_get(old_report, "edition"));
    (void)printf("\nnew: ");
    print_edition(json_object_get(new_report, "edition"));
    (void)printf("\n\n  %-18s %-21s %s\n", "", "old", "new");
    print_both("recall", old_flags, new_flags, "recall");
    print_both("precision", old_flags, new_flags, "precision");
    print_both("F1", old_flags, new_flags, "f1");
    print_both("false alarms", old_flags, new_flags, "false_alarms");
    print_both("AUC", old_report, new_report, "auc");
    print_both("category right", json_object_get(old_report, "category"),
               json_object_get(new_report, "category"), "right");
    print_both("category macro F1", json_object_get(old_report, "category"),
               json_object_get(new_report, "category"), "macro_f1");
    print_both("restricted recall", json_object_get(old_report, "restricted"),
               json_object_get(new_report, "restricted"), "recall");
    (void)printf("\n%lld messages would be judged otherwise:\n",
                 (long long)json_array_size(json_object_get(comparison, "changes")));
    print_moves(json_object_get(comparison, "moves"));
    print_changes(json_object_get(comparison, "changes"));
    if (number_at(comparison, "lost") > 0)
        (void)printf("\n%lld urgent messages would no longer take the urgent lane; %lld would be "
                     "found anew.\n",
                     number_at(comparison, "lost"), number_at(comparison, "found"));
    else
        (void)printf("\nNo urgent message would be lost; %lld would be found anew.\n",
                     number_at(comparison, "found"));
}
