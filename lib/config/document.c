#include "config/document.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DOCUMENT_MAX_BYTES = 1 << 20 };

static int parser_error(const struct document *self, const yaml_parser_t *parser, struct error *err)
{
    /* Out of memory deep inside libyaml is told by a missing text only; exit code 78 would stop the
     * unit for good. */
    if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", self->path);
    if (parser->error == YAML_READER_ERROR)
        return error_set(err, ERROR_CONFIG, "%s: byte %zu: %s: write the file in UTF-8", self->path,
                         parser->problem_offset, parser->problem);
    const char *context = parser->context ? parser->context : "";
    return error_set(err, ERROR_CONFIG,
                     "%s:%zu:%zu: not YAML: %s%s%s: check quotes, indentation "
                     "(spaces, never tabs) and the line before",
                     self->path, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                     parser->problem, *context ? " " : "", context);
}

static int check_single(struct document *self, yaml_parser_t *parser, struct error *err)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return parser_error(self, parser, err);
    const yaml_node_t *root = yaml_document_get_root_node(&next);
    size_t line = root ? root->start_mark.line + 1 : 0;
    yaml_document_delete(&next);
    if (line)
        return error_set(err, ERROR_CONFIG, "%s:%zu: a second document begins: write one only",
                         self->path, line);
    return 0;
}

static int parse(struct document *self, yaml_parser_t *parser, struct error *err)
{
    if (!yaml_parser_load(parser, &self->yaml))
        return parser_error(self, parser, err);
    self->is_loaded = true;
    const yaml_node_t *root = yaml_document_get_root_node(&self->yaml);
    if (!root)
        return error_set(err, ERROR_CONFIG,
                         "%s: is empty: write common: and a part for each "
                         "service",
                         self->path);
    if (root->type != YAML_MAPPING_NODE)
        return error_set(err, ERROR_CONFIG,
                         "%s:%zu: is not a mapping: write common: and a part "
                         "for each service",
                         self->path, root->start_mark.line + 1);
    return check_single(self, parser, err);
}

static int check_file(const struct document *self, FILE *file, struct error *err)
{
    struct stat status;
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
        return error_set(err, ERROR_CONFIG, "%s: is not a file", self->path);
    if (status.st_size > DOCUMENT_MAX_BYTES)
        return error_set(err, ERROR_CONFIG, "%s: has %lld bytes: at most %d", self->path,
                         (long long)status.st_size, DOCUMENT_MAX_BYTES);
    return 0;
}

int document_load(struct document *self, const char *path, struct error *err)
{
    *self = (struct document){ .path = path };
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, errno == ENOMEM ? ERROR_SYSTEM : ERROR_CONFIG,
                         "%s: cannot read the configuration: %s", path, strerror(errno));
    int result = check_file(self, file, err);
    yaml_parser_t parser;
    if (result == 0 && !yaml_parser_initialize(&parser)) {
        result = error_set(err, ERROR_SYSTEM, "%s: no memory to read it", path);
    } else if (result == 0) {
        yaml_parser_set_input_file(&parser, file);
        result = parse(self, &parser, err);
        yaml_parser_delete(&parser);
    }
    (void)fclose(file);
    return result;
}

void document_clear(struct document *self)
{
    if (self->is_loaded)
        yaml_document_delete(&self->yaml);
    self->is_loaded = false;
}

void document_place(const struct document *self, int node, char out[static DOCUMENT_PLACE_BYTES])
{
    for (size_t i = 0; i < self->overrides_count; i++) {
        if (self->overrides[i].node == node) {
            (void)snprintf(out, DOCUMENT_PLACE_BYTES, "%s", self->overrides[i].variable);
            return;
        }
    }
    const yaml_mark_t *mark = &document_node(self, node)->start_mark;
    if (mark->index == 0 && mark->line == 0 && node != document_root(self))
        (void)snprintf(out, DOCUMENT_PLACE_BYTES, "%s", self->path); /* made, not read */
    else
        (void)snprintf(out, DOCUMENT_PLACE_BYTES, "%s:%zu:%zu", self->path, mark->line + 1,
                       mark->column + 1);
}

const yaml_node_t *document_node(const struct document *self, int node)
{
    assert(node > 0 && node <= self->yaml.nodes.top - self->yaml.nodes.start);
    return &self->yaml.nodes.start[node - 1];
}

int document_root(const struct document *self)
{
    (void)self;
    return 1; /* libyaml's numbering starts at the root */
}

static yaml_node_pair_t *find_pair(const struct document *self, int mapping, const char *key)
{
    const yaml_node_t *node = document_node(self, mapping);
    if (node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = document_node(self, pair->key);
        if (name->type == YAML_SCALAR_NODE &&
            strcmp((const char *)name->data.scalar.value, key) == 0)
            return pair;
    }
    return NULL;
}

