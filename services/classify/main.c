/* desg-classify: what the public wrote → how bad it may be, why, and in which language. */
#include "classify/classifier.h"
#include "classify/classify_config.h"

static const char *admin_listen(const void *config)
{
    const char *listen = ((const struct classify_config *)config)->admin_listen;
    return listen ? listen : "";
}

static void *start(struct service *service, const void *config, struct error *err)
{
    return classifier_new(service, config, err);
}

static int check_files(const void *config, struct error *err)
{
    return classifier_check_files(config, err);
}

static void drain(void *self)
{
    classifier_drain(self);
}

static bool is_drained(void *self)
{
    return classifier_is_drained(self);
}

static void stop(void **self_p)
{
    struct classifier *self = *self_p;
    classifier_destroy(&self);
    *self_p = NULL;
}

static void describe(void *self, json_t *detail)
{
    classifier_describe(self, detail);
}

static void reload(void *self)
{
    classifier_reload(self);
}

static bool is_ready(void *arg)
{
    const struct classifier *self = arg;
    return classifier_is_ready(self);
}

int main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "classify",
        .summary = "Judges events by rules in English and Welsh and sends them on to route.",
        .fields = classify_config_fields,
        .config_bytes = sizeof(struct classify_config),
        .check = classify_config_check,
        .check_files = check_files,
        .admin_listen = admin_listen,
        .start = start,
        .drain = drain,
        .is_drained = is_drained,
        .is_ready = is_ready,
        .stop = stop,
        .describe = describe,
        .reload = reload,
    };
    return service_main(argc, argv, &spec);
}
