/* routes - everything that can be asked of desk. */
#include "desk/api.h"

#define WORKS     (ROLE_AGENT | ROLE_SUPERVISOR)
#define LEADS     ROLE_SUPERVISOR
#define AUDITS    ROLE_AUDITOR
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
    { "GET", "/v1/alerts", API_READ, PLACE_NONE, WORKS, " limit state ", api_alerts },
    { "POST", "/v1/alerts/{alert}/acknowledgement", API_CHANGE, PLACE_ID, WORKS, " ",
      api_acknowledge },
    { "GET", "/v1/quarantine", API_READ, PLACE_NONE, WORKS, " limit ", api_quarantine },
    { "GET", "/v1/quarantine/{event}", API_READ, PLACE_ID, WORKS, " ", api_quarantine_show },
    { "POST", "/v1/quarantine/{event}/removal", API_CHANGE, PLACE_ID, LEADS, " ",
      api_quarantine_removal },
    { "GET", "/v1/trace/{id}", API_READ, PLACE_ID, WORKS, " ", api_trace },
    { "GET", "/v1/audit", API_READ, PLACE_NONE, AUDITS, " from limit since agent ", api_audit },
};

const size_t routes_count = sizeof routes / sizeof routes[0];