int document_find(const struct document *self, int mapping, const char *key)
{
    const yaml_node_pair_t *pair = find_pair(self, mapping, key);
    return pair ? pair->value : 0;
}

static int add_scalar(struct document *self, const char *text)
{
    return yaml_document_add_scalar(&self->yaml, NULL, (const yaml_char_t *)text, -1,
                                    YAML_ANY_SCALAR_STYLE);
}

static int add_pair(struct document *self, int mapping, const char *key, int value)
{
    int name = add_scalar(self, key);
    if (!name || !value || !yaml_document_append_mapping_pair(&self->yaml, mapping, name, value))
        return 0;
    return value;
}

int document_child(struct document *self, int mapping, const char *key)
{
    int child = document_find(self, mapping, key);
    if (child)
        return document_node(self, child)->type == YAML_MAPPING_NODE ? child : 0;
    return add_pair(self, mapping, key,
                    yaml_document_add_mapping(&self->yaml, NULL, YAML_ANY_MAPPING_STYLE));
}

static int put_override(struct document *self, int mapping, const char *key, int node,
                        const char *variable, struct error *err)
{
    if (!node)
        return error_set(err, ERROR_CONFIG, "%s: is not UTF-8 text", variable);
    yaml_node_pair_t *pair = find_pair(self, mapping, key);
    if (pair)
        pair->value = node;
    else if (!add_pair(self, mapping, key, node))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", self->path);
    return 0;
}

static int remember_override(struct document *self, int node, const char *variable,
                             struct error *err)
{
    if (self->overrides_count == DOCUMENT_OVERRIDES_MAX)
        return error_set(err, ERROR_CONFIG, "%s: more than %d values set from the environment",
                         variable, DOCUMENT_OVERRIDES_MAX);
    struct document_override *made = &self->overrides[self->overrides_count++];
    made->node = node;
    (void)snprintf(made->variable, sizeof made->variable, "%s", variable);
    return 0;
}

int document_override(struct document *self, int mapping, const char *key, const char *value,
                      const char *variable, struct error *err)
{
    int node = add_scalar(self, value); /* fails on text that is not UTF-8, too */
    if (put_override(self, mapping, key, node, variable, err) != 0)
        return -1;
    return remember_override(self, node, variable, err);
}

int document_override_list(struct document *self, int mapping, const char *key, const char *values,
                           const char *variable, struct error *err)
{
    int list = yaml_document_add_sequence(&self->yaml, NULL, YAML_FLOW_SEQUENCE_STYLE);
    if (put_override(self, mapping, key, list, variable, err) != 0 ||
        remember_override(self, list, variable, err) != 0)
        return -1;
    static const char between[] = ", \t\n";
    for (const char *at = values + strspn(values, between); *at; at += strspn(at, between)) {
        size_t length = strcspn(at, between);
        char *value = strndup(at, length);
        int node = value ? add_scalar(self, value) : 0;
        free(value);
        if (!node || !yaml_document_append_sequence_item(&self->yaml, list, node))
            return error_set(err, ERROR_CONFIG, "%s: is not UTF-8 text", variable);
        if (remember_override(self, node, variable, err) != 0)
            return -1;
        at += length;
    }
    return 0;
}

void document_keep(struct document *self, const char *first, const char *second)
{
    yaml_node_t *root = yaml_document_get_root_node(&self->yaml);
    yaml_node_pair_t *kept = root->data.mapping.pairs.start;
    for (yaml_node_pair_t *pair = kept; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = document_node(self, pair->key);
        const char *text = (const char *)name->data.scalar.value;
        if (strcmp(text, first) == 0 || strcmp(text, second) == 0)
            *kept++ = *pair;
    }
    root->data.mapping.pairs.top = kept;
}

struct buffer {
    unsigned char *data;
    size_t length;
};

static int on_emitted(void *arg, unsigned char *data, size_t length)
{
    struct buffer *buffer = arg;
    unsigned char *grown = realloc(buffer->data, buffer->length + length + 1);
    if (!grown)
        return 0;
    memcpy(grown + buffer->length, data, length);
    buffer->data = grown;
    buffer->length += length;
    return 1;
}

int document_emit(struct document *self, unsigned char **out, size_t *length, struct error *err)
{
    assert(self->is_loaded);
    struct buffer buffer = { 0 };
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter))
        return error_set(err, ERROR_SYSTEM, "%s: no memory to read it", self->path);
    yaml_emitter_set_output(&emitter, on_emitted, &buffer);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    self->is_loaded = false; /* dumping deletes it */
    bool worked = yaml_emitter_dump(&emitter, &self->yaml) && yaml_emitter_flush(&emitter);
    yaml_emitter_delete(&emitter);
    if (!worked || !buffer.data) {
        free(buffer.data);
        return error_set(err, ERROR_SYSTEM, "%s: cannot be written again after reading it",
                         self->path);
    }
    *out = buffer.data;
    *length = buffer.length;
    return 0;
}
