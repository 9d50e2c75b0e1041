/* The document and the table of routes say the same: paths, methods, rights to ask without a token,
 * keys, query parameters. And every reference in it leads somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "desk/api.h"
#include "desk/openapi.h"

static yaml_document_t document;

static int load(void **state)
{
    (void)state;
    yaml_parser_t parser;
    assert_true(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)openapi_document,
                                 strlen(openapi_document));
    if (!yaml_parser_load(&parser, &document))
        fail_msg("line %zu: %s", parser.problem_mark.line + 1, parser.problem);
    yaml_parser_delete(&parser);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    yaml_document_delete(&document);
    return 0;
}

static const char *text_of(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static yaml_node_t *child(const yaml_node_t *node, const char *key)
{
    if (!node || node->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        if (strcmp(text_of(yaml_document_get_node(&document, pair->key)), key) == 0)
            return yaml_document_get_node(&document, pair->value);
    return NULL;
}

/* Follows "#/components/…"; NULL: it leads nowhere. */
static yaml_node_t *follow(const char *reference)
{
    char copy[256], *rest = NULL;
    yaml_node_t *node = yaml_document_get_root_node(&document);
    if (strncmp(reference, "#/", 2) != 0)
        return NULL;
    (void)snprintf(copy, sizeof copy, "%s", reference + 2);
    for (char *part = strtok_r(copy, "/", &rest); part && node; part = strtok_r(NULL, "/", &rest))
        node = child(node, part);
    return node;
}

static yaml_node_t *operation_of(const struct route *route)
{
    char method[8];
    size_t i = 0;
    for (; route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    method[i] = '\0';
    return child(child(child(yaml_document_get_root_node(&document), "paths"), route->path),
                 method);
}

static void each_route_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++)
        if (!operation_of(&routes[i]))
            fail_msg("%s %s is not in openapi.yaml", routes[i].method, routes[i].path);
}

static void each_description_has_a_route(void **state)
{
    (void)state;
    size_t found = 0;
    const yaml_node_t *paths = child(yaml_document_get_root_node(&document), "paths");
    assert_non_null(paths);
    for (yaml_node_pair_t *path = paths->data.mapping.pairs.start;
         path < paths->data.mapping.pairs.top; path++) {
        const yaml_node_t *methods = yaml_document_get_node(&document, path->value);
        found += (size_t)(methods->data.mapping.pairs.top - methods->data.mapping.pairs.start);
    }
    assert_int_equal(found, routes_count); /* and each route was found above */
}

/* Calls see with each parameter's name and place. */
static void each_parameter(const struct route *route,
                           void (*see)(void *arg, const char *name, const char *in), void *arg)
{
    const yaml_node_t *list = child(operation_of(route), "parameters");
    if (!list)
        return;
    for (yaml_node_item_t *item = list->data.sequence.items.start;
         item < list->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(&document, *item);
        const char *reference = text_of(child(node, "$ref"));
        if (*reference)
            node = follow(reference);
        assert_non_null(node);
        see(arg, text_of(child(node, "name")), text_of(child(node, "in")));
    }
}

struct seen {
    const struct route *route;
    size_t queries, keys, places;
};

static void see_parameter(void *arg, const char *name, const char *in)
{
    struct seen *seen = arg;
    char word[80];
    if (strcmp(in, "query") == 0) {
        (void)snprintf(word, sizeof word, " %s ", name);
        if (!strstr(seen->route->query, word))
            fail_msg("%s does not take %s", seen->route->path, name);
        seen->queries++;
    } else if (strcmp(in, "header") == 0) {
        assert_string_equal(name, "Idempotency-Key");
        seen->keys++;
    } else {
        (void)snprintf(word, sizeof word, "{%s}", name);
        assert_non_null(strstr(seen->route->path, word));
        seen->places++;
    }
}

static size_t words(const char *text)
{
    size_t count = 0;
    for (const char *at = text; *at; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

static void parameters_keys_and_rights_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        struct seen seen = { .route = &routes[i] };
        each_parameter(&routes[i], see_parameter, &seen);
        if (seen.queries != words(routes[i].query) || seen.keys != (routes[i].kind == API_CHANGE) ||
            seen.places != (routes[i].place != PLACE_NONE))
            fail_msg("%s %s: %zu queries, %zu keys, %zu places described", routes[i].method,
                     routes[i].path, seen.queries, seen.keys, seen.places);
        bool is_open = child(operation_of(&routes[i]), "security") != NULL;
        assert_int_equal(is_open, routes[i].roles == 0);
        const char *told = text_of(child(operation_of(&routes[i]), "description"));
        bool is_for_all =
            (routes[i].roles & ROLE_AUDITOR) != 0 && (routes[i].roles & ROLE_AGENT) != 0;
        for (unsigned bit = ROLE_AGENT; bit <= ROLE_COMMS; bit <<= 1)
            if ((routes[i].roles & bit) && !is_for_all && !strstr(told, role_name((enum role)bit)))
                fail_msg("%s does not say that it is for the role %s", routes[i].path,
                         role_name((enum role)bit));
    }
}

static void a_list_is_as_long_as_it_says(void **state)
{
    (void)state;
    char most[16];
    (void)snprintf(most, sizeof most, "%d", API_LIST_MAX);
    const yaml_node_t *schema = child(follow("#/components/parameters/Limit"), "schema");
    assert_string_equal(text_of(child(schema, "maximum")), most);
}

static void every_reference_leads_somewhere(void **state)
{
    (void)state;
    size_t found = 0;
    for (int i = 1; yaml_document_get_node(&document, i); i++) {
        const char *reference = text_of(child(yaml_document_get_node(&document, i), "$ref"));
        if (!*reference)
            continue;
        found++;
        if (!follow(reference))
            fail_msg("%s leads nowhere", reference);
    }
    assert_true(found > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_route_is_described),
        cmocka_unit_test(each_description_has_a_route),
        cmocka_unit_test(parameters_keys_and_rights_agree),
        cmocka_unit_test(a_list_is_as_long_as_it_says),
        cmocka_unit_test(every_reference_leads_somewhere),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
