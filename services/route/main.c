#include "route/route.h"

static int check(void *config, struct error *err)
{
    return route_config_check(config, err);
}

static const char *admin_listen(const void *config)
{
    const char *listen = ((const struct route_config *)config)->admin_listen;
    return listen ? listen : "";
}

static void *start(struct service *service, const void *config, struct error *err)
{
    return route_new(&(struct route_options){ .common = service_common(service),
                                              .config = config,
                                              .outward = service_shared(service),
                                              .name = service_name(service),
                                              .instance = service_instance(service),
                                              .metrics = service_metrics(service),
                                              .service = service },
                     err);
}

static void drain(void *self)
{
    route_drain(self);
}

static bool is_drained(void *self)
{
    return route_is_drained(self);
}

static void stop(void **self_p)
{
    route_destroy((struct route **)self_p);
}

static bool is_ready(void *self)
{
    return route_is_ready(self);
}

static void describe(void *self, json_t *detail)
{
    route_describe(self, detail);
}

int main(int argc, char **argv)
{
    static const struct service_part outward = {
        .name = "outward",
        .fields = outward_config_fields,
        .config_bytes = sizeof(struct outward_config),
        .check = outward_config_check,
    };
    static const struct service_spec spec = {
        .name = "route",
        .summary = "Puts classified events into the queues in Redis and tells notify of alerts "
                   "when Redis is silent.",
        .fields = route_config_fields,
        .config_bytes = sizeof(struct route_config),
        .check = check,
        .admin_listen = admin_listen,
        .start = start,
        .drain = drain,
        .is_drained = is_drained,
        .stop = stop,
        .is_ready = is_ready,
        .describe = describe,
        .shared = &outward,
    };
    return service_main(argc, argv, &spec);
}
