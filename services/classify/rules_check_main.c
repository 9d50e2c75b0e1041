/* desg-rules-check DIRECTORY: loads the rules of a directory, tests each by its own examples,
 * prints every fault and the counts. Exit code 0: good; 1: not; 64: bad arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "triage/rule_edition.h"
#include "triage/rule_examples.h"
#include "triage/rule_set.h"

enum { CATEGORIES_MAX = 100, WELSH = 1 };

struct category_count {
    const char *category;
    unsigned rules[2]; /* English, Welsh */
};

static void print_fault(void *arg, const char *text)
{
    unsigned *faults = arg;
    (*faults)++;
    (void)printf("%s\n", text);
}

static struct category_count *category_of(struct category_count *counts, const char *category)
{
    for (size_t i = 0; i < CATEGORIES_MAX; i++) {
        if (!counts[i].category)
            counts[i].category = category;
        if (strcmp(counts[i].category, category) == 0)
            return &counts[i];
    }
    return NULL;
}

static void print_counts(const struct rule_set *set)
{
    struct category_count counts[CATEGORIES_MAX] = { 0 };
    unsigned rules[2] = { 0 };
    for (size_t i = 0; i < rule_set_count(set); i++) {
        const struct rule *rule = rule_set_rule(set, i);
        struct category_count *count = category_of(counts, rule->category);
        int language = rule->language == RULE_LANGUAGE_CY ? WELSH : 0;
        rules[language]++;
        if (count)
            count->rules[language]++;
    }
    for (size_t i = 0; i < CATEGORIES_MAX && counts[i].category; i++)
        (void)printf("%-32s en %4u  cy %4u\n", counts[i].category, counts[i].rules[0],
                     counts[i].rules[WELSH]);
    (void)printf("edition %s: %zu rules (en %u, cy %u), %zu phrases\n", rule_set_edition(set),
                 rule_set_count(set), rules[0], rules[WELSH],
                 phrase_book_count(rule_set_book(set)));
}

static int check(const char *directory)
{
    unsigned faults = 0;
    struct error err = { 0 };
    struct rule_edition *edition = rule_edition_read(directory, print_fault, &faults, &err);
    struct rule_set *set = edition ? rule_set_new(edition, &err) : NULL;
    if (edition && !set)
        print_fault(&faults, err.text);
    if (set && rule_examples_test(set, edition, print_fault, &faults, &err) != 0 && faults == 0)
        print_fault(&faults, err.text);
    if (set)
        print_counts(set);
    rule_set_destroy(&set);
    rule_edition_destroy(&edition);
    if (faults > 0)
        (void)printf("%u faults\n", faults);
    return faults > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && argv[1][0] != '-')
        return check(argv[1]);
    (void)fprintf(stderr, "usage: desg-rules-check DIRECTORY\n");
    return EX_USAGE;
}
