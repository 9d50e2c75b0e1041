#include "store/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls {
    const struct config_redis_tls *config;
};

static void free_settings(SSL_CTX **settings)
{
    SSL_CTX_free(*settings);
}

static const char *last_fault(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "unknown";
}

/* Nobody else may read the key: as of every secret. */
static int check_key(const char *path, struct error *err)
{
    char *text = config_read_secret("common.redis.tls.key_file", path, err);
    if (!text)
        return -1;
    explicit_bzero(text, strlen(text));
    free(text);
    return 0;
}

static int load_own(SSL_CTX *settings, const struct config_redis_tls *config, struct error *err)
{
    if (!config->cert_file)
        return 0;
    if (check_key(config->key_file, err) != 0)
        return -1;
    if (SSL_CTX_use_certificate_chain_file(settings, config->cert_file) != 1)
        return error_set(err, ERROR_CONFIG,
                         "common.redis.tls.cert_file: cannot use %s: %s: write a PEM certificate",
                         config->cert_file, last_fault());
    if (SSL_CTX_use_PrivateKey_file(settings, config->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(settings) != 1)
        return error_set(
            err, ERROR_CONFIG,
            "common.redis.tls.key_file: cannot use %s: %s: it has to be the PEM key of "
            "cert_file",
            config->key_file, last_fault());
    return 0;
}

static SSL_CTX *read_settings(const struct config_redis_tls *config, struct error *err)
{
    ERR_clear_error();
    SSL_CTX *settings = SSL_CTX_new(TLS_client_method());
    if (!settings || SSL_CTX_set_min_proto_version(settings, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(settings);
        (void)error_set(err, ERROR_SYSTEM, "cannot start TLS: %s", last_fault());
        return NULL;
    }
    SSL_CTX_set_verify(settings, SSL_VERIFY_PEER, NULL);
    int rc = 0;
    if (SSL_CTX_load_verify_locations(settings, config->ca_file, NULL) != 1)
        rc = error_set(err, ERROR_CONFIG,
                       "common.redis.tls.ca_file: cannot use %s: %s: write the PEM certificate of "
                       "whoever signed that of Redis",
                       config->ca_file, last_fault());
    if (rc == 0)
        rc = load_own(settings, config, err);
    if (rc != 0) {
        SSL_CTX_free(settings);
        settings = NULL;
    }
    return settings;
}

struct tls *tls_new(const struct config_redis_tls *config, struct error *err)
{
    AUTO(free_settings) SSL_CTX *settings = NULL;
    if (redisInitOpenSSL() != REDIS_OK) {
        (void)error_set(err, ERROR_SYSTEM, "cannot start TLS");
        return NULL;
    }
    settings = read_settings(config, err);
    struct tls *self = settings ? calloc(1, sizeof *self) : NULL;
    if (self)
        self->config = config;
    else if (settings)
        (void)error_set(err, ERROR_SYSTEM, "no memory for TLS");
    return self;
}

void tls_destroy(struct tls **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* hiredis checks who signed the certificate, but not whose it is. */
static bool expect_name(SSL *session, const char *name)
{
    struct in6_addr ignored;
    bool is_number = inet_pton(AF_INET, name, &ignored) == 1 || inet_pton(AF_INET6, name, &ignored);
    if (is_number)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) == 1;
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(session, name) == 1 && SSL_set_tlsext_host_name(session, name) == 1;
}

static void tell_why(const SSL *session, char *why, size_t why_bytes)
{
    long verdict = SSL_get_verify_result(session);
    const char *text = verdict != X509_V_OK    ? X509_verify_cert_error_string(verdict)
                       : ERR_peek_last_error() ? last_fault()
                                               : "not done in time (timeout_ms), or broken off";
    (void)snprintf(why, why_bytes, "%.100s", text);
}

int tls_start(const struct tls *self, redisContext *context, const char *host, char *why,
              size_t why_bytes)
{
    struct error err = { 0 };
    const char *name = self->config->server_name ? self->config->server_name : host;
    AUTO(free_settings) SSL_CTX *settings = read_settings(self->config, &err);
    if (!settings) {
        (void)snprintf(why, why_bytes, "%s", err.text);
        return -1;
    }
    SSL *session = SSL_new(settings);
    if (!session || !expect_name(session, name)) {
        (void)snprintf(why, why_bytes, "'%.60s' cannot be expected as its name", name);
        SSL_free(session);
        return -1;
    }
    if (redisInitiateSSL(context, session) == REDIS_OK)
        return 0; /* the session is the connection's now, and holds the settings */
    tell_why(session, why, why_bytes);
    SSL_free(session);
    return -1;
}
