/* madvise() is not POSIX. */
#define _DEFAULT_SOURCE

#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"

enum status file_map(const char *path, struct file *out, struct engine_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *p;

    if (fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOTFOUND : ST_UNAVAILABLE,
                         "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
        close(fd);
        return error_set(err, ST_INVALID, "'%s' is no regular file, or empty", path);
    }
    p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return error_set(err, ST_NOMEM, "cannot map '%s': %s", path, strerror(errno));
    out->bytes = (struct span){p, (size_t)info.st_size};
    return ST_OK;
}

void file_unmap(struct file *f)
{
    if (f->bytes.ptr != NULL)
        munmap((void *)(uintptr_t)f->bytes.ptr, f->bytes.len);
    f->bytes = (struct span){NULL, 0};
}

void file_forget(const struct file *f, struct span part)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)part.ptr + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)part.ptr + part.len) & ~(page - 1);

    (void)f;
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}
