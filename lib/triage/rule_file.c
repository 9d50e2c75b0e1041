#include "triage/rule_file.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "desg/v1/verdict.pb-c.h"
#include "triage/phrase.h"

#define WEIGHT_MIN 0.05F
#define WEIGHT_MAX 1.0F

static const cyaml_strval_t languages[] = { { "en", RULE_LANGUAGE_EN },
                                            { "cy", RULE_LANGUAGE_CY } };

static const cyaml_strval_t severities[] = {
    { "routine", DESG__V1__SEVERITY__SEVERITY_ROUTINE },
    { "attention", DESG__V1__SEVERITY__SEVERITY_ATTENTION },
    { "review", DESG__V1__SEVERITY__SEVERITY_REVIEW },
    { "urgent", DESG__V1__SEVERITY__SEVERITY_URGENT },
    { "life-at-risk", DESG__V1__SEVERITY__SEVERITY_LIFE_AT_RISK },
};

static const cyaml_strval_t restricted_classes[] = {
    { "none", DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_NONE },
    { "sexual-offence", DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_SEXUAL_OFFENCE },
    { "intelligence", DESG__V1__RESTRICTED_CLASS__RESTRICTED_CLASS_INTELLIGENCE },
};

static const cyaml_strval_t flags[] = {
    { "life-at-risk", DESG__V1__FLAG__FLAG_LIFE_AT_RISK },
    { "weapon", DESG__V1__FLAG__FLAG_WEAPON },
    { "child", DESG__V1__FLAG__FLAG_CHILD },
    { "suicide", DESG__V1__FLAG__FLAG_SUICIDE },
    { "domestic", DESG__V1__FLAG__FLAG_DOMESTIC },
    { "missing", DESG__V1__FLAG__FLAG_MISSING },
    { "injury", DESG__V1__FLAG__FLAG_INJURY },
    { "in-progress", DESG__V1__FLAG__FLAG_IN_PROGRESS },
    { "hate", DESG__V1__FLAG__FLAG_HATE },
    { "vulnerable", DESG__V1__FLAG__FLAG_VULNERABLE },
};

static const cyaml_schema_value_t flag_entry = {
    CYAML_VALUE_ENUM(CYAML_FLAG_STRICT, int, flags, CYAML_ARRAY_LEN(flags)),
};
static const cyaml_schema_value_t phrase_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, PHRASE_MAX_BYTES),
};
static const cyaml_schema_value_t example_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, RULE_EXAMPLE_MAX_BYTES),
};

static const cyaml_schema_value_t id_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, RULE_ID_MAX_BYTES),
};

enum { OPTIONAL_LIST = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, REACH_MAX = 1000 };

