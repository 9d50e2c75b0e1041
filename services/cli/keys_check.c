#include "cli/keys_check.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

#include "cli/key_folder.h"
#include "link/certificate.h"
#include "link/endpoint.h"

struct check {
    FILE *out;
    int faults;
};

static void fault(struct check *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fault(struct check *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above, clang 14 errs */
    (void)vfprintf(self->out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', self->out);
    self->faults++;
}

/* ---- a pair ---- */

static void check_mode(struct check *self, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0)
        fault(self, "%s: anyone may read this secret: chmod o-rwx %s", path, path);
}

/* Returns whether out holds the public half. */
static bool check_pair(struct check *self, const char *public_path, const char *secret_path,
                       struct certificate *out)
{
    struct error err = { 0 };
    struct certificate secret;
    if (certificate_read(public_path, out, &err) != 0) {
        fault(self, "%s", err.text);
        return false;
    }
    if (certificate_read(secret_path, &secret, &err) != 0)
        fault(self, "%s", err.text);
    else if (!secret.is_pair)
        fault(self, "%s: holds no secret key that belongs to its public one", secret_path);
    else if (strcmp(secret.public_key, out->public_key) != 0)
        fault(self, "%s and %s are halves of two different pairs", public_path, secret_path);
    check_mode(self, secret_path);
    return true;
}

/* ---- an allowed folder ---- */

static bool ends_in_pub(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".pub") == 0;
}

static void check_allowed_file(struct check *self, const char *path, const char *name)
{
    struct error err = { 0 };
    struct certificate certificate;
    if (certificate_read(path, &certificate, &err) != 0)
        fault(self, "%s", err.text);
    else if (certificate.has_secret)
        fault(self, "%s: a secret half lies among those of the others: put the public one there",
              path);
    else if (!ends_in_pub(name))
        fault(self, "%s: name it %s.pub, or it is found by nobody who calls its owner", path, name);
}

static void check_allowed(struct check *self, const char *directory)
{
    DIR *folder = opendir(directory);
    if (!folder) {
        fault(self, "%s: there is no such folder: it must hold the public half of each peer",
              directory);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[PATH_MAX];
        struct stat status;
        int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.' && length > 0 && (size_t)length < sizeof path &&
            stat(path, &status) == 0 && S_ISREG(status.st_mode))
            check_allowed_file(self, path, entry->d_name);
    }
    (void)closedir(folder);
}

/* ---- a folder of all ---- */

/* Whether the certificate directory/owner/rest is there and has this key. */
static bool is_key(const char *directory, const char *owner, const char *rest, const char *key)
{
    char path[PATH_MAX];
    struct error ignored = { 0 };
    struct certificate certificate;
    return key_folder_path(directory, owner, rest, path, &ignored) == 0 &&
           access(path, R_OK) == 0 && certificate_read(path, &certificate, &ignored) == 0 &&
           strcmp(certificate.public_key, key) == 0;
}

static void check_known_to(struct check *self, const char *directory, const char *name,
                           const char *key, const char *owner)
{
    char known[64];
    char renewed[64];
    (void)snprintf(known, sizeof known, "allowed/%s.pub", name);
    (void)snprintf(renewed, sizeof renewed, "allowed/%s.new.pub", name);
    if (!is_key(directory, owner, known, key) && !is_key(directory, owner, renewed, key))
        fault(self, "%s/%s/%s: is not the public half of %s/%s/own: copy that there", directory,
              owner, known, directory, name);
}

static void check_owner(struct check *self, const char *directory, const char *name,
                        const struct key_names *all)
{
    char own[PATH_MAX];
    char secret[PATH_MAX];
    char allowed[PATH_MAX];
    struct error err = { 0 };
    struct certificate certificate;
    if (key_folder_path(directory, name, "own", own, &err) != 0 ||
        key_folder_path(directory, name, "own_secret", secret, &err) != 0 ||
        key_folder_path(directory, name, "allowed", allowed, &err) != 0) {
        fault(self, "%s", err.text);
        return;
    }
    check_allowed(self, allowed);
    if (!check_pair(self, own, secret, &certificate))
        return;
    for (size_t i = 0; i < all->count; i++)
        if (key_folder_are_neighbours(name, all->names[i]))
            check_known_to(self, directory, name, certificate.public_key, all->names[i]);
}

