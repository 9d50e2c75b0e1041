/* CURVE between links: who is let in, who is not, and what a wrong set-up says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node.h"

enum { SOON_MS = 30000 };

struct keys {
    struct fixture *f;
    char allowed[NODE_PATH_BYTES]; /* folder */
    char own[NODE_PATH_BYTES];     /* certificate, public half */
    char secret[NODE_PATH_BYTES];
    struct link_security *security;
};

static void save_public(zcert_t *certificate, const char *folder, const char *name)
{
    char path[NODE_PATH_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(zcert_save_public(certificate, path), 0);
}

static int setup(void **state)
{
    struct keys *keys = calloc(1, sizeof *keys);
    assert_non_null(keys);
    void *fixture = NULL;
    assert_int_equal(fixture_setup(&fixture), 0);
    keys->f = fixture;
    (void)snprintf(keys->allowed, sizeof keys->allowed, "%s/allowed", keys->f->directory);
    (void)snprintf(keys->own, sizeof keys->own, "%s/own", keys->f->directory);
    (void)snprintf(keys->secret, sizeof keys->secret, "%s/own_secret", keys->f->directory);
    assert_int_equal(zsys_dir_create("%s", keys->allowed), 0);
    zcert_t *own = zcert_new();
    assert_int_equal(zcert_save(own, keys->own), 0);
    save_public(own, keys->allowed, "server.pub");
    zcert_destroy(&own);
    *state = keys;
    return 0;
}

static int teardown(void **state)
{
    struct keys *keys = *state;
    link_security_destroy(&keys->security);
    zdir_t *folder = zdir_new(keys->f->directory, NULL);
    zdir_remove(folder, true);
    zdir_destroy(&folder);
    void *fixture = keys->f;
    free(keys);
    return fixture_teardown(&fixture);
}

static void start_security(struct keys *keys)
{
    struct error err = { 0 };
    keys->security =
        link_security_new(keys->f->context, keys->own, keys->secret, keys->allowed, &err);
    if (!keys->security)
        fail_msg("%s", err.text);
}

static void expect_refused(struct keys *keys, const char *own, const char *secret,
                           const char *allowed, const char *word)
{
    struct error err = { 0 };
    assert_null(link_security_new(keys->f->context, own, secret, allowed, &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    if (!strstr(err.text, word))
        fail_msg("'%s' does not say '%s'", err.text, word);
}

static void bind_secured_at(struct keys *keys, struct node *bound, const char *endpoint)
{
    struct error err = { 0 };
    node_init(bound, 1);
    struct link_options options = node_options(bound, keys->f, 5);
    options.security = keys->security;
    bound->link = link_bind(&options, endpoint, &err);
    if (!bound->link)
        fail_msg("%s", err.text);
}

static void bind_secured(struct keys *keys, struct node *bound)
{
    bind_secured_at(keys, bound, "tcp://127.0.0.1:*");
}

static struct link *connect_secured(struct keys *keys, struct node *caller, const char *endpoint,
                                    const char *certificate, struct error *err)
{
    char text[NODE_PATH_BYTES];
    const char *endpoints[] = { text };
    (void)snprintf(text, sizeof text, "%s%s", endpoint, certificate);
    node_init(caller, 2);
    struct link_options options = node_options(caller, keys->f, 64);
    options.security = keys->security;
    caller->link = link_connect(&options, endpoints, 1, err);
    return caller->link;
}

static bool has_items(void *arg)
{
    return ((struct node *)arg)->item_count == 2;
}

static void meet(struct keys *keys, const char *certificate)
{
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    bind_secured(keys, &bound);
    assert_non_null(connect_secured(keys, &caller, link_endpoint(bound.link), certificate, &err));
    assert_true(run_until(keys->f->loop, node_is_up, &caller, SOON_MS));
    assert_int_equal(node_send_batch(&caller, 2, 1000, &err), 0);
    assert_true(run_until(keys->f->loop, has_items, &bound, SOON_MS));
    node_clear(&caller);
    node_clear(&bound);
}

static void an_allowed_key_is_let_in(void **state)
{
    struct keys *keys = *state;
    start_security(keys);
    meet(keys, "");
    meet(keys, "#server");
}

/* The certificates of listeners are told apart by the name behind '#'. */
static void a_listener_with_another_key_is_not_spoken_to(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    zcert_t *other = zcert_new();
    save_public(other, keys->allowed, "other.pub");
    zcert_destroy(&other);
    start_security(keys);
    bind_secured(keys, &bound);
    assert_non_null(connect_secured(keys, &caller, link_endpoint(bound.link), "#other", &err));
    run_for(keys->f->loop, 700);
    assert_true(node_is_alone(&caller));
    assert_true(node_is_alone(&bound));
    node_clear(&caller);
    assert_null(connect_secured(keys, &caller, link_endpoint(bound.link), "#absent", &err));
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "absent.pub"));
    node_clear(&caller);
    node_clear(&bound);
}

static bool has_refused_a_connection(void *arg)
{
    return node_refused(arg, "handshake") > 0;
}

static bool has_refused_a_key(void *arg)
{
    return node_refused(arg, "key") > 0;
}

static void an_unknown_key_is_refused(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    start_security(keys);
    bind_secured(keys, &bound);
    zcert_t *own = zcert_load(keys->own);
    zcert_t *unknown = zcert_new();
    void *raw = raw_socket(keys->f->context, ZMQ_DEALER);
    zcert_apply(unknown, raw);
    assert_int_equal(zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, zcert_public_key(own), 32), 0);
    assert_int_equal(zmq_connect(raw, link_endpoint(bound.link)), 0);
    raw_say_ready(raw, 7, 1);
    assert_true(run_until(keys->f->loop, has_refused_a_key, &bound, SOON_MS));
    run_for(keys->f->loop, 200);
    assert_int_equal(bound.up_count, 0);
    assert_int_equal(zmq_close(raw), 0);

    save_public(unknown, keys->allowed, "known.pub"); /* and is let in once it is known */
    raw = raw_socket(keys->f->context, ZMQ_DEALER);
    zcert_apply(unknown, raw);
    assert_int_equal(zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, zcert_public_key(own), 32), 0);
    assert_int_equal(zmq_connect(raw, link_endpoint(bound.link)), 0);
    raw_say_ready(raw, 7, 1);
    assert_true(run_until(keys->f->loop, node_is_up, &bound, SOON_MS));
    assert_int_equal(zmq_close(raw), 0);
    zcert_destroy(&own);
    zcert_destroy(&unknown);
    node_clear(&bound);
}

