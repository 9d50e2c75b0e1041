#include "cli/triage_shadow.h"

#include <stdio.h>

#include "cli/answer.h"
#include "cli/control_client.h"

enum { OK = 200 };

static void ask_process(const char *run_directory, const char *name, json_t *shadows)
{
    struct error err = { 0 };
    AUTO(answer_drop) json_t *status = NULL;
    if (control_ask(run_directory, name, "GET", "/status", &status, &err) != OK)
        return; /* desg status says who is silent */
    const json_t *shadow = json_object_get(json_object_get(status, "detail"), "shadow");
    if (!json_is_object(shadow))
        return;
    json_t *row = json_pack("{s:s}", "name", name);
    (void)json_object_update(row, (json_t *)shadow);
    (void)json_array_append_new(shadows, row);
}

json_t *triage_shadow_ask(const char *run_directory, struct error *err)
{
    AUTO(answer_drop) json_t *names = control_names(run_directory, err);
    if (!names)
        return NULL;
    json_t *shadows = json_array();
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)
        ask_process(run_directory, json_string_value(name), shadows);
    return shadows;
}

static long long number_at(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

void triage_shadow_print(const json_t *shadows)
{
    size_t index;
    size_t at;
    const json_t *shadow;
    const json_t *difference;
    if (json_array_size(shadows) == 0)
        (void)puts("No edition runs in the shadow here: name one in classify.shadow.");
    json_array_foreach(shadows, index, shadow)
    {
        const char *model = answer_text(shadow, "model");
        const json_t *differences = json_object_get(shadow, "differences");
        (void)printf("%s: %s, rules %s, %s%s; %lld judged, %lld skipped\n",
                     answer_text(shadow, "name"), answer_text(shadow, "state"),
                     answer_text(shadow, "rules"), model[0] ? "model " : "no model", model,
                     number_at(shadow, "judged"), number_at(shadow, "skipped"));
        if (json_array_size(differences) == 0)
            (void)puts("  no differences");
        json_array_foreach(differences, at, difference)(void)
            printf("  %8lld  %-12s -> %s\n", number_at(difference, "events"),
                   answer_text(difference, "from"), answer_text(difference, "to"));
    }
}
