#include "proxy/outcomes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json_writer.h"
#include "router/cascade_file.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)

struct outcomes {
    int fd; /* owned */
    uint64_t bytes, bytes_max;
    struct buf line;
};

enum status outcomes_open(const char *path, uint64_t bytes_max, struct outcomes **out)
{
    struct outcomes *o = calloc(1, sizeof(*o));
    struct stat s;

    if (o == NULL)
        return ST_NOMEM;
    o->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (o->fd < 0 || fstat(o->fd, &s) != 0) {
        if (o->fd >= 0)
            (void)close(o->fd);
        free(o);
        return ST_UNAVAILABLE;
    }
    o->bytes = (uint64_t)s.st_size;
    o->bytes_max = bytes_max;
    buf_init(&o->line, LINE_MAX_BYTES);
    *out = o;
    return ST_OK;
}

void outcomes_close(struct outcomes *o)
{
    if (o == NULL)
        return;
    (void)close(o->fd);
    buf_release(&o->line);
    free(o);
}

static enum status compose(const struct outcomes_line *l, struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    json_writer_text(&w, "reason", span_of(l->reason));
    json_writer_real(&w, "sure", l->sure);
    if (l->small >= 0)
        json_writer_real(&w, "small", l->small);
    cascade_file_write_signs(&w, "signs", l->signs);
    if (l->question.len > 0) {
        json_writer_text(&w, "question", l->question);
        json_writer_text(&w, "said", l->said);
        if (l->answered.len > 0)
            json_writer_text(&w, "answered", l->answered);
    }
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

bool outcomes_add(struct outcomes *o, const struct outcomes_line *line)
{
    ssize_t n;

    buf_clear(&o->line);
    if (compose(line, &o->line) != ST_OK || o->bytes + o->line.len > o->bytes_max)
        return false;
    /* Whole or not at all: half a line would spoil the file. */
    n = write(o->fd, o->line.ptr, o->line.len);
    if (n > 0)
        o->bytes += (uint64_t)n;
    return n == (ssize_t)o->line.len;
}
