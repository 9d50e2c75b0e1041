/* Standard wordings, in both languages side by side: neither can be changed without the other being
 * seen. */
#include "outward/said.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct wording {
    const char *update;    /* before the headline */
    const char *cancelled; /* before the headline */
    const char *cancelled_bare;
    const char *no_longer_holds;  /* after the headline of what is cancelled */
    const char *appeal_withdrawn; /* names nobody */
    const char *appeal_ended;
    const char *ended; /* before the headline */
    const char *ended_bare;
    const char *reopened_bare;
    const char *where;
};

static const struct wording wordings[SAID_LANGUAGES] = {
    [SAID_CY] = {
        .update = "DIWEDDARIAD: ",
        .cancelled = "CANSLWYD: ",
        .cancelled_bare = "CANSLWYD: nid yw ein neges flaenorol yn berthnasol mwyach.",
        .no_longer_holds = "Nid yw hyn yn berthnasol mwyach.",
        .appeal_withdrawn = "Mae'r apêl hon wedi'i thynnu'n ôl. Peidiwch â'i rhannu.",
        .appeal_ended = "Mae'r apêl hon wedi dod i ben. Diolch.",
        .ended = "DAETH I BEN: ",
        .ended_bare = "DAETH I BEN: nid yw ein neges flaenorol yn berthnasol mwyach.",
        .reopened_bare = "Mae'r ffordd wedi ailagor erbyn hyn.",
        .where = "Lleoliad: ",
    },
    [SAID_EN] = {
        .update = "UPDATE: ",
        .cancelled = "CANCELLED: ",
        .cancelled_bare = "CANCELLED: our earlier message no longer applies.",
        .no_longer_holds = "This no longer applies.",
        .appeal_withdrawn = "This appeal has been withdrawn. Please do not share it.",
        .appeal_ended = "This appeal has ended. Thank you.",
        .ended = "ENDED: ",
        .ended_bare = "ENDED: our earlier message no longer applies.",
        .reopened_bare = "The road has now reopened.",
        .where = "Where: ",
    },
};

static const char welsh_follows[] = "Fersiwn Gymraeg i ddilyn.";

const char *said_language_word(enum said_language language)
{
    return language == SAID_CY ? "cy" : "en";
}

static bool is_said(const char *text)
{
    return text && *text;
}

const Desg__V1__BroadcastText *said_words(const Desg__V1__Broadcast *broadcast,
                                          enum said_language language)
{
    const Desg__V1__BroadcastText *words = language == SAID_CY ? broadcast->cy : broadcast->en;
    return words && is_said(words->headline) ? words : NULL;
}

static bool is_appeal(const Desg__V1__Broadcast *broadcast)
{
    return broadcast->kind == DESG__V1__BROADCAST_KIND__BROADCAST_KIND_APPEAL;
}

static void say_line(FILE *out, const char *text)
{
    if (is_said(text))
        (void)fprintf(out, "\n%s", text);
}

static void say_news(FILE *out, const struct wording *wording, const Desg__V1__BroadcastText *words,
                     const struct said_how *how)
{
    bool is_update = how->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_UPDATE;
    (void)fprintf(out, "%s%s", is_update ? wording->update : "", words->headline);
    say_line(out, words->text);
    say_line(out, words->instruction);
    if (how->has_area && is_said(words->area))
        (void)fprintf(out, "\n%s%s", wording->where, words->area);
}

/* A withdrawn appeal repeats neither name nor headline: that is what is being taken back. */
static void say_cancelled(FILE *out, const struct wording *wording,
                          const Desg__V1__Broadcast *broadcast,
                          const Desg__V1__BroadcastText *words, bool is_bare)
{
    if (is_appeal(broadcast))
        (void)fputs(wording->appeal_withdrawn, out);
    else if (is_bare)
        (void)fputs(wording->cancelled_bare, out);
    else
        (void)fprintf(out, "%s%s\n%s", wording->cancelled, words->headline,
                      wording->no_longer_holds);
}

static void say_reopened(FILE *out, enum said_language language, const char *road)
{
    if (!is_said(road))
        (void)fputs(wordings[language].reopened_bare, out);
    else if (language == SAID_CY)
        (void)fprintf(out, "Mae'r %s wedi ailagor erbyn hyn.", road);
    else
        (void)fprintf(out, "The %s has now reopened.", road);
}

static void say_ended(FILE *out, enum said_language language, const Desg__V1__Broadcast *broadcast,
                      const Desg__V1__BroadcastText *words, bool is_bare)
{
    const struct wording *wording = &wordings[language];
    bool is_closure = broadcast->kind == DESG__V1__BROADCAST_KIND__BROADCAST_KIND_ROAD_CLOSURE;
    if (!is_bare && is_said(words->ended))
        (void)fputs(words->ended, out);
    else if (is_appeal(broadcast))
        (void)fputs(wording->appeal_ended, out);
    else if (is_closure && broadcast->says_ended)
        say_reopened(out, language, is_bare ? NULL : broadcast->road);
    else if (is_bare)
        (void)fputs(wording->ended_bare, out);
    else
        (void)fprintf(out, "%s%s", wording->ended, words->headline);
}

char *said_text(const Desg__V1__Broadcast *broadcast, enum said_language language,
                const struct said_how *how)
{
    char *text = NULL;
    size_t bytes = 0;
    const Desg__V1__BroadcastText *words = said_words(broadcast, language);
    const struct wording *wording = &wordings[language];
    FILE *out = words ? open_memstream(&text, &bytes) : NULL;
    if (!out)
        return NULL;
    if (how->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL)
        say_cancelled(out, wording, broadcast, words, how->is_bare);
    else if (how->action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END)
        say_ended(out, language, broadcast, words, how->is_bare);
    else
        say_news(out, wording, words, how);
    if (how->welsh_follows)
        say_line(out, welsh_follows);
    return fclose(out) == 0 ? text : NULL;
}

/* --- what is taken back --- */

bool said_is_withdrawn(const Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action)
{
    return is_appeal(broadcast) && (action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL ||
                                    action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_END);
}

static void drop(char **text)
{
    if (*text != protobuf_c_empty_string)
        free(*text);
    *text = (char *)protobuf_c_empty_string;
}

static void withdraw_words(Desg__V1__BroadcastText *words, char *said, bool is_cancelled)
{
    drop(&words->headline);
    drop(&words->text);
    drop(&words->instruction);
    drop(&words->area);
    if (is_cancelled)
        drop(&words->ended); /* never said */
    if (said)
        words->headline = said;
}

void said_withdraw(Desg__V1__Broadcast *broadcast, Desg__V1__BroadcastAction action)
{
    assert(said_is_withdrawn(broadcast, action));
    const struct said_how how = { .action = action };
    bool is_cancelled = action == DESG__V1__BROADCAST_ACTION__BROADCAST_ACTION_CANCEL;
    for (enum said_language i = SAID_CY; i < SAID_LANGUAGES; i++) {
        Desg__V1__BroadcastText *words = i == SAID_CY ? broadcast->cy : broadcast->en;
        bool is_given = said_words(broadcast, i) != NULL;
        char *said = is_given ? said_text(broadcast, i, &how) : NULL;
        if (is_given && !said)
            abort(); /* no memory */
        if (words)
            withdraw_words(words, said, is_cancelled);
    }
    drop(&broadcast->road);
    if (broadcast->area)
        desg__v1__area__free_unpacked(broadcast->area, NULL);
    broadcast->area = NULL;
}
