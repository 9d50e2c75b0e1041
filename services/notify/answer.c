#include "notify/answer.h"

#include <assert.h>

enum answer answer_of(unsigned http_status)
{
    if (http_status >= 200 && http_status < 300)
        return ANSWER_ACCEPTED;
    switch (http_status) {
    case 408:
    case 409:
    case 425:
    case 429:
        return ANSWER_LATER;
    case 422:
        return ANSWER_KEY_KNOWN;
    case 401:
    case 403:
        return ANSWER_CREDENTIALS;
    case 410:
        return ANSWER_GONE;
    default:
        break;
    }
    return http_status >= 300 && http_status < 500 ? ANSWER_REFUSED : ANSWER_FAILED;
}

bool answer_needs_person(enum answer answer)
{
    return answer == ANSWER_KEY_KNOWN || answer == ANSWER_REFUSED || answer == ANSWER_CREDENTIALS ||
           answer == ANSWER_GONE;
}

const char *answer_name(enum answer answer)
{
    static const char *const names[] = {
        [ANSWER_ACCEPTED] = "accepted", [ANSWER_LATER] = "later",
        [ANSWER_FAILED] = "failed",     [ANSWER_KEY_KNOWN] = "key-known",
        [ANSWER_REFUSED] = "refused",   [ANSWER_CREDENTIALS] = "credentials",
        [ANSWER_GONE] = "gone",
    };
    assert((unsigned)answer < sizeof names / sizeof names[0]);
    return names[answer];
}