static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_STRING_PTR("id", CYAML_FLAG_POINTER, struct rule_source, id, 1, RULE_ID_MAX_BYTES),
    CYAML_FIELD_ENUM("language", CYAML_FLAG_STRICT, struct rule_source, language, languages,
                     CYAML_ARRAY_LEN(languages)),
    CYAML_FIELD_ENUM("severity", CYAML_FLAG_STRICT, struct rule_source, severity, severities,
                     CYAML_ARRAY_LEN(severities)),
    CYAML_FIELD_FLOAT("weight", CYAML_FLAG_DEFAULT, struct rule_source, weight),
    CYAML_FIELD_SEQUENCE("flags", OPTIONAL_LIST, struct rule_source, flags, &flag_entry, 0,
                         CYAML_ARRAY_LEN(flags)),
    CYAML_FIELD_ENUM("restricted", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, struct rule_source,
                     restricted, restricted_classes, CYAML_ARRAY_LEN(restricted_classes)),
    CYAML_FIELD_BOOL("context_sensitive", CYAML_FLAG_OPTIONAL, struct rule_source,
                     is_context_sensitive),
    CYAML_FIELD_STRING_PTR("category", OPTIONAL_LIST, struct rule_source, category, 1,
                           RULE_CATEGORY_MAX_BYTES),
    CYAML_FIELD_SEQUENCE("phrases", CYAML_FLAG_POINTER, struct rule_source, phrases, &phrase_entry,
                         1, RULE_MAX_PHRASES),
    CYAML_FIELD_SEQUENCE("unless", OPTIONAL_LIST, struct rule_source, unless, &phrase_entry, 0,
                         RULE_MAX_PHRASES),
    CYAML_FIELD_SEQUENCE("guards", OPTIONAL_LIST, struct rule_source, guards, &id_entry, 0,
                         RULE_MAX_GUARDS),
    CYAML_FIELD_SEQUENCE("match", OPTIONAL_LIST, struct rule_source, match, &example_entry, 0,
                         RULE_MAX_PHRASES),
    CYAML_FIELD_SEQUENCE("no_match", OPTIONAL_LIST, struct rule_source, no_match, &example_entry, 0,
                         RULE_MAX_PHRASES),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t rule_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_source, rule_fields),
};
static const cyaml_schema_field_t guard_fields[] = {
    CYAML_FIELD_STRING_PTR("id", CYAML_FLAG_POINTER, struct guard_source, id, 1, RULE_ID_MAX_BYTES),
    CYAML_FIELD_UINT("reach", CYAML_FLAG_OPTIONAL, struct guard_source, reach),
    CYAML_FIELD_SEQUENCE("en", OPTIONAL_LIST, struct guard_source, en, &phrase_entry, 0,
                         RULE_MAX_PHRASES),
    CYAML_FIELD_SEQUENCE("cy", OPTIONAL_LIST, struct guard_source, cy, &phrase_entry, 0,
                         RULE_MAX_PHRASES),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t guard_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct guard_source, guard_fields),
};
static const cyaml_schema_field_t spelling_fields[] = {
    CYAML_FIELD_STRING_PTR("word", CYAML_FLAG_POINTER, struct spelling_source, word, 1,
                           RULE_ID_MAX_BYTES),
    CYAML_FIELD_SEQUENCE("variants", CYAML_FLAG_POINTER, struct spelling_source, variants,
                         &id_entry, 1, RULE_MAX_PHRASES),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t spelling_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct spelling_source, spelling_fields),
};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("edition", CYAML_FLAG_POINTER, struct rule_file, edition, 1, 32),
    CYAML_FIELD_STRING_PTR("category", OPTIONAL_LIST, struct rule_file, category, 1,
                           RULE_CATEGORY_MAX_BYTES),
    CYAML_FIELD_SEQUENCE("guards", OPTIONAL_LIST, struct rule_file, guards, &id_entry, 0,
                         RULE_MAX_GUARDS),
    CYAML_FIELD_SEQUENCE("rules", OPTIONAL_LIST, struct rule_file, rules, &rule_entry, 1,
                         RULE_FILE_MAX_RULES),
    CYAML_FIELD_SEQUENCE("guard_sets", OPTIONAL_LIST, struct rule_file, guard_sets, &guard_entry, 1,
                         RULE_MAX_GUARDS),
    CYAML_FIELD_SEQUENCE("spellings", OPTIONAL_LIST, struct rule_file, spellings, &spelling_entry,
                         1, RULE_MAX_SPELLINGS),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rule_file, file_fields),
};

/* What libcyaml says of a wrong file: one line of what, then where, from the inside out. */
struct complaint {
    char what[160];
    char field[32];
    unsigned line;
};

__attribute__((format(printf, 3, 0))) static void take_complaint(cyaml_log_t level, void *arg,
                                                                 const char *format, va_list args)
{
    struct complaint *complaint = arg;
    (void)level;
    char text[256];
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *line = strstr(text, "(line: ");
    const char *field = strstr(text, "in mapping field '");
    if (line && complaint->line == 0)
        complaint->line = (unsigned)strtoul(line + strlen("(line: "), NULL, 10);
    if (field && complaint->field[0] == '\0') {
        field += strlen("in mapping field '");
        (void)snprintf(complaint->field, sizeof complaint->field, "%.*s", (int)strcspn(field, "'"),
                       field);
    }
    if (complaint->what[0] == '\0' && strncmp(text, "Load: ", strlen("Load: ")) == 0)
        (void)snprintf(complaint->what, sizeof complaint->what, "%.150s", text + strlen("Load: "));
}

