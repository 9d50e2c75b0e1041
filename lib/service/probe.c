#include "service/probe.h"

#include <limits.h>
#include <stdio.h>
#include <sysexits.h>

#include "admin/ask.h"

enum { STATUS_OK = 200, EXIT_NO = 1, BODY_BYTES = 200 };

static int say(const struct error *err)
{
    (void)fprintf(stderr, "%s\n", err->text);
    return err->kind == ERROR_UNAVAILABLE ? EX_TEMPFAIL : EX_CONFIG;
}

int probe_ask(const struct arguments *arguments, const struct service_spec *spec)
{
    struct error err = { 0 };
    char control[PATH_MAX];
    char body[BODY_BYTES] = "";
    /* Without the spec's check: it may read secrets, and this runs every few seconds. */
    struct config *config =
        config_load(arguments->config, spec->name, spec->fields, spec->config_bytes, &err);
    if (!config)
        return say(&err);
    const char *listen = spec->admin_listen ? spec->admin_listen(config->service) : NULL;
    (void)snprintf(control, sizeof control, "%s/%s.sock", config->common.run_directory,
                   arguments->name);
    int status =
        admin_ask(listen ? listen : "", control, arguments->probe, body, sizeof body, &err);
    config_destroy(&config);
    if (status < 0)
        return say(&err);
    (void)printf("%s: %d %s\n", arguments->probe, status, body);
    return status == STATUS_OK ? EX_OK : EXIT_NO;
}
