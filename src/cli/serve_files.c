#include "cli/serve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"

#define PATH_BYTES       2048
#define SECRET_MIN_BYTES 16
#define SECRET_MAX_BYTES 4096

enum status serve_files_mkdir(const char *path, char *why, size_t why_cap)
{
    char part[PATH_BYTES];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(part)) {
        snprintf(why, why_cap, "'%s' is no usable path", path);
        return ST_INVALID;
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            snprintf(why, why_cap, "cannot create '%s': %s", part, strerror(errno));
            return ST_UNAVAILABLE;
        }
        part[i] = path[i];
    }
    return ST_OK;
}

static enum status read_secret(const char *path, struct buf *out, char *why, size_t why_cap)
{
    char text[SECRET_MAX_BYTES];
    struct stat info;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        snprintf(why, why_cap, "cannot read '%s': %s", path, strerror(errno));
        return errno == ENOENT ? ST_NOTFOUND : ST_UNAVAILABLE;
    }
    n = read(fd, text, sizeof(text));
    if (fstat(fd, &info) != 0)
        n = -1;
    close(fd);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
        n--;
    if (n < SECRET_MIN_BYTES) {
        snprintf(why, why_cap, "'%s' must hold at least %d bytes", path, SECRET_MIN_BYTES);
        return ST_INVALID;
    }
    /* Kubernetes mounts secrets group-readable; the world must not read them. */
    if ((info.st_mode & S_IRWXO) != 0) {
        snprintf(why, why_cap, "'%s' can be read by everybody; chmod 600 it", path);
        return ST_INVALID;
    }
    return buf_append(out, (struct span){text, (size_t)n});
}

/* Written whole under another name and linked into place: two processes that start
 * together end up with the same secret. */
static enum status create_secret(const char *path, char *why, size_t why_cap)
{
    uint8_t bytes[32];
    char text[2 * sizeof(bytes) + 1], temp[PATH_BYTES];
    enum status st = digest_random(bytes, sizeof(bytes));
    int fd, n = snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());

    if (st != ST_OK || n < 0 || (size_t)n >= sizeof(temp)) {
        snprintf(why, why_cap, "cannot make a secret for '%s'", path);
        return ST_UNAVAILABLE;
    }
    digest_hex(bytes, sizeof(bytes), text);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1 ||
        fsync(fd) != 0 || (link(temp, path) != 0 && errno != EEXIST)) {
        snprintf(why, why_cap, "cannot write '%s': %s", path, strerror(errno));
        st = ST_UNAVAILABLE;
    }
    if (fd >= 0) {
        close(fd);
        unlink(temp);
    }
    return st;
}

enum status serve_files_secret(const char *path, const char *data_dir, const char *name,
                               struct buf *out, bool *generated, char *why, size_t why_cap)
{
    char own[PATH_BYTES];
    enum status st;
    int n;

    *generated = false;
    if (path[0] != '\0')
        return read_secret(path, out, why, why_cap);
    n = snprintf(own, sizeof(own), "%s/%s", data_dir, name);
    if (n < 0 || (size_t)n >= sizeof(own)) {
        snprintf(why, why_cap, "data_dir is too long");
        return ST_INVALID;
    }
    st = read_secret(own, out, why, why_cap);
    if (st != ST_NOTFOUND) {
        *generated = st == ST_OK;
        return st;
    }
    st = create_secret(own, why, why_cap);
    if (st != ST_OK)
        return st;
    *generated = true;
    return read_secret(own, out, why, why_cap);
}
