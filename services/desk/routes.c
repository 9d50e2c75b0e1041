/* routes - everything that can be asked of desk. */
#include "desk/api.h"

#define WORKS     (ROLE_AGENT | ROLE_SUPERVISOR)
#define LEADS     ROLE_SUPERVISOR
#define AUDITS    ROLE_AUDITOR
#define SPEAKS    (ROLE_COMMS | ROLE_SUPERVISOR)
#define SENDS     (ROLE_AGENT | ROLE_SUPERVISOR | ROLE_COMMS)
#define ALL_ROLES (ROLE_AGENT | ROLE_SUPERVISOR | ROLE_RESTRICTED | ROLE_AUDITOR | ROLE_COMMS)

const struct route routes[] = {
    { "GET", "/v1/openapi.yaml", API_READ, PLACE_NONE, 0, " ", api_openapi },
    { "GET", "/v1/session", API_READ, PLACE_NONE, ALL_ROLES, " ", api_session },
    { "GET", "/v1/status", API_READ, PLACE_NONE, ALL_ROLES, " ", api_status },
    { "GET", "/v1/queues", API_READ, PLACE_NONE, WORKS, " ", api_queues },
    { "GET", "/v1/queues/{queue}", API_READ, PLACE_QUEUE, WORKS, " limit ", api_queue },
    { "POST", "/v1/claims", API_CHANGE, PLACE_NONE, WORKS, " ", api_claim },
    { "GET", "/v1/conversations/{conversation}", API_READ, PLACE_ID, WORKS, " ",
      api_conversation_show },
    { "GET", "/v1/conversations/{conversation}/claim", API_READ, PLACE_ID, WORKS, " ",
      api_claim_show },
    { "POST", "/v1/conversations/{conversation}/heartbeat", API_KEEP, PLACE_ID, WORKS, " ",
      api_heartbeat },
    { "POST", "/v1/conversations/{conversation}/release", API_CHANGE, PLACE_ID, WORKS, " ",
      api_release },
    { "POST", "/v1/conversations/{conversation}/close", API_CHANGE, PLACE_ID, WORKS, " ",
      api_close },
    { "POST", "/v1/conversations/{conversation}/grade", API_CHANGE, PLACE_ID, WORKS, " ",
      api_grade },
    { "POST", "/v1/conversations/{conversation}/notes", API_CHANGE, PLACE_ID, WORKS, " ",
      api_note },
    { "POST", "/v1/conversations/{conversation}/language", API_CHANGE, PLACE_ID, WORKS, " ",
      api_language },
    { "POST", "/v1/conversations/{conversation}/replies", API_CHANGE, PLACE_ID, WORKS, " ",
      api_reply },
    { "GET", "/v1/alerts", API_READ, PLACE_NONE, WORKS, " limit state ", api_alerts },
    { "POST", "/v1/alerts/{alert}/acknowledgement", API_CHANGE, PLACE_ID, WORKS, " ",
      api_acknowledge },
    { "GET", "/v1/quarantine", API_READ, PLACE_NONE, WORKS, " limit ", api_quarantine },
    { "GET", "/v1/quarantine/{event}", API_READ, PLACE_ID, WORKS, " ", api_quarantine_show },
    { "POST", "/v1/quarantine/{event}/removal", API_CHANGE, PLACE_ID, LEADS, " ",
      api_quarantine_removal },
    { "GET", "/v1/items", API_READ, PLACE_NONE, SENDS, " state limit ", api_items },
    { "GET", "/v1/items/{item}", API_READ, PLACE_ID, SENDS, " ", api_item },
    { "POST", "/v1/items/{item}/settlement", API_CHANGE, PLACE_ID, SENDS, " ", api_settlement },
    { "GET", "/v1/broadcasts", API_READ, PLACE_NONE, SENDS, " state limit ", api_broadcasts },
    { "POST", "/v1/broadcasts", API_CHANGE, PLACE_NONE, SPEAKS, " ", api_draft },
    { "POST", "/v1/broadcasts/preview", API_KEEP, PLACE_NONE, SPEAKS, " ", api_preview },
    { "GET", "/v1/broadcasts/{broadcast}", API_READ, PLACE_ID, SENDS, " ", api_broadcast },
    { "POST", "/v1/broadcasts/{broadcast}/versions", API_CHANGE, PLACE_ID, SPEAKS, " ",
      api_update },
    { "POST", "/v1/broadcasts/{broadcast}/approval", API_CHANGE, PLACE_ID, SPEAKS, " ",
      api_approve },
    { "POST", "/v1/broadcasts/{broadcast}/publication", API_CHANGE, PLACE_ID, SPEAKS, " ",
      api_publish },
    { "POST", "/v1/broadcasts/{broadcast}/cancellation", API_CHANGE, PLACE_ID, SPEAKS, " ",
      api_cancel },
    { "GET", "/v1/freeze", API_READ, PLACE_NONE, SENDS, " ", api_freeze_show },
    { "POST", "/v1/freeze", API_CHANGE, PLACE_NONE, SPEAKS, " ", api_freeze },
    { "POST", "/v1/freeze/lift", API_CHANGE, PLACE_NONE, SPEAKS, " ", api_freeze_lift },
    { "GET", "/v1/references/{reference}", API_READ, PLACE_REFERENCE, WORKS, " ", api_reference },
    { "GET", "/v1/places", API_READ, PLACE_NONE, SENDS, " ", api_places },
    { "GET", "/v1/trace/{id}", API_READ, PLACE_ID, WORKS, " ", api_trace },
    { "GET", "/v1/audit", API_READ, PLACE_NONE, AUDITS, " from limit since agent ", api_audit },
};

const size_t routes_count = sizeof routes / sizeof routes[0];
