#include "engine/new_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"

enum status new_file_open(struct new_file *f, const char *path, struct engine_error *err)
{
    int n = snprintf(f->part, sizeof(f->part), "%s.part", path);

    f->path = path;
    if (n < 0 || (size_t)n >= sizeof(f->part))
        return error_set(err, ST_LIMIT, "the path of the new file is too long");
    if (access(path, F_OK) == 0)
        return error_set(err, ST_INVALID, "'%s' is there already", path);
    f->file = fopen(f->part, "wb");
    if (f->file == NULL)
        return error_set(err, ST_UNAVAILABLE, "cannot write '%s': %s", f->part,
                         strerror(errno));
    return ST_OK;
}

enum status new_file_close(struct new_file *f, enum status written, struct engine_error *err)
{
    bool lost = ferror(f->file) != 0;
    enum status st = written;

    lost = fclose(f->file) != 0 || lost;
    if (st == ST_UNAVAILABLE || (st == ST_OK && lost))
        st = error_set(err, ST_UNAVAILABLE, "cannot write '%s' to its end: %s", f->part,
                       strerror(errno));
    if (st == ST_OK && rename(f->part, f->path) != 0)
        st = error_set(err, ST_UNAVAILABLE, "cannot rename '%s': %s", f->part, strerror(errno));
    if (st != ST_OK)
        (void)remove(f->part);
    return st;
}
