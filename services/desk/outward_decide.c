#include "desk/outward_decide.h"

#include <assert.h>
#include <stdlib.h>

void outward_decide(struct api_call *call, Desg__V1__Fact *fact, const struct id *id,
                    api_fact_answer *answer_of, outward_refuse *refuse)
{
    struct error err = { 0 };
    struct store_fact_done done = { 0 };
    assert(call && call->store && fact && refuse);
    if (store_outward_decide(call->store, fact, *call->api->outward->approval.needs_second, &done,
                             &err) == 0) {
        api_fact_store_done(call, id, fact, &done, answer_of);
        return;
    }
    api_fact_drop(call, id);
    if (err.kind == ERROR_INVALID)
        refuse(call, &err);
    else
        api_unavailable(call, &err);
}