static void who_speaks_plainly_is_refused(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    start_security(keys);
    bind_secured(keys, &bound);
    void *raw = raw_socket(keys->f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw, link_endpoint(bound.link)), 0);
    raw_say_ready(raw, 7, 1);
    assert_true(run_until(keys->f->loop, has_refused_a_connection, &bound, SOON_MS));
    assert_int_equal(bound.up_count, 0);
    assert_int_equal(zmq_close(raw), 0);
    node_clear(&bound);
}

static void unix_sockets_stay_plain(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    start_security(keys);
    node_init(&bound, 1);
    node_bind(&bound, keys->f, keys->f->endpoint, 5);
    assert_non_null(connect_secured(keys, &caller, keys->f->endpoint, "", &err));
    assert_true(run_until(keys->f->loop, node_is_up, &caller, SOON_MS));
    node_clear(&caller);
    node_clear(&bound);
}

static void works_in_the_context_of_czmq_too(void **state)
{
    struct keys *keys = *state;
    void *own_context = keys->f->context;
    zsys_handler_set(NULL);
    keys->f->context = zsys_init();
    start_security(keys);
    meet(keys, "");
    link_security_destroy(&keys->security);
    keys->f->context = own_context;
}

static void there_is_one_handler_a_process(void **state)
{
    struct keys *keys = *state;
    start_security(keys);
    expect_refused(keys, keys->own, keys->secret, keys->allowed, "already");
    meet(keys, ""); /* the first is none the worse */
    link_security_destroy(&keys->security);
    start_security(keys);
    meet(keys, "");
}

static bool is_unwelcome(void *arg)
{
    return link_security_is_unwelcome(arg);
}

static bool is_welcome(void *arg)
{
    return !link_security_is_unwelcome(arg);
}

