/* outward_decide - a decision about what goes out, from handler to journal: what replies,
 * broadcasts, freezes and settlements have in common. */
#ifndef DESG_DESK_OUTWARD_DECIDE_H
#define DESG_DESK_OUTWARD_DECIDE_H

#include "desk/api.h"

/* Answers a refusal by the function in Redis; err is ERROR_INVALID. */
typedef void outward_refuse(struct api_call *call, const struct error *err);

/* Between api_fact_begin and the answer: the function checks and applies, the fact is journalled,
 * then 200. */
void outward_decide(struct api_call *call, Desg__V1__Fact *fact, const struct id *id,
                    api_fact_answer *answer_of, outward_refuse *refuse);

#endif
