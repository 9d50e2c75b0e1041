/* openapi - openapi.yaml, compiled in. */
#ifndef DESG_DESK_OPENAPI_H
#define DESG_DESK_OPENAPI_H

extern const char openapi_document[]; /* ends with NUL */

#endif
