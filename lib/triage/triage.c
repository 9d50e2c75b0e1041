#include "triage/triage.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "triage/evidence.h"
#include "triage/normalise.h"
#include "triage/scan.h"

enum { ATTACHMENTS_LOOKED_AT = 32, FOREIGN_LETTERS_MIN = 3, CIRCUMSTANCES_MAX = 8 };

#define CATEGORY_GENERAL "general"
#define BY_MODEL         "triage.model"
#define REVIEW_SCORE     0.5F
#define ATTENTION_SCORE  0.2F
#define CERTAIN_WEIGHT   1.0F
#define RULE_SHARE       0.4F /* of the review threshold: from there on what a grave rule says stands */

enum hit_place { NOWHERE, IN_TEXT, ELSEWHERE }; /* elsewhere: where no model is asked of */

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

/* A word that weighed with the model, in Event.text. */
struct place {
    uint32_t offset_bytes;
    uint32_t length_bytes;
    float weight;
};

/* What the model said of an event. */
struct said {
    bool is_asked; /* and it answered */
    struct model_opinion opinion;
    struct place places[MODEL_PLACES_MAX];
    size_t place_count;
};

struct triage {
    struct rule_set *rules;
    struct scanner *scanner;
    struct model_file *model_file; /* NULL: the model is borrowed, or there is none */
    struct evidence_map *evidence; /* of the rules for the model; NULL: there is no model */
    struct normalised *window;     /* of a text in several, for the model */
    struct triage_options options;
    /* Found in the event judged now: */
    struct scan_hit *hits; /* of all its parts; room for every rule */
    size_t hit_count;
    uint8_t *hit_places; /* by rule: enum hit_place */
    struct finding findings[CIRCUMSTANCES_MAX];
    size_t finding_count;
    struct said said;
};

void triage_destroy(struct triage **self_p)
{
    struct triage *self = *self_p;
    if (!self)
        return;
    scanner_destroy(&self->scanner);
    normalised_destroy(&self->window);
    rule_set_destroy(&self->rules);
    evidence_map_destroy(&self->evidence);
    model_file_destroy(&self->model_file);
    free(self->hits);
    free(self->hit_places);
    free(self);
    *self_p = NULL;
}

/* Which rules speak of which of a model's categories. */
static int know_model(struct triage *self, const struct model *model, struct error *err)
{
    struct evidence_map *map =
        evidence_map_new(self->rules, model->categories, model->category_count, err);
    if (!map)
        return -1;
    evidence_map_destroy(&self->evidence);
    self->evidence = map;
    return 0;
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
    self->hit_places = calloc(rule_set_count(self->rules), sizeof *self->hit_places);
    if (!self->hits || !self->hit_places)
        (void)error_set(err, ERROR_SYSTEM, "no memory for triage");
    else
        self->scanner = scanner_new(self->rules, err);
    if (self->scanner)
        self->window = normalised_new(err);
    if (!self->window || (options->model && know_model(self, options->model, err) != 0))
        triage_destroy(&self);
    return self;
}

const struct rule_set *triage_rules(const struct triage *self)
{
    return self->rules;
}

int triage_take_model(struct triage *self, struct model_file **file, struct error *err)
{
    assert(self && file && *file && err);
    if (know_model(self, model_file_model(*file), err) != 0)
        return -1;
    model_file_destroy(&self->model_file);
    self->model_file = *file;
    self->options.model = model_file_model(self->model_file);
    *file = NULL;
    return 0;
}

struct model_file *triage_release_model(struct triage *self)
{
    struct model_file *file = self->model_file;
    if (file)
        self->options.model = NULL;
    self->model_file = NULL;
    return file;
}