static const char *remedy_for(const char *field)
{
    static const struct {
        const char *field;
        const char *remedy;
    } remedies[] = {
        { "edition", "write a date in quotes, such as \"2026-11-22\"" },
        { "language", "write en or cy" },
        { "severity", "write routine, attention, review, urgent or life-at-risk" },
        { "weight", "write a number from 0.05 to 1" },
        { "flags", "write a list such as [domestic, weapon]; README.md has all flags" },
        { "restricted", "write none, sexual-offence or intelligence" },
        { "context_sensitive", "write true or false" },
        { "phrases", "write 1 to 200 phrases of at most 300 bytes, each in quotes" },
        { "unless", "write at most 200 phrases of at most 300 bytes, each in quotes" },
        { "guards", "write a list of ids of guard_sets, such as [past, fiction]" },
        { "reach", "write how many characters may lie between, from 1 to 1000" },
        { "word", "write one word, and its other spellings as variants" },
        { "variants", "write a list of words" },
        { "match", "write examples in quotes, at most 2000 bytes each" },
        { "no_match", "write examples in quotes, at most 2000 bytes each" },
    };
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
        if (strcmp(remedies[i].field, field) == 0)
            return remedies[i].remedy;
    }
    return "the keys of a file and a rule, and what they hold, are in the README.md of the rules";
}

static const cyaml_config_t *config_with(cyaml_config_t *config, struct complaint *complaint)
{
    *config = (cyaml_config_t){
        .log_fn = take_complaint,
        .log_ctx = complaint,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    return config;
}

void rule_file_destroy(struct rule_file **self_p)
{
    if (!*self_p)
        return;
    struct complaint complaint = { .line = 0 };
    cyaml_config_t config;
    (void)cyaml_free(config_with(&config, &complaint), &file_schema, *self_p, 0);
    *self_p = NULL;
}

/* A file while it is checked. document: the same bytes again, for the lines libcyaml forgets. */
struct check {
    const char *name;
    yaml_document_t *document;
    struct error *err;
};

static yaml_node_t *value_of(yaml_document_t *document, const yaml_node_t *mapping, const char *key)
{
    if (!mapping || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(document, pair->key);
        if (name && name->type == YAML_SCALAR_NODE &&
            strcmp((const char *)name->data.scalar.value, key) == 0)
            return yaml_document_get_node(document, pair->value);
    }
    return NULL;
}

static yaml_node_t *item_of(yaml_document_t *document, const yaml_node_t *list, size_t index)
{
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return NULL;
    const yaml_node_item_t *start = list->data.sequence.items.start;
    size_t count = (size_t)(list->data.sequence.items.top - start);
    return index < count ? yaml_document_get_node(document, start[index]) : NULL;
}

static yaml_node_t *part_node(yaml_document_t *document, const char *key, size_t index)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    return item_of(document, value_of(document, root, key), index);
}

static unsigned line_of(const yaml_node_t *node)
{
    return node ? (unsigned)node->start_mark.line + 1 : 0;
}

/* What of a file is being checked. */
struct item {
    const char *kind; /* "rule" */
    const char *id;
    const yaml_node_t *node;
};

static int refuse(const struct check *self, const yaml_node_t *at, const struct item *item,
                  const char *what)
{
    return error_set(self->err, ERROR_CONFIG, "%s:%u: %s %s: %s", self->name, line_of(at),
                     item->kind, item->id ? item->id : "?", what);
}

static bool is_made_of(const char *text, const char *allowed)
{
    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

#define LOWER_CASE_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

static bool is_date(const char *text)
{
    static const char pattern[] = "dddd-dd-dd";
    if (strlen(text) != strlen(pattern))
        return false;
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == 'd' ? !is_digit : text[i] != '-')
            return false;
    }
    return true;
}

/* The phrases that stand under a key of the item. */
static int check_phrases(const struct check *self, const struct item *item, const char *key,
                         char **phrases, unsigned count, bool is_welsh)
{
    for (unsigned i = 0; i < count; i++) {
        struct phrase phrase;
        struct error err = { 0 };
        if (phrase_parse(phrases[i], is_welsh, &phrase, &err) == 0) {
            phrase_clear(&phrase);
            continue;
        }
        const yaml_node_t *list = value_of(self->document, item->node, key);
        return refuse(self, item_of(self->document, list, i), item, err.text);
    }
    return 0;
}