/* One process's key, allowed or not: here caller and listener are the same process. */
static void who_is_refused_knows_it_until_it_is_let_in(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    char path[NODE_PATH_BYTES * 2];
    char endpoint[NODE_PATH_BYTES];
    uint16_t port = 0;
    start_security(keys);
    zcert_t *own = zcert_load(keys->own);
    /* The caller needs the file when it starts, the handler only when it is asked: not before
     * somebody listens. */
    (void)snprintf(path, sizeof path, "%s/server.pub", keys->allowed);
    assert_int_equal(close(bind_to_any(&port)), 0);
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    assert_non_null(connect_secured(keys, &caller, endpoint, "", &err));
    assert_int_equal(unlink(path), 0);
    bind_secured_at(keys, &bound, endpoint);
    assert_true(run_until(keys->f->loop, is_unwelcome, keys->security, SOON_MS));
    assert_true(node_is_alone(&caller));
    assert_true(node_refused(&caller, "key") > 0);
    save_public(own, keys->allowed, "server.pub");
    assert_true(run_until(keys->f->loop, is_welcome, keys->security, 2 * SOON_MS));
    assert_true(run_until(keys->f->loop, node_is_up, &caller, SOON_MS));
    zcert_destroy(&own);
    node_clear(&caller);
    node_clear(&bound);
    assert_false(link_security_is_unwelcome(keys->security));
}

/* While a listener's pair is renewed its callers hold both public halves, and find the right one.
 */
static void of_two_public_halves_the_listeners_own_is_found(void **state)
{
    struct keys *keys = *state;
    struct node bound;
    struct node caller;
    struct error err = { 0 };
    zcert_t *other = zcert_new();
    zcert_t *own = zcert_load(keys->own);
    save_public(other, keys->allowed, "ingest.pub");
    save_public(own, keys->allowed, "ingest.new.pub");
    start_security(keys);
    bind_secured(keys, &bound);
    assert_non_null(connect_secured(keys, &caller, link_endpoint(bound.link), "#ingest", &err));
    assert_true(run_until(keys->f->loop, node_is_up, &caller, SOON_MS));
    node_clear(&caller);
    save_public(own, keys->allowed, "ingest.pub"); /* and the other way round */
    save_public(other, keys->allowed, "ingest.new.pub");
    assert_non_null(connect_secured(keys, &caller, link_endpoint(bound.link), "#ingest", &err));
    assert_true(run_until(keys->f->loop, node_is_up, &caller, SOON_MS));
    zcert_destroy(&other);
    zcert_destroy(&own);
    node_clear(&caller);
    node_clear(&bound);
}

static void a_secret_that_others_may_read_is_refused(void **state)
{
    struct keys *keys = *state;
    assert_int_equal(chmod(keys->secret, 0644), 0);
    expect_refused(keys, keys->own, keys->secret, keys->allowed, "chmod o-rwx");
    assert_int_equal(chmod(keys->secret, 0600), 0);
}

static void wrong_files_are_refused_with_a_remedy(void **state)
{
    struct keys *keys = *state;
    char other[NODE_PATH_BYTES];
    char absent[NODE_PATH_BYTES];
    (void)snprintf(other, sizeof other, "%s/other", keys->f->directory);
    (void)snprintf(absent, sizeof absent, "%s/absent", keys->f->directory);
    zcert_t *certificate = zcert_new();
    assert_int_equal(zcert_save_public(certificate, other), 0);
    zcert_destroy(&certificate);
    expect_refused(keys, absent, keys->secret, keys->allowed, absent);
    expect_refused(keys, keys->own, absent, keys->allowed, absent);
    expect_refused(keys, keys->own, other, keys->allowed, "no secret key");
    expect_refused(keys, other, keys->secret, keys->allowed, "two different pairs");
    expect_refused(keys, keys->own, keys->secret, absent, "no folder");
    start_security(keys); /* nothing of the failures is left */
}

#define CURVE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CURVE_TEST(an_allowed_key_is_let_in),
        CURVE_TEST(a_listener_with_another_key_is_not_spoken_to),
        CURVE_TEST(an_unknown_key_is_refused),
        CURVE_TEST(who_speaks_plainly_is_refused),
        CURVE_TEST(unix_sockets_stay_plain),
        CURVE_TEST(works_in_the_context_of_czmq_too),
        CURVE_TEST(there_is_one_handler_a_process),
        CURVE_TEST(who_is_refused_knows_it_until_it_is_let_in),
        CURVE_TEST(of_two_public_halves_the_listeners_own_is_found),
        CURVE_TEST(a_secret_that_others_may_read_is_refused),
        CURVE_TEST(wrong_files_are_refused_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
