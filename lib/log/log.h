/* log - one line of escaped key=value fields per decision, to stderr (or a file descriptor set at
 * start). Ids, sizes, counts and times only: never message text, names, numbers, handles or tokens.
 * The sink is the project's only global state. Threads: any. */
#ifndef DESG_LOG_H
#define DESG_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_type { LOG_TYPE_TEXT, LOG_TYPE_SIGNED, LOG_TYPE_UNSIGNED, LOG_TYPE_REAL, LOG_TYPE_BOOL };

struct log_field {
    const char *key; /* NULL ends the list */
    enum log_type type;
    union {
        const char *text;
        long long number;
        unsigned long long count;
        double real;
        bool truth;
    } value;
};

static inline struct log_field log_text(const char *key, const char *value)
{
    return (struct log_field){ .key = key, .type = LOG_TYPE_TEXT, .value = { .text = value } };
}
static inline struct log_field log_signed(const char *key, long long value)
{
    return (struct log_field){ .key = key, .type = LOG_TYPE_SIGNED, .value = { .number = value } };
}
static inline struct log_field log_unsigned(const char *key, unsigned long long value)
{
    return (struct log_field){ .key = key, .type = LOG_TYPE_UNSIGNED, .value = { .count = value } };
}
static inline struct log_field log_real(const char *key, double value)
{
    return (struct log_field){ .key = key, .type = LOG_TYPE_REAL, .value = { .real = value } };
}
static inline struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){ .key = key, .type = LOG_TYPE_BOOL, .value = { .truth = value } };
}

#define KV(key, value)                                                                             \
    _Generic((value),                                                                              \
        char *: log_text,                                                                          \
        const char *: log_text,                                                                    \
        bool: log_bool,                                                                            \
        float: log_real,                                                                           \
        double: log_real,                                                                          \
        unsigned char: log_unsigned,                                                               \
        unsigned short: log_unsigned,                                                              \
        unsigned: log_unsigned,                                                                    \
        unsigned long: log_unsigned,                                                               \
        unsigned long long: log_unsigned,                                                          \
        default: log_signed)(key, value)

#define LOG_FIELDS(...)       ((const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ .key = 0 } })
#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, LOG_FIELDS(__VA_ARGS__))
#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))

/* Sets the process's name (kept by pointer), the lowest level written and where to (2 at start). */
void log_setup(const char *process, enum log_level lowest, int descriptor);

/* "debug", "info", "warn", "error" → *level. Returns false for anything else. */
bool log_level_parse(const char *text, enum log_level *level);

/* Writes one line: time, level, process, event (past tense, snake case), fields. Lines over 4 KiB
 * are cut. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#endif
