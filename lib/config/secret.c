#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

enum { SECRET_MAX_BYTES = 64 << 10 };

/* Kubernetes mounts a Secret's key as a link to ..data/<key>, world-readable by default; who may
 * reach it is settled by the pod, not by the mode. */
static bool is_kubernetes_mount(const char *path)
{
    char target[16];
    ssize_t length = readlink(path, target, sizeof target);
    return length > 7 && memcmp(target, "..data/", 7) == 0;
}

static int check_file(const char *key, const char *path, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return error_set(err, ERROR_CONFIG, "%s: %s is not a file", key, path);
    if (status.st_size > SECRET_MAX_BYTES)
        return error_set(err, ERROR_CONFIG, "%s: %s has %lld bytes: a secret has at most %d", key,
                         path, (long long)status.st_size, SECRET_MAX_BYTES);
    if ((status.st_mode & S_IRWXO) != 0 && !is_kubernetes_mount(path))
        return error_set(err, ERROR_CONFIG, "%s: anyone may read %s: chmod o-rwx %s", key, path,
                         path);
    return 0;
}

/* Reads all of fd; the buffer holds SECRET_MAX_BYTES + 1. Returns the length or -1. */
static ssize_t read_all(int fd, char *buffer)
{
    size_t length = 0;
    while (length <= SECRET_MAX_BYTES) {
        ssize_t n = read(fd, buffer + length, SECRET_MAX_BYTES + 1 - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

static char *copy_secret(const char *key, const char *path, char *buffer, ssize_t found,
                         struct error *err)
{
    size_t length = found > 0 ? (size_t)found : 0;
    if (length > 0 && buffer[length - 1] == '\n')
        length--;
    if (length > 0 && buffer[length - 1] == '\r')
        length--;
    const char *problem = found < 0                              ? "cannot be read"
                          : length == 0                          ? "is empty"
                          : (size_t)found > SECRET_MAX_BYTES     ? "is too large"
                          : memchr(buffer, '\0', length) != NULL ? "has a NUL byte in it"
                                                                 : NULL;
    if (problem) {
        (void)error_set(err, ERROR_CONFIG, "%s: %s %s: write the secret into it, one line", key,
                        path, problem);
        return NULL;
    }
    char *secret = strndup(buffer, length);
    if (!secret)
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", key);
    return secret;
}

char *config_read_secret(const char *key, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0) {
        (void)error_set(err, ERROR_CONFIG, "%s: cannot read %s: %s", key, path, strerror(errno));
        return NULL;
    }
    char *secret = NULL;
    char *buffer = malloc(SECRET_MAX_BYTES + 1);
    if (!buffer)
        (void)error_set(err, ERROR_SYSTEM, "%s: no memory to read it", key);
    else if (check_file(key, path, fd, err) == 0)
        secret = copy_secret(key, path, buffer, read_all(fd, buffer), err);
    if (buffer)
        explicit_bzero(buffer, SECRET_MAX_BYTES + 1);
    free(buffer);
    (void)close(fd);
    return secret;
}
