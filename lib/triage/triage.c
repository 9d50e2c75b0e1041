#include "triage/triage.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "triage/normalise.h"
#include "triage/scan.h"

enum { ATTACHMENTS_LOOKED_AT = 32, FOREIGN_LETTERS_MIN = 3, CIRCUMSTANCES_MAX = 8 };

#define CATEGORY_GENERAL "general"
#define REVIEW_SCORE     0.5F
#define ATTENTION_SCORE  0.2F

/* A reason that is not a rule's: with an id of its own, so that a verdict always says why. */
struct circumstance {
    const char *id;
    Desg__V1__Severity severity;
    const char *category;
};

static const struct circumstance failed = { "triage.failed", DESG__V1__SEVERITY__SEVERITY_REVIEW,
                                            "needs-review" };
static const struct circumstance too_long = { "triage.too-long",
                                              DESG__V1__SEVERITY__SEVERITY_REVIEW, "needs-review" };
static const struct circumstance unknown_kind = { "triage.unknown-kind",
                                                  DESG__V1__SEVERITY__SEVERITY_REVIEW,
                                                  "needs-review" };
static const struct circumstance unknown_language = { "triage.unknown-language",
                                                      DESG__V1__SEVERITY__SEVERITY_REVIEW,
                                                      "unknown-language" };
static const struct circumstance by_model = { "triage.model",
                                              DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED,
                                              CATEGORY_GENERAL };
static const struct circumstance no_text = { "triage.no-text",
                                             DESG__V1__SEVERITY__SEVERITY_ATTENTION, "attachment" };
static const struct circumstance notice = { "triage.platform-notice",
                                            DESG__V1__SEVERITY__SEVERITY_ATTENTION,
                                            "platform-notice" };

/* What was found in an event. */
struct finding {
    struct circumstance circumstance;
    float weight;
};

struct triage {
    struct rule_set *rules;
    struct scanner *scanner;
    struct normalised *window; /* for the model */
    struct triage_options options;
    /* Found in the event judged now: */
    struct scan_hit *hits; /* of all its parts; room for every rule */
    size_t hit_count;
    bool *is_hit; /* by rule */
    struct finding findings[CIRCUMSTANCES_MAX];
    size_t finding_count;
};

void triage_destroy(struct triage **self_p)
{
    struct triage *self = *self_p;
    if (!self)
        return;
    scanner_destroy(&self->scanner);
    normalised_destroy(&self->window);
    rule_set_destroy(&self->rules);
    free(self->hits);
    free(self->is_hit);
    free(self);
    *self_p = NULL;
}

struct triage *triage_new(struct rule_set **rules, const struct triage_options *options,
                          struct error *err)
{
    assert(rules && *rules && options && err);
    struct triage *self = calloc(1, sizeof *self);
    if (!self) {
        rule_set_destroy(rules);
        (void)error_set(err, ERROR_SYSTEM, "no memory for triage");
        return NULL;
    }
    self->rules = *rules;
    *rules = NULL;
    self->options = *options;
    self->hits = calloc(rule_set_count(self->rules), sizeof *self->hits);
    self->is_hit = calloc(rule_set_count(self->rules), sizeof *self->is_hit);
    if (!self->hits || !self->is_hit)
        (void)error_set(err, ERROR_SYSTEM, "no memory for triage");
    else
        self->scanner = scanner_new(self->rules, err);
    if (self->scanner)
        self->window = normalised_new(err);
    if (!self->window)
        triage_destroy(&self);
    return self;
}

const struct rule_set *triage_rules(const struct triage *self)
{
    return self->rules;
}

bool triage_is_urgent_lane(Desg__V1__Severity severity)
{
    return severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW ||
           severity == DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
}

static const char *usual_grade(Desg__V1__Severity severity)
{
    switch (severity) {
    case DESG__V1__SEVERITY__SEVERITY_ROUTINE:
        return "resolution";
    case DESG__V1__SEVERITY__SEVERITY_ATTENTION:
        return "scheduled";
    case DESG__V1__SEVERITY__SEVERITY_REVIEW:
        return "priority";
    default:
        return "immediate";
    }
}

/* Each circumstance counts once. */
static void note_weighed(struct triage *self, const struct circumstance *circumstance, float weight)
{
    for (size_t i = 0; i < self->finding_count; i++) {
        if (self->findings[i].circumstance.id == circumstance->id)
            return;
    }
    assert(self->finding_count < CIRCUMSTANCES_MAX); /* there are fewer kinds than that */
    self->findings[self->finding_count++] = (struct finding){ *circumstance, weight };
}

static void note(struct triage *self, const struct circumstance *circumstance)
{
    bool is_review = circumstance->severity >= DESG__V1__SEVERITY__SEVERITY_REVIEW;
    note_weighed(self, circumstance, is_review ? REVIEW_SCORE : ATTENTION_SCORE);
}

