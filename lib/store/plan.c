#include "store/plan.h"

#include <string.h>

#include "store/outbox.h"

static const int64_t day_ms = 24LL * 3600 * 1000;

/* How long may pass until somebody has looked, by severity. A force's configuration replaces it. */
static const struct {
    const char *grade;
    uint32_t allowance_s;
} built_in_grades[] = {
    [DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED] = { "priority", 600 },
    [DESG__V1__SEVERITY__SEVERITY_ROUTINE] = { "scheduled", 4 * 3600 },
    [DESG__V1__SEVERITY__SEVERITY_ATTENTION] = { "priority", 3600 },
    [DESG__V1__SEVERITY__SEVERITY_REVIEW] = { "priority", 600 },
    [DESG__V1__SEVERITY__SEVERITY_URGENT] = { "immediate", 300 },
    [DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK] = { "immediate", 60 },
};

uint32_t store_lease_s(const struct store_queues *queues)
{
    return queues && queues->lease_s ? queues->lease_s : 120;
}

uint32_t store_context_hours(const struct store_queues *queues)
{
    return queues && queues->context_hours ? queues->context_hours : 24;
}

uint32_t store_unclassified_per_minute(const struct store_queues *queues)
{
    return queues && queues->unclassified_alerts_per_minute ? queues->unclassified_alerts_per_minute
                                                            : 5;
}

uint32_t store_tombstone_days(const struct store_queues *queues)
{
    return queues && queues->tombstone_days ? queues->tombstone_days : 30;
}

uint32_t store_archive_after_hours(const struct store_queues *queues)
{
    return queues && queues->archive_after_hours ? queues->archive_after_hours : 168;
}

uint32_t store_receipt_after_hours(const struct store_queues *queues)
{
    return queues ? queues->receipt_after_hours : 0;
}

static const struct store_grade *configured_grade(const struct store_queues *queues,
                                                  uint32_t severity)
{
    for (unsigned i = 0; queues && i < queues->grades_count; i++)
        if (queues->grades[i].severity == severity)
            return &queues->grades[i];
    return NULL;
}

const char *store_grade_name(const struct store_queues *queues, uint32_t severity)
{
    const struct store_grade *grade = configured_grade(queues, severity);
    return grade ? grade->grade : built_in_grades[severity].grade;
}

uint32_t store_grade_allowance_s(const struct store_queues *queues, uint32_t severity)
{
    const struct store_grade *grade = configured_grade(queues, severity);
    return grade ? grade->allowance_s : built_in_grades[severity].allowance_s;
}

const char *store_language_word(Desg__V1__Language language)
{
    switch (language) {
    case DESG__V1__LANGUAGE__LANGUAGE_EN:
        return "en";
    case DESG__V1__LANGUAGE__LANGUAGE_CY:
        return "cy";
    case DESG__V1__LANGUAGE__LANGUAGE_MIXED:
        return "mixed";
    case DESG__V1__LANGUAGE__LANGUAGE_UNSURE:
        return "unsure";
    default:
        return "";
    }
}

const char *store_wish_word(Desg__V1__Language language)
{
    switch (language) {
    case DESG__V1__LANGUAGE__LANGUAGE_EN:
        return "en";
    case DESG__V1__LANGUAGE__LANGUAGE_CY:
        return "cy";
    case DESG__V1__LANGUAGE__LANGUAGE_MIXED:
        return "both";
    default:
        return "none";
    }
}

const char *store_restricted_word(Desg__V1__RestrictedClass restricted)
{
    switch (restricted) {
    case DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE:
        return "";
    case DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE:
        return "sexual-offence";
    case DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE:
        return "intelligence";
    default:
        return "other"; /* a class newer than this program is still restricted */
    }
}

static bool opens_work(Desg__V1__EventKind kind)
{
    switch (kind) {
    case DESG__V1__EVENT_KIND__EVENT_KIND_READ:
    case DESG__V1__EVENT_KIND__EVENT_KIND_ECHO:
    case DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME:
    case DESG__V1__EVENT_KIND__EVENT_KIND_REACTION:
    case DESG__V1__EVENT_KIND__EVENT_KIND_UNSEND:
        return false;
    default:
        return true;
    }
}

