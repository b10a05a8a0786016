#include "admin/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/day.h"
#include "base/json_writer.h"
#include "config/config.h"
#include "rt/line_log.h"

/* Of a path or a query, which a stranger may have sent. */
#define TEXT_MAX 256

struct audit {
    struct line_log *lines; /* owned */
    void (*closed)(void *owner);
    void *owner;
};

enum status audit_open(struct loop *loop, struct audit **out)
{
    struct audit *a = calloc(1, sizeof(*a));
    enum status st = a != NULL ? line_log_open(loop, &a->lines) : ST_NOMEM;

    if (st != ST_OK)
        free(a);
    else
        *out = a;
    return st;
}

enum status audit_adopt(struct audit *a, const struct config *c, char *why, size_t why_cap)
{
    return line_log_adopt(a->lines, c->audit_log.path, c->audit_log.queue_bytes_max, why,
                          why_cap);
}

static void on_closed(void *owner)
{
    struct audit *a = owner;
    void (*closed)(void *) = a->closed;
    void *of = a->owner;

    free(a);
    closed(of);
}

void audit_close(struct audit *a, void (*closed)(void *owner), void *owner)
{
    a->closed = closed;
    a->owner = owner;
    line_log_close(a->lines, on_closed, a);
}

/* --- lines ----------------------------------------------------------------------------------
 */

static void put_text(struct json_writer *w, const char *name, struct span s)
{
    if (s.len > TEXT_MAX)
        s.len = TEXT_MAX;
    if (s.len > 0)
        json_writer_text(w, name, s);
}

/* RFC 3339. */
static void put_time(struct json_writer *w)
{
    uint64_t ms = clock_wall_ms(), of_day = ms % DAY_MS;
    char day[DAY_TEXT_BYTES], text[DAY_TEXT_BYTES + 20];

    day_write((uint32_t)(ms / DAY_MS), day);
    snprintf(text, sizeof(text), "%sT%02u:%02u:%02u.%03uZ", day, (unsigned)(of_day / 3600000),
             (unsigned)(of_day / 60000 % 60), (unsigned)(of_day / 1000 % 60),
             (unsigned)(of_day % 1000));
    json_writer_text(w, "time", span_of(text));
}

static enum status write_line(const struct audit_event *e, struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    put_time(&w);
    json_writer_text(&w, "action", span_of(e->action));
    json_writer_text(&w, "by", span_of(e->by));
    put_text(&w, "peer", span_of(e->peer != NULL ? e->peer : ""));
    put_text(&w, "certificate", span_of(e->client != NULL ? e->client : ""));
    put_text(&w, "method", e->method);
    put_text(&w, "path", e->path);
    put_text(&w, "query", e->query);
    put_text(&w, "detail", span_of(e->detail != NULL ? e->detail : ""));
    if (e->status != 0)
        json_writer_u64(&w, "status", e->status);
    json_writer_text(&w, "outcome", span_of(e->outcome));
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

void audit_note(struct audit *a, const struct audit_event *e)
{
    struct buf *out = a != NULL ? line_log_begin(a->lines) : NULL;

    if (out != NULL)
        line_log_end(a->lines, write_line(e, out));
}

void audit_stats(const struct audit *a, struct audit_stats *out)
{
    struct line_log_stats s;

    line_log_stats(a->lines, &s);
    *out = (struct audit_stats){s.lines_total, s.dropped_total};
}
