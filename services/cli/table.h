/* table - JSON as columns for people. Control characters in values are shown as '.', so that
 * nothing a person wrote can steer the terminal. */
#ifndef DESG_CLI_TABLE_H
#define DESG_CLI_TABLE_H

#include <stdint.h>

#include <jansson.h>

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_DURATION, /* milliseconds as 5s, 12m, 3h20m, 2d */
    COLUMN_TIME,     /* Unix milliseconds as local date and time */
    COLUMN_SEVERITY, /* number of desg.v1.Severity */
    COLUMN_YES,      /* truth as yes or nothing */
};

struct column {
    const char *key; /* in each row; NULL ends the list */
    const char *title;
    enum column_kind kind;
};

/* Prints rows (an array of objects) under titles. */
void table_print(const json_t *rows, const struct column *columns);

/* Prints text on stdout, control characters but the newline shown as '.', indented by indent
 * spaces. */
void table_print_text(const char *text, int indent);

enum { TABLE_CELL_BYTES = 128 };
void table_format_duration(int64_t ms, char *out);
void table_format_time(int64_t unix_ms, char *out);
const char *table_severity(int64_t number);

#endif