static int check_rule(const struct check *self, size_t index, struct rule_source *rule)
{
    const struct item item = { "rule", rule->id, part_node(self->document, "rules", index) };
    bool is_welsh = rule->language == RULE_LANGUAGE_CY;
    rule->line = line_of(item.node);
    if (!is_made_of(rule->id, LOWER_CASE_AND_DIGITS ".-"))
        return refuse(self, item.node, &item,
                      "the id is not of lower case letters, digits, dots and dashes: write one "
                      "such as domestic.threat-to-kill.en");
    if (rule->category && !is_made_of(rule->category, LOWER_CASE_AND_DIGITS "-"))
        return refuse(self, item.node, &item,
                      "the category is not of lower case letters, digits and dashes: write one "
                      "such as domestic-abuse");
    if (!(rule->weight >= WEIGHT_MIN && rule->weight <= WEIGHT_MAX)) /* also refuses NaN */
        return refuse(self, item.node, &item,
                      "the weight is not from 0.05 to 1: write such a number");
    if (check_phrases(self, &item, "phrases", rule->phrases, rule->phrases_count, is_welsh) != 0)
        return -1;
    return check_phrases(self, &item, "unless", rule->unless, rule->unless_count, is_welsh);
}

static int check_guard(const struct check *self, size_t index, struct guard_source *guard)
{
    const struct item item = { "guard", guard->id, part_node(self->document, "guard_sets", index) };
    guard->line = line_of(item.node);
    if (guard->reach == 0)
        guard->reach = RULE_GUARD_REACH_CHARACTERS;
    if (!is_made_of(guard->id, LOWER_CASE_AND_DIGITS "-"))
        return refuse(self, item.node, &item,
                      "the id is not of lower case letters, digits and dashes: write one such as "
                      "past");
    if (guard->reach > REACH_MAX)
        return refuse(self, item.node, &item, "reach is above 1000 characters: write fewer");
    if (guard->en_count + guard->cy_count == 0)
        return refuse(self, item.node, &item, "no phrases: write some under en or cy");
    if (check_phrases(self, &item, "en", guard->en, guard->en_count, false) != 0)
        return -1;
    return check_phrases(self, &item, "cy", guard->cy, guard->cy_count, true);
}

/* Makes one word as texts have it, in place. */
static int fold_word(const struct check *self, const struct item *item, char *word)
{
    struct phrase phrase;
    struct error err = { 0 };
    if (phrase_parse(word, false, &phrase, &err) != 0)
        return refuse(self, item->node, item, err.text);
    const struct phrase_term *term = &phrase.terms[0];
    const char *form = forms_next(&term->forms, NULL);
    bool is_one_word = phrase.term_count == 1 && term->forms.count == 1 && !term->is_optional &&
                       !strpbrk(form, " *?") && strlen(form) <= strlen(word);
    if (is_one_word)
        memcpy(word, form, strlen(form) + 1);
    phrase_clear(&phrase);
    return is_one_word ? 0
                       : refuse(self, item->node, item,
                                "a spelling is of one word: write one word, without brackets");
}

static int check_spelling(const struct check *self, size_t index, struct spelling_source *spelling)
{
    const struct item item = { "spelling", spelling->word,
                               part_node(self->document, "spellings", index) };
    if (fold_word(self, &item, spelling->word) != 0)
        return -1;
    for (unsigned i = 0; i < spelling->variants_count; i++) {
        if (fold_word(self, &item, spelling->variants[i]) != 0)
            return -1;
    }
    return 0;
}

static int check_parts(const struct check *self, struct rule_file *file)
{
    for (unsigned i = 0; i < file->rules_count; i++) {
        if (check_rule(self, i, &file->rules[i]) != 0)
            return -1;
    }
    for (unsigned i = 0; i < file->guard_sets_count; i++) {
        if (check_guard(self, i, &file->guard_sets[i]) != 0)
            return -1;
    }
    for (unsigned i = 0; i < file->spellings_count; i++) {
        if (check_spelling(self, i, &file->spellings[i]) != 0)
            return -1;
    }
    return 0;
}

static int check_file(const struct check *self, struct rule_file *file)
{
    if (!is_date(file->edition))
        return error_set(self->err, ERROR_CONFIG,
                         "%s: the edition is not a date: write one in quotes, such as "
                         "\"2026-11-22\"",
                         self->name);
    if (file->rules_count + file->guard_sets_count + file->spellings_count == 0)
        return error_set(self->err, ERROR_CONFIG,
                         "%s: no rules in it: write rules, guard_sets or spellings", self->name);
    if (file->rules_count > 0 && !file->category)
        return error_set(self->err, ERROR_CONFIG,
                         "%s: no category: write the one of its rules, such as domestic-abuse",
                         self->name);
    if (file->category && !is_made_of(file->category, LOWER_CASE_AND_DIGITS "-"))
        return error_set(self->err, ERROR_CONFIG,
                         "%s: the category is not of lower case letters, digits and dashes: write "
                         "one such as domestic-abuse",
                         self->name);
    return check_parts(self, file);
}