static bool is_for_review(Desg__V1__EventKind kind)
{
    return kind == DESG__V1__EVENT_KIND__EVENT_KIND_UNKNOWN ||
           kind == DESG__V1__EVENT_KIND__EVENT_KIND_UNREADABLE ||
           kind == DESG__V1__EVENT_KIND__EVENT_KIND_NOTICE ||
           kind == DESG__V1__EVENT_KIND__EVENT_KIND_UNSPECIFIED;
}

static Desg__V1__Severity severity_of(const Desg__V1__Verdict *verdict)
{
    if (verdict->severity > DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK)
        return DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK; /* a newer classifier's word: not less */
    if (verdict->severity <= DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED)
        return verdict->is_urgent ? DESG__V1__SEVERITY__SEVERITY_URGENT
                                  : DESG__V1__SEVERITY__SEVERITY_REVIEW;
    if (verdict->is_unclassified && verdict->severity < DESG__V1__SEVERITY__SEVERITY_REVIEW)
        return DESG__V1__SEVERITY__SEVERITY_REVIEW;
    return verdict->severity;
}

static bool is_late(const Desg__V1__Event *event, const struct store_queues *queues)
{
    return event->platform_time_ms > 0 && event->received_at_ms > event->platform_time_ms &&
           event->received_at_ms - event->platform_time_ms > store_tombstone_days(queues) * day_ms;
}

static bool is_any(const char *word)
{
    return !word || !word[0];
}

static bool rule_fits(const struct store_queue_rule *rule, Desg__V1__Severity severity,
                      const Desg__V1__Verdict *verdict)
{
    const char *restricted = store_restricted_word(verdict->restricted);
    if (severity < rule->severity_at_least)
        return false;
    /* What is urgent leaves its own queues only by a rule that names it. */
    if (severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW &&
        rule->severity_at_least < DESG__V1__SEVERITY__SEVERITY_REVIEW)
        return false;
    /* What is restricted goes only where a rule sends restricted work. */
    if (is_any(rule->restricted)
            ? restricted[0] != '\0'
            : (restricted[0] == '\0' ||
               (strcmp(rule->restricted, "any") != 0 && strcmp(rule->restricted, restricted) != 0)))
        return false;
    if (!is_any(rule->category) && strcmp(rule->category, verdict->category) != 0)
        return false;
    return is_any(rule->language) ||
           strcmp(rule->language, store_language_word(verdict->language)) == 0;
}

static const char *queue_by_rule(const struct store_queues *queues, Desg__V1__Severity severity,
                                 const Desg__V1__Verdict *verdict)
{
    for (unsigned i = 0; queues && i < queues->rules_count; i++)
        if (rule_fits(&queues->rules[i], severity, verdict))
            return queues->rules[i].queue;
    return NULL;
}

struct place {
    enum store_rank rank;
    const char *queue;
};

/* By what the event is, when it is not urgent. */
static struct place calm_place(Desg__V1__Severity severity, const Desg__V1__Verdict *verdict)
{
    if (verdict->restricted != DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE)
        return (struct place){ STORE_RANK_RESTRICTED, "restricted" };
    if (verdict->language == DESG__V1__LANGUAGE__LANGUAGE_CY)
        return (struct place){ STORE_RANK_CYMRAEG, "cymraeg" };
    if (strcmp(verdict->category, "update-request") == 0)
        return (struct place){ STORE_RANK_UPDATES, "updates" };
    if (severity == DESG__V1__SEVERITY__SEVERITY_ATTENTION)
        return (struct place){ STORE_RANK_ATTENTION, "general" };
    return (struct place){ STORE_RANK_GENERAL, "general" };
}

