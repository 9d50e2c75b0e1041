/* redis_users - deploy/redis/users.acl, compiled in; and its lines with passwords and a force put
 * into them. */
#ifndef DESG_CLI_REDIS_USERS_H
#define DESG_CLI_REDIS_USERS_H

#include <stdio.h>

#include "error/error.h"

extern const char redis_users[]; /* lines "user NAME on …", without passwords */

/* Writes the lines to out. force NULL: keys of every force. directory NULL: without passwords;
 * otherwise each user gets the passwords in its files NAME, NAME.new and NAME.old, as SHA-256; one
 * without a file is off. ERROR_CONFIG: a service has none, or one is too short. */
int redis_users_write(const char *users, const char *force, const char *directory, FILE *out,
                      struct error *err) MUST_USE;

#endif
