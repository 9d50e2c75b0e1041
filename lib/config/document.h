/* document - the configuration file as a tree of YAML nodes, each with its line. libcyaml fills
 * structs but says only roughly where a mistake is, and takes "5s" for 5; so the tree is checked
 * first (schema.h) and what passed is handed on as text. Nodes are named by libyaml's numbers: a
 * pointer to a node dies when another is added. */
#ifndef DESG_CONFIG_DOCUMENT_H
#define DESG_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include <yaml.h>

#include "error/error.h"

enum { DOCUMENT_OVERRIDES_MAX = 256, DOCUMENT_PLACE_BYTES = 256 };

struct document_override {
    int node;
    char variable[96];
};

struct document {
    const char *path; /* borrowed */
    bool is_loaded;
    yaml_document_t yaml;
    struct document_override overrides[DOCUMENT_OVERRIDES_MAX];
    size_t overrides_count;
};

/* Reads path, which must hold one mapping at most DOCUMENT_MAX_BYTES long. ERROR_CONFIG names the
 * line of a YAML mistake. Release with document_clear() in either case. */
int document_load(struct document *self, const char *path, struct error *err) MUST_USE;
void document_clear(struct document *self);

/* Where a node came from: "desg.yaml:14:3", or the variable that set it. */
void document_place(const struct document *self, int node, char out[static DOCUMENT_PLACE_BYTES]);

const yaml_node_t *document_node(const struct document *self, int node);
int document_root(const struct document *self);

/* The value of key in a mapping; 0 if it has none. */
int document_find(const struct document *self, int mapping, const char *key);

/* The mapping at key, made if there is none. 0: what is there is no mapping, or no memory. */
int document_child(struct document *self, int mapping, const char *key);

/* Puts a scalar at key, in the place of what was there, and remembers the variable it came from. */
int document_override(struct document *self, int mapping, const char *key, const char *value,
                      const char *variable, struct error *err) MUST_USE;

/* The same with a list: values stand between commas or white space. */
int document_override_list(struct document *self, int mapping, const char *key, const char *values,
                           const char *variable, struct error *err) MUST_USE;

/* Drops all of the root's keys but these two. */
void document_keep(struct document *self, const char *first, const char *second);

/* Writes the tree as YAML into a new string. The document is empty afterwards. */
int document_emit(struct document *self, unsigned char **out, size_t *length,
                  struct error *err) MUST_USE;

#endif
