#include "proxy/access_log.h"

#include <stdlib.h>

#include "config/config.h"
#include "proxy/access_line.h"
#include "rt/line_log.h"

struct access_log {
    struct line_log *lines; /* owned */
    void (*closed)(void *owner);
    void *owner;
};

enum status access_log_open(struct loop *loop, struct access_log **out)
{
    struct access_log *l = calloc(1, sizeof(*l));
    enum status st = l != NULL ? line_log_open(loop, &l->lines) : ST_NOMEM;

    if (st != ST_OK)
        free(l);
    else
        *out = l;
    return st;
}

enum status access_log_adopt(struct access_log *l, const struct config *c, char *why,
                             size_t why_cap)
{
    return line_log_adopt(l->lines, c->access_log.path, c->access_log.queue_bytes_max, why,
                          why_cap);
}

static void on_closed(void *owner)
{
    struct access_log *l = owner;
    void (*closed)(void *) = l->closed;
    void *of = l->owner;

    free(l);
    closed(of);
}

void access_log_close(struct access_log *l, void (*closed)(void *owner), void *owner)
{
    l->closed = closed;
    l->owner = owner;
    line_log_close(l->lines, on_closed, l);
}

void access_log_note(struct access_log *l, const struct request *r, uint64_t took_us,
                     bool whole)
{
    struct buf *out = l != NULL ? line_log_begin(l->lines) : NULL;

    if (out != NULL)
        line_log_end(l->lines, access_line_write(r, took_us, whole, out));
}

void access_log_stats(const struct access_log *l, struct access_log_stats *out)
{
    struct line_log_stats s;

    line_log_stats(l->lines, &s);
    *out = (struct access_log_stats){s.lines_total, s.dropped_total};
}
