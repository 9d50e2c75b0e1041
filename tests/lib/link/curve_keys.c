#include "curve_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PATH_BYTES = 128, KEY_BYTES = 32 };

void curve_keys_make(struct curve_keys *self, void *context)
{
    char own[PATH_BYTES], secret[PATH_BYTES], allowed[PATH_BYTES], path[PATH_BYTES * 2];
    struct error err = { 0 };
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/desg-keys-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    (void)snprintf(own, sizeof own, "%s/own", self->folder);
    (void)snprintf(secret, sizeof secret, "%s/own_secret", self->folder);
    (void)snprintf(allowed, sizeof allowed, "%s/allowed", self->folder);
    (void)snprintf(path, sizeof path, "%s/friend.pub", allowed);
    assert_int_equal(zsys_dir_create("%s", allowed), 0);
    self->own = zcert_new();
    self->friend = zcert_new();
    self->stranger = zcert_new();
    assert_int_equal(zcert_save(self->own, own), 0);
    assert_int_equal(zcert_save_public(self->friend, path), 0);
    self->security = link_security_new(context, own, secret, allowed, &err);
    if (!self->security)
        fail_msg("%s", err.text);
}

void curve_keys_drop(struct curve_keys *self)
{
    link_security_destroy(&self->security);
    zcert_destroy(&self->own);
    zcert_destroy(&self->friend);
    zcert_destroy(&self->stranger);
    zdir_t *folder = zdir_new(self->folder, NULL);
    zdir_remove(folder, true);
    zdir_destroy(&folder);
}

static void show(void *socket, int option, const void *key)
{
    assert_int_equal(zmq_setsockopt(socket, option, key, KEY_BYTES), 0);
}

void *curve_keys_connect(const struct curve_keys *self, void *context, int type,
                         zcert_t *certificate, const char *endpoint, int wait_ms)
{
    const int no_linger = 0;
    void *socket = zmq_socket(context, type);
    assert_non_null(socket);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger), 0);
    if (certificate) {
        show(socket, ZMQ_CURVE_SERVERKEY, zcert_public_key(self->own));
        show(socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(certificate));
        show(socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(certificate));
    }
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

bool curve_keys_is_answered(const struct curve_keys *self, void *context, zcert_t *certificate,
                            const char *endpoint, int wait_ms, const void *bytes, size_t length)
{
    uint8_t answer[4096];
    void *socket = curve_keys_connect(self, context, ZMQ_DEALER, certificate, endpoint, wait_ms);
    (void)zmq_send(socket, bytes, length, 0);
    bool is_answered = zmq_recv(socket, answer, sizeof answer, 0) > 0;
    (void)zmq_close(socket);
    return is_answered;
}
