/* help_pages - the texts of help/, compiled in: a page for each command, named as it is, and the
 * beginning and end of the list of all. */
#ifndef DESG_CLI_HELP_PAGES_H
#define DESG_CLI_HELP_PAGES_H

struct help_page {
    const char *name;
    const unsigned char *text; /* UTF-8, ends with NUL */
};
extern const struct help_page help_pages[]; /* ends with a name of NULL */

/* NULL: there is no such page. */
const char *help_page(const char *name);

#endif
