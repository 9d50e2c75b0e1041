#include "link/certificate.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <czmq.h>

typedef int (*saver)(zcert_t *certificate, const char *path);

/* Written beside, then linked: never over a file that is there, never half. */
static int save(zcert_t *certificate, saver save_half, const char *path, struct error *err)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof beside, "%s.part", path);
    if (length < 0 || (size_t)length >= sizeof beside)
        return error_set(err, ERROR_CONFIG, "'%s' is too long a path", path);
    mode_t before = umask(S_IRWXG | S_IRWXO);
    int rc = save_half(certificate, beside);
    (void)umask(before);
    if (rc != 0 || chmod(beside, S_IRUSR | S_IWUSR) != 0) {
        (void)unlink(beside);
        return error_set(err, ERROR_CONFIG,
                         "cannot write '%s': does its folder exist, and may "
                         "you write there?",
                         path);
    }
    rc = link(beside, path);
    int why = errno;
    (void)unlink(beside);
    if (rc == 0)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     why == EEXIST ? "'%s' is there already: keys are never "
                                     "overwritten"
                                   : "cannot write '%s'",
                     path);
}

int certificate_make(const char *public_path, const char *secret_path, const char *name,
                     const char *made_at, struct error *err)
{
    assert(public_path && secret_path && name && made_at);
    zsys_handler_set(NULL); /* signals are the program's */
    AUTO(zcert_destroy) zcert_t *certificate = zcert_new();
    if (!certificate)
        return error_set(err, ERROR_SYSTEM, "cannot make a pair of keys: no memory");
    zcert_set_meta(certificate, "name", "%s", name);
    zcert_set_meta(certificate, "made_at", "%s", made_at);
    if (save(certificate, zcert_save_secret, secret_path, err) != 0)
        return -1;
    if (save(certificate, zcert_save_public, public_path, err) == 0)
        return 0;
    (void)unlink(secret_path); /* ours, and of no use alone */
    return -1;
}

static zcert_t *load(const char *path, struct error *err)
{
    static const uint8_t no_key[32];
    zsys_handler_set(NULL);
    zcert_t *certificate = zcert_load(path);
    if (certificate && memcmp(zcert_public_key(certificate), no_key, sizeof no_key) == 0)
        zcert_destroy(&certificate);
    if (!certificate)
        (void)error_set(err, ERROR_CONFIG,
                        "'%s' cannot be read as a CURVE certificate: desg keys make makes them",
                        path);
    return certificate;
}

int certificate_copy(const char *public_path, const char *to, struct error *err)
{
    AUTO(zcert_destroy) zcert_t *certificate = load(public_path, err);
    return certificate ? save(certificate, zcert_save_public, to, err) : -1;
}

static void take(zconfig_t *file, const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", zconfig_get(file, name, ""));
}

/* Not zcert_load: that takes the secret half beside a public one instead of the file named. */
int certificate_read(const char *path, struct certificate *out, struct error *err)
{
    char secret[CERTIFICATE_KEY_BYTES];
    char derived[CERTIFICATE_KEY_BYTES];
    uint8_t key[32];
    struct certificate found = { 0 };
    zsys_handler_set(NULL);
    AUTO(zconfig_destroy) zconfig_t *file = zconfig_load(path);
    if (file)
        take(file, "/curve/public-key", found.public_key, sizeof found.public_key);
    if (strlen(found.public_key) != CERTIFICATE_KEY_BYTES - 1 ||
        !zmq_z85_decode(key, found.public_key))
        return error_set(err, ERROR_CONFIG,
                         "'%s' cannot be read as a CURVE certificate: desg keys make makes them",
                         path);
    take(file, "/curve/secret-key", secret, sizeof secret);
    take(file, "/metadata/name", found.name, sizeof found.name);
    take(file, "/metadata/made_at", found.made_at, sizeof found.made_at);
    found.has_secret = secret[0] != '\0';
    found.is_pair = strlen(secret) == CERTIFICATE_KEY_BYTES - 1 &&
                    zmq_curve_public(derived, secret) == 0 &&
                    strcmp(derived, found.public_key) == 0;
    explicit_bzero(secret, sizeof secret);
    *out = found;
    return 0;
}
