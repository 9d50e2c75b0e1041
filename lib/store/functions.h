/* functions - the Redis Functions library of folder functions/, embedded by embed_functions.cmake.
 */
#ifndef DESG_STORE_FUNCTIONS_H
#define DESG_STORE_FUNCTIONS_H

#define STORE_LIBRARY "desg_1"

extern const char store_functions[]; /* NUL-terminated; names library STORE_LIBRARY */
extern const unsigned store_functions_version;

#endif