static int check_all(struct check *self, const char *directory, struct error *err)
{
    struct key_names names;
    if (key_folder_names(directory, &names, err) != 0)
        return -1;
    if (names.count == 0)
        fault(self, "%s: no pair is in it: desg keys make %s", directory, directory);
    for (size_t i = 0; i < names.count; i++)
        check_owner(self, directory, names.names[i], &names);
    key_names_clear(&names);
    return 0;
}

int keys_check_folder(const char *directory, FILE *out, struct error *err)
{
    struct check self = { .out = out };
    return check_all(&self, directory, err) == 0 ? self.faults : -1;
}

/* ---- a configuration ---- */

static const char *scalar(yaml_document_t *document, int number)
{
    const yaml_node_t *node = yaml_document_get_node(document, number);
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

/* An endpoint that part connects to: is its listener's certificate there? */
static void check_endpoint(struct check *self, const struct config_curve *curve, const char *part,
                           const char *key, const char *text)
{
    struct endpoint endpoint;
    struct error err = { 0 };
    char path[PATH_MAX];
    if (endpoint_parse(text, &endpoint, &err) != 0) {
        fault(self, "%s.%s: %s", part, key, err.text);
        return;
    }
    const char *name = endpoint.certificate[0] != '\0' ? endpoint.certificate : "server";
    int length =
        curve->keys_directory
            ? snprintf(path, sizeof path, "%s/%s/allowed/%s.pub", curve->keys_directory, part, name)
            : snprintf(path, sizeof path, "%s/%s.pub", curve->allowed_keys_directory, name);
    if (endpoint.kind == ENDPOINT_IPC || length < 0 || (size_t)length >= sizeof path ||
        access(path, R_OK) == 0)
        return;
    fault(self, "%s.%s: '%s' is called under certificate %s.pub, and there is no %s%s", part, key,
          text, name, path,
          endpoint.certificate[0] != '\0' ? "" : ": write #NAME behind the address");
}

/* Lists of endpoints are those that a service connects to; a single one it binds. */
static void check_part(struct check *self, const struct config_curve *curve,
                       yaml_document_t *document, const char *part, const yaml_node_t *node)
{
    if (!node || node->type != YAML_MAPPING_NODE)
        return;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const char *key = scalar(document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(document, pair->value);
        size_t length = strlen(key);
        if (length < 10 || strcmp(key + length - 10, "_endpoints") != 0 || !value ||
            value->type != YAML_SEQUENCE_NODE)
            continue;
        for (const yaml_node_item_t *item = value->data.sequence.items.start;
             item < value->data.sequence.items.top; item++)
            check_endpoint(self, curve, part, key, scalar(document, *item));
    }
}

static void check_parts(struct check *self, const struct config_curve *curve,
                        yaml_document_t *document)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);
    if (!root || root->type != YAML_MAPPING_NODE)
        return;
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const char *part = scalar(document, pair->key);
        if (key_folder_is_service(part))
            check_part(self, curve, document, part, yaml_document_get_node(document, pair->value));
    }
}

static int check_endpoints(struct check *self, const struct config_curve *curve, const char *path,
                           struct error *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(err, ERROR_CONFIG, "cannot read '%s': %s", path, strerror(errno));
    bool is_read = yaml_parser_initialize(&parser) == 1;
    if (is_read) {
        yaml_parser_set_input_file(&parser, file);
        is_read = yaml_parser_load(&parser, &document) == 1;
        yaml_parser_delete(&parser);
    }
    (void)fclose(file); /* it was only read */
    if (!is_read)
        return error_set(err, ERROR_CONFIG, "'%s' is no YAML", path);
    check_parts(self, curve, &document);
    yaml_document_delete(&document);
    return 0;
}

int keys_check_config(const struct config_curve *curve, const char *path, FILE *out,
                      struct error *err)
{
    struct check self = { .out = out };
    struct certificate ignored;
    if (curve->keys_directory) {
        if (check_all(&self, curve->keys_directory, err) != 0)
            return -1;
    } else {
        (void)check_pair(&self, curve->public_key_file, curve->secret_key_file, &ignored);
        check_allowed(&self, curve->allowed_keys_directory);
    }
    return check_endpoints(&self, curve, path, err) == 0 ? self.faults : -1;
}
