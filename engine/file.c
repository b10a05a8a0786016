/* MAP_ANONYMOUS and madvise() are not POSIX. */
#define _DEFAULT_SOURCE

#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"

#define HUGE_MIN   (16u * 1024 * 1024) /* bytes from which on large pages are asked for */
#define PART_BYTES (2u * 1024 * 1024)  /* that a thread reads at a time: a large page */

struct reading {
    int fd;
    char *to;
    _Atomic bool failed;
};

static void read_part(void *arg, size_t from, size_t to)
{
    struct reading *r = arg;

    while (from < to) {
        ssize_t got = pread(r->fd, r->to + from, to - from, (off_t)from);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            atomic_store(&r->failed, true);
            return;
        }
        from += (size_t)got;
    }
}

/* t: NULL: the caller alone. */
static bool read_all(struct threads *t, int fd, char *to, size_t n)
{
    struct reading r = {.fd = fd, .to = to};

    if (t != NULL)
        threads_run(t, n, PART_BYTES, read_part, &r);
    else
        read_part(&r, 0, n);
    return !atomic_load(&r.failed);
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

static enum status read_open(struct threads *t, int fd, size_t size, const char *path,
                             uint64_t most, struct file *out, struct engine_error *err)
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
    if (!read_all(t, fd, p, size)) {
        munmap(p, size);
        return error_set(err, ST_UNAVAILABLE, "'%s' could not be read to its end", path);
    }
    (void)mprotect(p, size, PROT_READ);
    out->bytes = (struct span){p, size};
    return ST_OK;
}

enum status file_read_by(struct threads *t, const char *path, uint64_t most, struct file *out,
                         struct engine_error *err)
{
    size_t size;
    int fd;
    enum status st = open_regular(path, &fd, &size, err);

    if (st != ST_OK)
        return st;
    st = read_open(t, fd, size, path, most, out, err);
    close(fd);
    return st;
}

enum status file_read(const char *path, uint64_t most, struct file *out,
                      struct engine_error *err)
{
    return file_read_by(NULL, path, most, out, err);
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
