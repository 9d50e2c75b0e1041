#include "triage/welsh.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct mutation {
    const char *initial;
    const char *forms[WELSH_FORMS_MAX - 1]; /* what the initial becomes; NULL: no more */
};

/* Two-letter initials come first: "ch" is not a "c", and most of them never change. */
static const struct mutation mutations[] = {
    { "ch", { NULL } },
    { "ph", { NULL } },
    { "th", { NULL } },
    { "dd", { NULL } },
    { "ll", { "l" } },
    { "rh", { "r" } },
    { "c", { "g", "ngh", "ch" } },
    { "p", { "b", "mh", "ph" } },
    { "t", { "d", "nh", "th" } },
    { "g", { "", "ng" } },
    { "b", { "f", "m" } },
    { "d", { "dd", "n" } },
    { "m", { "f" } },
    { "a", { "ha" } },
    { "e", { "he" } },
    { "i", { "hi" } },
    { "o", { "ho" } },
    { "u", { "hu" } },
    { "w", { "hw" } },
    { "y", { "hy" } },
};

/* Mutated forms that people write far more often as another word, most of them English. */
static const char *const false_friends[] = { "all", "chat", "mom", "than", "wall", "war" };

static bool is_false_friend(const char *form)
{
    for (size_t i = 0; i < sizeof false_friends / sizeof false_friends[0]; i++) {
        if (strcmp(form, false_friends[i]) == 0)
            return true;
    }
    return false;
}

static const struct mutation *find(const char *radical, size_t length)
{
    for (size_t i = 0; i < sizeof mutations / sizeof mutations[0]; i++) {
        size_t initial = strlen(mutations[i].initial);
        if (initial <= length && memcmp(radical, mutations[i].initial, initial) == 0)
            return &mutations[i];
    }
    return NULL;
}

size_t welsh_mutate(const char *radical, size_t length,
                    char forms[static WELSH_FORMS_MAX][WELSH_WORD_BYTES])
{
    assert(radical && length > 0 && length <= WELSH_WORD_BYTES - 4);
    memcpy(forms[0], radical, length);
    forms[0][length] = '\0';
    size_t count = 1;
    const struct mutation *mutation = find(radical, length);
    for (size_t i = 0; mutation && i < WELSH_FORMS_MAX - 1 && mutation->forms[i]; i++) {
        size_t initial = strlen(mutation->initial);
        int bytes = snprintf(forms[count], WELSH_WORD_BYTES, "%s%.*s", mutation->forms[i],
                             (int)(length - initial), radical + initial);
        assert(bytes >= 0 && bytes < WELSH_WORD_BYTES);
        if (bytes >= WELSH_FORM_MIN_BYTES && !is_false_friend(forms[count]))
            count++;
    }
    return count;
}