static struct place place_of(const struct store_plan *plan, const Desg__V1__Event *event,
                             const Desg__V1__Verdict *verdict, const struct store_queues *queues)
{
    Desg__V1__Severity severity = plan->severity;
    if (plan->is_late ||
        (is_for_review(event->kind) && severity < DESG__V1__SEVERITY__SEVERITY_URGENT))
        return (struct place){ STORE_RANK_NEEDS_REVIEW, "needs-review" };
    struct place place = calm_place(severity, verdict);
    if (severity == DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK)
        place = (struct place){ STORE_RANK_LIFE_AT_RISK, "urgent" };
    else if (severity == DESG__V1__SEVERITY__SEVERITY_URGENT)
        place = (struct place){ STORE_RANK_URGENT, "urgent" };
    else if (severity == DESG__V1__SEVERITY__SEVERITY_REVIEW)
        place = (struct place){ STORE_RANK_URGENT_REVIEW, "urgent-review" };
    const char *queue = queue_by_rule(queues, severity, verdict);
    if (queue)
        place =
            (struct place){ place.rank < STORE_RANK_RULE ? STORE_RANK_RULE : place.rank, queue };
    return place;
}

/* Where the event would wait if it were routine. Restricted and Welsh conversations keep that queue
 * beyond an urgent spell and a close; the others go there when a person lowers the grade. */
static void find_home(struct store_plan *plan, const Desg__V1__Verdict *verdict,
                      const struct store_queues *queues)
{
    struct place home = calm_place(DESG__V1__SEVERITY__SEVERITY_ROUTINE, verdict);
    const char *queue = queue_by_rule(queues, DESG__V1__SEVERITY__SEVERITY_ROUTINE, verdict);
    plan->home_rank = queue && home.rank < STORE_RANK_RULE ? STORE_RANK_RULE : home.rank;
    plan->home_queue = queue ? queue : home.queue;
}

/* Whether a word of receipt is to say nothing of what it is about: also where nobody knows yet. */
static bool is_sensitive(const struct store_plan *plan, const Desg__V1__Verdict *verdict,
                         const struct store_queues *queues)
{
    if (plan->is_provisional ||
        verdict->restricted != DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE)
        return true;
    for (unsigned i = 0; queues && i < queues->sensitive_categories_count; i++)
        if (strcmp(queues->sensitive_categories[i], verdict->category) == 0)
            return true;
    return false;
}

static bool can_send_receipts(const struct store_queues *queues, const Desg__V1__Event *event)
{
    char place[STORE_PLACE_BYTES];
    store_place_of(event->channel, event->account, place);
    for (unsigned i = 0; i < queues->receipt_places_count; i++)
        if (strcmp(queues->receipt_places[i], place) == 0)
            return true;
    return queues->receipt_places_count == 0;
}

/* A person wrote privately to an account that answers. */
static bool may_be_receipted(const struct store_plan *plan, const Desg__V1__Event *event,
                             const struct store_queues *queues)
{
    return store_receipt_after_hours(queues) > 0 && !plan->is_late &&
           event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE && !event->is_public &&
           !event->is_standby && (event->person[0] != '\0' || strchr(event->contact, '@')) &&
           can_send_receipts(queues, event);
}

void store_plan_make(struct store_plan *out, const Desg__V1__Event *event,
                     const Desg__V1__Verdict *verdict, const struct store_queues *queues)
{
    *out = (struct store_plan){
        .severity = severity_of(verdict),
        .opens_work = opens_work(event->kind),
        .is_provisional = verdict->is_unclassified ||
                          verdict->severity == DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED,
        .is_late = is_late(event, queues),
    };
    struct place place = place_of(out, event, verdict, queues);
    out->rank = place.rank;
    out->queue = place.queue;
    find_home(out, verdict, queues);
    out->grade = verdict->grade[0] && !out->is_provisional
                     ? verdict->grade
                     : store_grade_name(queues, out->severity);
    out->allowance_s = store_grade_allowance_s(queues, out->severity);
    /* A platform's notice to the operator is no matter for dispatch unless triage says so. */
    Desg__V1__Severity lowest = event->kind == DESG__V1__EVENT_KIND__EVENT_KIND_NOTICE
                                    ? DESG__V1__SEVERITY__SEVERITY_URGENT
                                    : DESG__V1__SEVERITY__SEVERITY_REVIEW;
    out->may_alert = out->opens_work && !out->is_late && out->severity >= lowest;
    out->may_be_receipted = may_be_receipted(out, event, queues);
    out->is_sensitive = is_sensitive(out, verdict, queues);
}