static int check_keys(const struct check *self, const yaml_node_t *mapping)
{
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(self->document, pair->key);
        if (!key || key->type != YAML_SCALAR_NODE)
            continue;
        const char *name = (const char *)key->data.scalar.value;
        if (value_of(self->document, mapping, name) !=
            yaml_document_get_node(self->document, pair->value))
            return error_set(self->err, ERROR_CONFIG,
                             "%s:%u: key '%.40s' stands here twice: leave one", self->name,
                             line_of(key), name);
    }
    return 0;
}

/* Without a text of the problem libyaml ran out of memory. */
static int parser_error(const char *name, const yaml_parser_t *parser, struct error *err)
{
    if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", name);
    return error_set(err, ERROR_CONFIG, "%s:%zu: not YAML: %s", name, parser->problem_mark.line + 1,
                     parser->problem);
}

/* What libcyaml lets pass: a key written twice (the first is lost), a second document. */
static int check_document(const struct check *self, yaml_parser_t *parser)
{
    size_t count = (size_t)(self->document->nodes.top - self->document->nodes.start);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *node = &self->document->nodes.start[i];
        if (node->type == YAML_MAPPING_NODE && check_keys(self, node) != 0)
            return -1;
    }
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return parser_error(self->name, parser, self->err);
    bool is_more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    if (is_more)
        return error_set(self->err, ERROR_CONFIG,
                         "%s: a second document after '---': put all rules into the first",
                         self->name);
    return 0;
}

/* The text was parsed once already: what libyaml cannot parse now is for want of memory. */
static bool is_for_memory(cyaml_err_t rc)
{
    return rc == CYAML_ERR_OOM || rc == CYAML_ERR_LIBYAML_PARSER ||
           rc == CYAML_ERR_LIBYAML_PARSER_INIT;
}

static struct rule_file *load_by_schema(const char *name, const uint8_t *bytes, size_t length,
                                        struct error *err)
{
    struct complaint complaint = { .line = 0 };
    cyaml_config_t config;
    cyaml_data_t *file = NULL;
    cyaml_err_t rc =
        cyaml_load_data(bytes, length, config_with(&config, &complaint), &file_schema, &file, NULL);
    if (rc == CYAML_OK && file)
        return file;
    if (rc == CYAML_OK)
        (void)error_set(err, ERROR_CONFIG, "%s: no rules in it: %s", name, remedy_for(""));
    else
        (void)error_set(err, is_for_memory(rc) ? ERROR_SYSTEM : ERROR_CONFIG, "%s:%u: %s: %s", name,
                        complaint.line,
                        complaint.what[0] != '\0' ? complaint.what : cyaml_strerror(rc),
                        remedy_for(complaint.field));
    return NULL;
}

static struct rule_file *parse_checked(struct check *check, yaml_parser_t *parser,
                                       const uint8_t *bytes, size_t length)
{
    if (check_document(check, parser) != 0)
        return NULL;
    struct rule_file *file = load_by_schema(check->name, bytes, length, check->err);
    if (file && check_file(check, file) != 0)
        rule_file_destroy(&file);
    return file;
}

struct rule_file *rule_file_parse(const char *name, const uint8_t *bytes, size_t length,
                                  struct error *err)
{
    assert(name && (bytes || length == 0) && err);
    if (length == 0 || length > RULE_FILE_MAX_BYTES) {
        (void)error_set(err, ERROR_CONFIG,
                        "%s: %zu bytes: write 1 to %d bytes, or split the file in two", name,
                        length, RULE_FILE_MAX_BYTES);
        return NULL;
    }
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser)) {
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", name);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, bytes, length);
    struct rule_file *file = NULL;
    if (yaml_parser_load(&parser, &document)) {
        struct check check = { .name = name, .document = &document, .err = err };
        file = parse_checked(&check, &parser, bytes, length);
        yaml_document_delete(&document);
    } else {
        (void)parser_error(name, &parser, err);
    }
    yaml_parser_delete(&parser);
    return file;
}
