#include "cli/help_pages.h"

#include <stddef.h>
#include <string.h>

const char *help_page(const char *name)
{
    for (const struct help_page *page = help_pages; page->name; page++)
        if (strcmp(page->name, name) == 0)
            return (const char *)page->text;
    return NULL;
}