/* Looks for rules in one part of the event. is_text: it is Event.text, so places can be pointed to.
 */
static void look_at(struct triage *self, const char *text, size_t length, bool is_text,
                    struct scan *scan)
{
    scanner_scan(self->scanner, text, length, scan);
    if (scan->is_cut)
        note(self, &too_long);
    for (size_t i = 0; i < scan->hit_count; i++) {
        struct scan_hit hit = scan->hits[i];
        if (self->is_hit[hit.rule])
            continue;
        if (!is_text)
            hit.offset_bytes = hit.length_bytes = 0;
        self->is_hit[hit.rule] = true;
        self->hits[self->hit_count++] = hit;
    }
}

static Desg__V1__Language hinted_language(const char *hint)
{
    if (strncmp(hint, "cy", 2) == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_CY;
    if (strncmp(hint, "en", 2) == 0)
        return DESG__V1__LANGUAGE__LANGUAGE_EN;
    return DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
}

static void settle_language(struct triage *self, const struct scan *scan, const char *hint,
                            Desg__V1__Language by_model_language, struct verdict *out)
{
    Desg__V1__Language language = language_of(&scan->words);
    bool is_foreign_script =
        scan->foreign_letters >= FOREIGN_LETTERS_MIN && scan->foreign_letters * 2 > scan->letters;
    if (language == DESG__V1__LANGUAGE__LANGUAGE_UNSURE &&
        by_model_language != DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED)
        language = by_model_language;
    else if (is_foreign_script || language_is_foreign(&scan->words))
        note(self, &unknown_language); /* nobody here can tell what it says: a person looks */
    if (language == DESG__V1__LANGUAGE__LANGUAGE_UNSURE)
        language = hinted_language(hint);
    out->message.language = language;
}

static Desg__V1__Language ask_model(struct triage *self, const char *text, size_t length)
{
    const struct model *model = self->options.model;
    struct model_opinion opinion = { .language = DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED };
    if (!model)
        return opinion.language;
    (void)normalise(self->window, text, length, 0); /* its start is enough */
    if (model->judge(model->arg, self->window->text, self->window->length, &opinion) != 0) {
        note(self, &failed);
        return DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED;
    }
    struct circumstance said = by_model;
    said.severity = opinion.severity <= DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK
                        ? opinion.severity
                        : DESG__V1__SEVERITY__SEVERITY_REVIEW;
    if (opinion.score > 0 || opinion.severity > DESG__V1__SEVERITY__SEVERITY_ROUTINE)
        note_weighed(self, &said, opinion.score);
    return opinion.language;
}

/* A person wrote something: all they wrote is looked at. */
static void judge_writing(struct triage *self, const Desg__V1__Event *event, struct verdict *out)
{
    struct scan scan;
    struct scan ignored;
    size_t length = strlen(event->text);
    if (length == 0)
        note(self, &no_text);
    look_at(self, event->text, length, true, &scan);
    if (length > 0) {
        Desg__V1__Language language = ask_model(self, event->text, length);
        settle_language(self, &scan, event->language_hint, language, out);
    } else if (event->language_hint[0] != '\0') {
        out->message.language = hinted_language(event->language_hint);
    }
    look_at(self, event->location_text, strlen(event->location_text), false, &ignored);
    for (size_t i = 0; i < event->n_attachments; i++) {
        if (i == ATTACHMENTS_LOOKED_AT) {
            note(self, &too_long);
            break;
        }
        const char *title = event->attachments[i]->title;
        look_at(self, title, strlen(title), false, &ignored);
    }
}

static void judge_kind(struct triage *self, const Desg__V1__Event *event, struct verdict *out)
{
    struct scan ignored;
    switch (event->kind) {
    case DESG__V1__EVENT_KIND__EVENT_KIND_MESSAGE:
    case DESG__V1__EVENT_KIND__EVENT_KIND_EDIT:
    case DESG__V1__EVENT_KIND__EVENT_KIND_POSTBACK:
    case DESG__V1__EVENT_KIND__EVENT_KIND_COMMENT:
    case DESG__V1__EVENT_KIND__EVENT_KIND_MENTION:
        judge_writing(self, event, out);
        break;
    case DESG__V1__EVENT_KIND__EVENT_KIND_UNSEND:
    case DESG__V1__EVENT_KIND__EVENT_KIND_REACTION:
    case DESG__V1__EVENT_KIND__EVENT_KIND_READ:
    case DESG__V1__EVENT_KIND__EVENT_KIND_ECHO:
    case DESG__V1__EVENT_KIND__EVENT_KIND_OUTCOME:
        break; /* opens no work: routine */
    case DESG__V1__EVENT_KIND__EVENT_KIND_NOTICE:
        note(self, &notice);
        break;
    default: /* unknown, unreadable, or newer than we are: the raw body may hold a cry for help */
        note(self, &unknown_kind);
        look_at(self, event->text, strlen(event->text), true, &ignored);
        look_at(self, (const char *)event->raw.data, event->raw.len, false, &ignored);
        break;
    }
}

static bool is_heavier(const struct rule *a, const struct rule *b)
{
    if (a->severity != b->severity)
        return a->severity > b->severity;
    if (a->weight < b->weight || a->weight > b->weight)
        return a->weight > b->weight;
    return strcmp(a->id, b->id) < 0; /* the same verdict whatever the order of hits */
}

/* Moves the heaviest of hits[from..] to hits[from]. */
static void bring_heaviest(struct triage *self, size_t from)
{
    size_t best = from;
    for (size_t i = from + 1; i < self->hit_count; i++) {
        if (is_heavier(rule_set_rule(self->rules, self->hits[i].rule),
                       rule_set_rule(self->rules, self->hits[best].rule)))
            best = i;
    }
    struct scan_hit hit = self->hits[best];
    self->hits[best] = self->hits[from];
    self->hits[from] = hit;
}

static void add_reason(struct verdict *out, const char *rule, const struct scan_hit *hit,
                       float weight)
{
    Desg__V1__Reason *reason = &out->reasons[out->message.n_reasons];
    *reason = (Desg__V1__Reason)DESG__V1__REASON__INIT;
    reason->rule = (char *)rule; /* packed, not changed */
    reason->weight = weight;
    if (hit) {
        reason->offset_bytes = hit->offset_bytes;
        reason->length_bytes = hit->length_bytes;
    }
    out->reason_list[out->message.n_reasons++] = reason;
}

static void raise(struct verdict *out, Desg__V1__Severity severity, float weight)
{
    if (severity > out->message.severity)
        out->message.severity = severity;
    out->message.score = 1 - (1 - out->message.score) * (1 - weight);
}

/* Anonymity after a sexual offence is the law's: it stands above the other class. */
static int stricter(int a, int b)
{
    if (a == DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE ||
        b == DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE)
        return a;
    return b;
}

/* Adds all rules that hit, the heaviest first, leaving room for the circumstances' reasons. */
static void weigh_rules(struct triage *self, struct verdict *out)
{
    uint32_t flags = 0;
    int restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE;
    for (size_t i = 0; i < self->hit_count; i++) {
        bool is_reason = i < VERDICT_REASONS_MAX - self->finding_count;
        if (is_reason)
            bring_heaviest(self, i);
        const struct rule *rule = rule_set_rule(self->rules, self->hits[i].rule);
        if (is_reason)
            add_reason(out, rule->id, &self->hits[i], rule->weight);
        if (i == 0)
            out->message.category = (char *)rule->category;
        raise(out, (Desg__V1__Severity)rule->severity, rule->weight);
        flags |= rule->flags;
        restricted = stricter(restricted, rule->restricted);
        out->message.is_context_sensitive |= rule->is_context_sensitive;
    }
    out->message.restricted = (Desg__V1__RestrictedClass)restricted;
    for (unsigned flag = 1; flag <= VERDICT_FLAGS_MAX; flag++) {
        if (flags & (1U << flag))
            out->flags[out->message.n_flags++] = (Desg__V1__Flag)flag;
    }
}

static void weigh_circumstances(const struct triage *self, struct verdict *out)
{
    Desg__V1__Severity gravest = DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    for (size_t i = 0; i < self->finding_count; i++) {
        const struct finding *finding = &self->findings[i];
        add_reason(out, finding->circumstance.id, NULL, finding->weight);
        raise(out, finding->circumstance.severity, finding->weight);
        if (self->hit_count == 0 && finding->circumstance.severity > gravest) {
            gravest = finding->circumstance.severity;
            out->message.category = (char *)finding->circumstance.category;
        }
    }
}

void triage_judge(struct triage *self, const Desg__V1__Event *event, struct verdict *out)
{
    assert(self && event && out);
    self->hit_count = self->finding_count = 0;
    memset(self->is_hit, 0, rule_set_count(self->rules) * sizeof *self->is_hit);
    *out = (struct verdict){ .message = DESG__V1__VERDICT__INIT };
    out->message.severity = DESG__V1__SEVERITY__SEVERITY_ROUTINE;
    out->message.category = (char *)CATEGORY_GENERAL;
    out->message.reasons = out->reason_list;
    out->message.flags = out->flags;
    out->message.rules_edition = (char *)rule_set_edition(self->rules);
    if (self->options.model)
        out->message.model_edition = (char *)self->options.model->edition;
    judge_kind(self, event, out);
    weigh_rules(self, out);
    weigh_circumstances(self, out);
    Desg__V1__Severity severity = out->message.severity;
    out->message.is_urgent = severity >= DESG__V1__SEVERITY__SEVERITY_URGENT;
    const char *grade = self->options.grades[severity];
    out->message.grade = (char *)(grade ? grade : usual_grade(severity));
}
