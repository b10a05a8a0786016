/* MAP_ANONYMOUS and madvise() are not POSIX. */
#define _DEFAULT_SOURCE

#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"

#define HUGE_MIN (16u * 1024 * 1024) /* bytes from which on large pages are asked for */

static bool read_all(int fd, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, to, n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

/* *fd is to be closed, *size its bytes. */
static enum status open_regular(const char *path, int *fd, size_t *size,
                                struct engine_error *err)
{
    struct stat info;

    /* O_NONBLOCK: a pipe under that name is refused, not waited for. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOTFOUND : ST_UNAVAILABLE,
                         "cannot open '%s': %s", path, strerror(errno));
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        *size = (size_t)info.st_size;
        return ST_OK;
    }
    close(*fd);
    return error_set(err, ST_INVALID, "'%s' is no regular file, or empty", path);
}

static enum status read_open(int fd, size_t size, const char *path, uint64_t most,
                             struct file *out, struct engine_error *err)
{
    void *p;

    if (most > 0 && size > most)
        return error_set(err, ST_LIMIT, "'%s' has %zu KiB, more than it may have", path,
                         size >> 10);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return error_set(err, ST_NOMEM, "no memory for '%s'", path);
    if (size >= HUGE_MIN)
        (void)madvise(p, size, MADV_HUGEPAGE);
    if (!read_all(fd, p, size)) {
        munmap(p, size);
        return error_set(err, ST_UNAVAILABLE, "'%s' could not be read to its end", path);
    }
    (void)mprotect(p, size, PROT_READ);
    out->bytes = (struct span){p, size};
    return ST_OK;
}

enum status file_read(const char *path, uint64_t most, struct file *out,
                      struct engine_error *err)
{
    size_t size;
    int fd;
    enum status st = open_regular(path, &fd, &size, err);

    if (st != ST_OK)
        return st;
    st = read_open(fd, size, path, most, out, err);
    close(fd);
    return st;
}

enum status file_map(const char *path, struct file *out, struct engine_error *err)
{
    size_t size;
    int fd;
    enum status st = open_regular(path, &fd, &size, err);
    void *p;

    if (st != ST_OK)
        return st;
    p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return error_set(err, ST_UNAVAILABLE, "'%s' cannot be mapped: %s", path,
                         strerror(errno));
    out->bytes = (struct span){p, size};
    return ST_OK;
}

void file_release(struct file *f)
{
    if (f->bytes.ptr != NULL)
        munmap((void *)(uintptr_t)f->bytes.ptr, f->bytes.len);
    f->bytes = (struct span){NULL, 0};
}

enum status file_set_writable(const struct file *f, bool writable, struct engine_error *err)
{
    int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;

    if (mprotect((void *)(uintptr_t)f->bytes.ptr, f->bytes.len, access) != 0)
        return error_set(err, ST_NOMEM, "no memory to arrange the weights: %s",
                         strerror(errno));
    return ST_OK;
}
