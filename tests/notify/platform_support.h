/* platform_support - requests and answers of platforms in one line each, so that tests are tables.
 * Invented data only. */
#ifndef DESG_TEST_PLATFORM_SUPPORT_H
#define DESG_TEST_PLATFORM_SUPPORT_H

#include "notify/platform.h"

#define PLATFORM_NOW_MS INT64_C(1770833400000) /* 2026-02-11T18:10:00Z */

/* An answer and what is to come of it. */
struct answer_case {
    const char *name;
    unsigned status;
    const char *body;
    const char *headers[4][2]; /* name, value */
    bool is_unsent;
    const char *told; /* as told_result has it */
};

/* "SENT object", "LATER word code=4 after=60000", flags dead, window, duplicate, used=, reset=
 * (from PLATFORM_NOW_MS). The caller frees it. */
char *told_result(const struct platform_result *result);
/* What sent makes of it. */
struct platform_result read_answer(const struct platform *platform,
                                   const struct answer_case *given);
/* Fails the test naming the cases that come out otherwise. */
void assert_answers(const struct platform *platform, const struct answer_case *cases, size_t count);

/* One line each: method and address, headers, "", body. The caller frees it. */
char *told_request(const struct platform_request *request);
typedef int request_maker(const struct platform_self *self, const struct platform_message *message,
                          struct platform_request *out, struct error *err);
/* make's request reads as lines; it is cleared. */
void assert_request(request_maker *make, const struct platform_self *self,
                    const struct platform_message *message, const char *lines);
/* make refuses with kind, leaves an empty request, and its words have part in them. */
void assert_refused(request_maker *make, const struct platform_self *self,
                    const struct platform_message *message, enum error_kind kind, const char *part);

/* "there <object>", "not", "cannot say" of a 200 with body, looking since PLATFORM_NOW_MS. */
void assert_found(const struct platform *platform, const struct platform_message *message,
                  const char *body, const char *told);

#endif
