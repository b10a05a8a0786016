#include "admin/entries_import.h"

#include "admin/admin.h"
#include "admin/call.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "cache/cache.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "proxy/proxy.h"

#define JSON_DEPTH 4
/* Beside the answer: question, instructions' digests, vector. */
#define SPARE_BYTES ((size_t)1024 * 1024)

struct import {
    struct cache *cache;
    struct arena arena; /* of one line */
    struct buf frame;
    uint64_t lines, taken, expired, refused;
};

size_t entries_import_bytes_max(const struct admin_view *v)
{
    return 2 * (size_t)v->proxy->parts.config->cache.answer_max_bytes + SPARE_BYTES;
}

static enum status decode(struct import *x, struct span line, struct entry **out)
{
    struct json_error err;
    struct json *v;
    struct span text;
    enum status st = json_parse(&x->arena, line, JSON_DEPTH, &v, &err);

    if (st != ST_OK)
        return st;
    text = json_str(json_get(v, SPAN("frame")));
    buf_clear(&x->frame);
    st = text.ptr != NULL ? base64_decode(&x->frame, text) : ST_INVALID;
    return st == ST_OK ? entry_decode(buf_span(&x->frame), out) : st;
}

static uint64_t dropped_so_far(struct cache *c)
{
    struct cache_stats s;

    cache_stats(c, &s);
    return s.store.dropped_total;
}

/* The queue of the store was full: it is in memory, and in the index, but would not survive. */
static bool was_dropped(struct import *x, struct entry *e)
{
    uint64_t before = dropped_so_far(x->cache);

    cache_put(x->cache, e);
    return dropped_so_far(x->cache) != before;
}

/* false: it is to be sent again. */
static bool take_line(struct import *x, struct span line)
{
    bool dropped = false;
    struct answer a;
    struct entry *e;

    if (decode(x, line, &e) != ST_OK) {
        x->refused++;
        return true;
    }
    if (e->expires_ms <= clock_wall_ms())
        x->expired++;
    else if (answer_unpack(e->answer, &a) != ST_OK)
        x->refused++; /* of another version */
    else if (was_dropped(x, e))
        dropped = true;
    else
        x->taken++;
    entry_unref(e);
    return !dropped;
}

static void take_lines(struct import *x, struct span body)
{
    bool more = true;

    while (more && body.len > 0) {
        const char *end = memchr(body.ptr, '\n', body.len);
        struct span line = {body.ptr, end != NULL ? (size_t)(end - body.ptr) : body.len};
        size_t step = line.len + (end != NULL);

        more = line.len == 0 || take_line(x, line);
        x->lines += more && line.len > 0;
        arena_reset(&x->arena);
        body.ptr += step;
        body.len -= step;
    }
}

static void respond(struct admin_call *c, const struct import *x)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 256);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "lines", x->lines);
    json_writer_u64(&w, "taken", x->taken);
    json_writer_u64(&w, "expired", x->expired);
    json_writer_u64(&w, "refused", x->refused);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    if (w.st == ST_OK)
        call_respond(c, 200, JSON_TYPE, buf_span(&out));
    else
        call_refuse(c, 500, "out of memory");
    buf_release(&out);
}

void entries_import(struct admin_call *c)
{
    struct proxy *p = c->view->proxy;
    size_t most = entries_import_bytes_max(c->view);
    struct import x = {.cache = p->parts.cache};

    arena_init(&x.arena, 65536, 2 * most);
    buf_init(&x.frame, most);
    take_lines(&x, buf_span(&c->body));
    arena_release(&x.arena);
    buf_release(&x.frame);
    p->account.imported_total += x.taken;
    respond(c, &x);
}
