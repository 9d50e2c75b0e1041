/* options - what may stand on the command line, and with which command. An option that its command
 * does not take is refused: one that is passed over would be believed. */
#ifndef DESG_CLI_OPTIONS_H
#define DESG_CLI_OPTIONS_H

#include <stdbool.h>

#include "cli/command.h"

enum { OPTIONS_MAX = 80 };

struct options {
    struct command_line line; /* what was given; its words are not filled in */
    bool wants_help;
    bool wants_version;
    bool is_given[OPTIONS_MAX];
};

/* Reads the options of argv; what is left, the command and its words, begins at optind. 0, or
 * EXIT_USAGE with the mistake said on stderr. */
int options_parse(int argc, char **argv, struct options *out);

/* 0, or EXIT_USAGE with the option that command does not take said on stderr. */
int options_check(const struct options *self, const char *command);

#endif