const struct model *triage_model(const struct triage *self)
{
    return self->options.model;
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
        if (self->hit_places[hit.rule] != NOWHERE)
            continue;
        if (!is_text)
            hit.offset_bytes = hit.length_bytes = 0;
        self->hit_places[hit.rule] = is_text ? IN_TEXT : ELSEWHERE;
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

/* A text of a few words that says little: what the platform knows of the person counts. */
static void settle_language(struct triage *self, const struct scan *scan, const char *hint,
                            struct verdict *out)
{
    const struct said *said = &self->said;
    Desg__V1__Language language = language_of(&scan->words);
    bool is_by_hint = language == DESG__V1__LANGUAGE__LANGUAGE_UNSURE;
    bool is_foreign_script =
        scan->foreign_letters >= FOREIGN_LETTERS_MIN && scan->foreign_letters * 2 > scan->letters;
    if (said->is_asked && said->opinion.language != DESG__V1__LANGUAGE__LANGUAGE_UNSPECIFIED) {
        language = said->opinion.language;
        is_by_hint = !said->opinion.is_language_sure;
    }
    if (is_foreign_script || language_is_foreign(&scan->words)) {
        note(self, &unknown_language); /* nobody here can tell what it says: a person looks */
        is_by_hint = true;
    }
    out->message.language = is_by_hint ? hinted_language(hint) : language;
}

/* A text as a model is asked of it, or a window of it: what was written and what it became. */
struct asked {
    const char *text;
    size_t length;
    const struct normalised *window;
};

/* Makes the words of an opinion on the window point into the text. */
static void take_places(struct triage *self, const struct asked *asked)
{
    struct said *said = &self->said;
    said->place_count = 0;
    for (size_t i = 0; i < said->opinion.place_count; i++) {
        const struct model_place *from = &said->opinion.places[i];
        struct place *place = &said->places[said->place_count++];
        normalised_place(asked->window, asked->text, asked->length, from->from, from->to,
                         &place->offset_bytes, &place->length_bytes);
        place->weight = from->weight;
    }
}

/* Of a text in several windows the worst one is what is said, but for the language, which is that
 * of its beginning, and for what is restricted anywhere. */
static void take_opinion(struct triage *self, const struct model_opinion *opinion,
                         const struct asked *asked)
{
    struct said *said = &self->said;
    struct model_opinion before = said->opinion;
    bool is_first = !said->is_asked;
    said->is_asked = true;
    if (is_first || opinion->urgent > before.urgent) {
        said->opinion = *opinion;
        take_places(self, asked);
    }
    if (is_first)
        return;
    said->opinion.language = before.language;
    said->opinion.is_language_sure = before.is_language_sure;
    said->opinion.sexual_offence = fmaxf(before.sexual_offence, opinion->sexual_offence);
    said->opinion.intelligence = fmaxf(before.intelligence, opinion->intelligence);
}

static int ask_of_window(struct triage *self, const struct asked *asked,
                         const struct model_evidence *evidence)
{
    const struct model *model = self->options.model;
    struct model_opinion opinion = { 0 };
    if (model->judge(model->arg, asked->window->text, asked->window->length, evidence, &opinion) !=
        0) {
        self->said = (struct said){ 0 };
        note(self, &failed);
        return -1;
    }
    take_opinion(self, &opinion, asked);
    return 0;
}

/* What the scan normalised is not normalised again, unless it took several windows. */
static void ask_model(struct triage *self, const char *text, size_t length)
{
    struct asked asked = { text, length, scanner_whole_text(self->scanner) };
    struct model_evidence evidence = { 0 };
    if (!self->options.model)
        return;
    for (size_t i = 0; i < self->hit_count; i++)
        evidence_add(self->evidence, self->hits[i].rule, &evidence);
    if (asked.window) {
        (void)ask_of_window(self, &asked, &evidence);
        return;
    }
    size_t end = length < SCAN_TEXT_MAX_BYTES ? length : SCAN_TEXT_MAX_BYTES;
    asked.window = self->window;
    for (size_t from = 0; from < end;) {
        size_t stop = normalise(self->window, text, end, from);
        if (ask_of_window(self, &asked, &evidence) != 0)
            return;
        from = stop < end ? normalise_next_window(text, end, from, stop) : end;
    }
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
    out->message.sketch.len = scanner_sketch(self->scanner, event, &out->message.sketch.data);
    if (length > 0) {
        ask_model(self, event->text, length);
        settle_language(self, &scan, event->language_hint, out);
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

/* A model that says something without words to show gives one reason. */
static size_t reasons_of_model(const struct triage *self)
{
    if (!self->said.is_asked)
        return 0;
    return self->said.place_count > 0 ? self->said.place_count : 1;
}

/* The configuration's for the channel, else for all, else the model's. */
static struct triage_thresholds thresholds_for(const struct triage *self, const char *channel)
{
    const struct triage_options *options = &self->options;
    struct triage_thresholds out = options->thresholds;
    for (size_t i = 0; i < options->channel_count; i++) {
        const struct triage_channel *own = &options->channels[i];
        if (strcmp(own->name, channel) != 0)
            continue;
        out.urgent = own->thresholds.urgent > 0 ? own->thresholds.urgent : out.urgent;
        out.review = own->thresholds.review > 0 ? own->thresholds.review : out.review;
    }
    if (!options->model)
        return out;
    out.urgent = out.urgent > 0 ? out.urgent : options->model->thresholds.urgent;
    out.review = out.review > 0 ? out.review : options->model->thresholds.review;
    return out;
}

/* How grave a rule's hit makes the event. What the model thinks unlikely, told of the rule, is
 * worth a look and no more, unless the rule is certain or it hit where the model was not asked. */
static Desg__V1__Severity severity_of_hit(const struct triage *self, uint32_t index,
                                          float review_threshold)
{
    const struct rule *rule = rule_set_rule(self->rules, index);
    Desg__V1__Severity severity = (Desg__V1__Severity)rule->severity;
    float least = review_threshold * RULE_SHARE;
    bool stands = !self->said.is_asked || self->said.opinion.urgent >= least ||
                  rule->weight >= CERTAIN_WEIGHT || self->hit_places[index] == ELSEWHERE;
    if (stands || severity < DESG__V1__SEVERITY__SEVERITY_REVIEW)
        return severity;
    return DESG__V1__SEVERITY__SEVERITY_ATTENTION;
}

/* Adds all rules that hit, the heaviest first, leaving room for the model's and the circumstances'
 * reasons. */
static void weigh_rules(struct triage *self, float review_threshold, struct verdict *out)
{
    size_t others = self->finding_count + reasons_of_model(self);
    uint32_t flags = 0;
    int restricted = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE;
    for (size_t i = 0; i < self->hit_count; i++) {
        bool is_reason = i < VERDICT_REASONS_MAX - others;
        if (is_reason)
            bring_heaviest(self, i);
        const struct rule *rule = rule_set_rule(self->rules, self->hits[i].rule);
        if (is_reason)
            add_reason(out, rule->id, &self->hits[i], rule->weight);
        if (i == 0)
            out->message.category = (char *)rule->category;
        raise(out, severity_of_hit(self, self->hits[i].rule, review_threshold), rule->weight);
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

/* The model names the category, as it was told of all rules that hit. Where it is not sure the rule
 * that counted most does, and always one that restricts who may see the event. */
static void settle_category(const struct triage *self, struct verdict *out)
{
    const struct model_opinion *opinion = &self->said.opinion;
    if (!opinion->category)
        return;
    if (self->hit_count > 0) {
        const struct rule *rule = rule_set_rule(self->rules, self->hits[0].rule);
        if (rule->restricted != DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE ||
            opinion->category_surety < self->options.model->thresholds.category)
            return;
    }
    out->message.category = (char *)opinion->category;
}

/* A message of these categories is of a restricted class, too. */
static int class_of_category(const char *category)
{
    if (strcmp(category, "sexual-offences") == 0)
        return DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    if (strcmp(category, "intelligence") == 0)
        return DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
    return DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE;
}

static void settle_class(const struct triage *self, struct verdict *out)
{
    const struct model_opinion *opinion = &self->said.opinion;
    float restricted = self->options.model->thresholds.restricted;
    int class = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE;
    if (opinion->intelligence >= restricted)
        class = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE;
    if (opinion->sexual_offence >= restricted)
        class = DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE;
    if (opinion->category && out->message.category == opinion->category)
        class = stricter(class_of_category(opinion->category), class);
    out->message.restricted =
        (Desg__V1__RestrictedClass)stricter(class, (int)out->message.restricted);
}

static void add_model_reasons(const struct triage *self, struct verdict *out)
{
    const struct said *said = &self->said;
    float all = 0;
    for (size_t i = 0; i < said->place_count; i++)
        all += said->places[i].weight;
    for (size_t i = 0; i < said->place_count; i++) {
        struct scan_hit hit = { 0, said->places[i].offset_bytes, said->places[i].length_bytes };
        add_reason(out, BY_MODEL, &hit, said->opinion.urgent * said->places[i].weight / all);
    }
    if (said->place_count == 0)
        add_reason(out, BY_MODEL, NULL, said->opinion.urgent);
}

/* The model's score is that of rules and model together: it was told what rules found. */
static void weigh_model(const struct triage *self, const struct triage_thresholds *thresholds,
                        struct verdict *out)
{
    const struct model_opinion *opinion = &self->said.opinion;
    if (!self->said.is_asked)
        return;
    out->message.model_edition = (char *)self->options.model->edition;
    float score = opinion->urgent;
    Desg__V1__Severity severity = DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED;
    if (score >= thresholds->review)
        severity = DESG__V1__SEVERITY__SEVERITY_REVIEW;
    if (score >= thresholds->urgent)
        severity = DESG__V1__SEVERITY__SEVERITY_URGENT;
    raise(out, severity, 0);
    out->message.score = score;
    if (severity != DESG__V1__SEVERITY__SEVERITY_UNSPECIFIED)
        add_model_reasons(self, out);
    settle_category(self, out);
    settle_class(self, out);
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
    self->said = (struct said){ 0 };
    memset(self->hit_places, NOWHERE, rule_set_count(self->rules) * sizeof *self->hit_places);
    *out = (struct verdict){ .message = DESG__V1__VERDICT__INIT };
    out->message.severity = DESG__V1__SEVERITY__SEVERITY_ROUTINE;
    out->message.category = (char *)CATEGORY_GENERAL;
    out->message.reasons = out->reason_list;
    out->message.flags = out->flags;
    out->message.rules_edition = (char *)rule_set_edition(self->rules);
    judge_kind(self, event, out);
    const struct triage_thresholds thresholds = thresholds_for(self, event->channel);
    weigh_rules(self, thresholds.review, out);
    weigh_model(self, &thresholds, out);
    weigh_circumstances(self, out);
    Desg__V1__Severity severity = out->message.severity;
    out->message.is_urgent = severity >= DESG__V1__SEVERITY__SEVERITY_URGENT;
    const char *grade = self->options.grades[severity];
    out->message.grade = (char *)(grade ? grade : usual_grade(severity));
}
