/* error - what went wrong, in words for an operator, and what the caller should do about it.
 * Fallible functions return 0 or -1 (constructors: pointer or NULL) and fill a struct error;
 * outputs change only on success. Whoever decides what to do about an error logs it, once. */
#ifndef DESG_ERROR_H
#define DESG_ERROR_H

#define AUTO(destroy) __attribute__((cleanup(destroy))) /* destroy(&variable) at scope end */
#define MUST_USE      __attribute__((warn_unused_result))

/* What the caller should do about a failure. */
enum error_kind {
    ERROR_NONE,
    ERROR_INVALID,     /* this input is wrong: set it aside, never retry it */
    ERROR_UNAVAILABLE, /* something we depend on is away or full: retry later */
    ERROR_CONFIG,      /* an operator must act: refuse to start */
    ERROR_SYSTEM,      /* the machine failed us (disk, memory): stop cleanly */
};

struct error {
    enum error_kind kind;
    char text[512]; /* never message text, names or tokens */
};

/* Fills err (which may be NULL) and returns -1, so that a failing path is one statement. */
int error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text already in err, keeps the kind, returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
