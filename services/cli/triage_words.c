#include "cli/triage_words.h"

#include <stddef.h>

static const char *word(const char *const *words, size_t count, int number)
{
    return number >= 0 && (size_t)number < count ? words[number] : "?";
}

const char *triage_severity_word(int severity)
{
    static const char *const words[] = { "unspecified", "routine", "attention",
                                         "review",      "urgent",  "life-at-risk" };
    return word(words, sizeof words / sizeof words[0], severity);
}

const char *triage_severity_sentence(int severity)
{
    static const char *const sentences[] = {
        "Not judged: it takes the urgent lane until a person has looked.",
        "Routine: it waits its turn.",
        "Attention: a person should look soon; nobody is alerted.",
        "Review: unsure, so it takes the urgent lane until a person has looked.",
        "Urgent: dispatch is alerted.",
        "Life at risk: dispatch is alerted, first of all.",
    };
    return word(sentences, sizeof sentences / sizeof sentences[0], severity);
}

const char *triage_language_word(int language)
{
    static const char *const words[] = { "none", "en", "cy", "mixed", "unsure" };
    return word(words, sizeof words / sizeof words[0], language);
}

const char *triage_restricted_word(int restricted)
{
    static const char *const words[] = { "none", "sexual-offence", "intelligence" };
    return word(words, sizeof words / sizeof words[0], restricted);
}

const char *triage_flag_word(int flag)
{
    static const char *const words[] = { "unspecified", "life-at-risk", "weapon",    "child",
                                         "suicide",     "domestic",     "missing",   "injury",
                                         "in-progress", "hate",         "vulnerable" };
    return word(words, sizeof words / sizeof words[0], flag);
}
