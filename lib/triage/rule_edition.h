/* rule_edition - all rule files of a directory, read and checked together: one edition. */
#ifndef DESG_TRIAGE_RULE_EDITION_H
#define DESG_TRIAGE_RULE_EDITION_H

#include <stddef.h>
#include <stdint.h>

#include "error/error.h"
#include "triage/rule_file.h"

enum { RULE_EDITION_MAX_FILES = 200, RULE_EDITION_NAME_BYTES = 32 };

struct rule_edition_file {
    char *name; /* without the directory */
    struct rule_file *rules;
};

struct rule_edition {
    struct rule_edition_file files[RULE_EDITION_MAX_FILES]; /* by name */
    size_t count;
    size_t rules_count;
    uint8_t checksum[32];               /* of all names and bytes */
    char name[RULE_EDITION_NAME_BYTES]; /* newest date and start of the checksum */
};

/* Told of what is wrong with a file before the next is looked at. */
typedef void rule_complaint(void *arg, const char *text);

/* Reads every *.yaml file of directory. complain may be NULL: the first fault ends it. Otherwise
 * all faults are told and err holds the last. ERROR_CONFIG: a wrong file, none, or an id that
 * stands twice. */
struct rule_edition *rule_edition_read(const char *directory, rule_complaint *complain, void *arg,
                                       struct error *err) MUST_USE;
void rule_edition_destroy(struct rule_edition **self_p);

/* A number that changes when a file of directory is added, removed or written; 0 if it cannot be
 * read. For noticing, not for proving. */
uint64_t rule_edition_stamp(const char *directory);

#endif
