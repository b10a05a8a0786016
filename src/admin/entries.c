/* Entries by name and by the many. What is removed is gone from memory, index and store when
 * this answers, and the replicas on the same store hear of it. */
#include "admin/entries.h"

#include <inttypes.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "cache/cache.h"
#include "http/server.h"
#include "proxy/proxy.h"

#define NO_ENTRY                                                                               \
    "no such entry: it was removed, replaced or has ended; the name is that of x-ibid-entry"
#define AGE_MAX_S (100ull * 365 * 86400)

/* --- one ------------------------------------------------------------------------------- */

static void write_name(struct json_writer *w, const char *name, const struct digest *key)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(key->bytes, DIGEST_BYTES, hex);
    json_writer_text(w, name, span_of(hex));
}

static void respond_entry(struct admin_call *c, const struct entry *e)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 4096);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    write_name(&w, "entry", &e->key);
    write_name(&w, "partition", &e->partition);
    write_name(&w, "tenant", &e->tenant);
    json_writer_text(&w, "model", e->model);
    json_writer_u64(&w, "created_ms", e->created_ms);
    json_writer_u64(&w, "expires_ms", e->expires_ms);
    json_writer_u64(&w, "prompt_tokens", e->prompt_tokens);
    json_writer_u64(&w, "completion_tokens", e->completion_tokens);
    json_writer_u64(&w, "answer_bytes", e->answer.len);
    json_writer_bool(&w, "semantic", e->vector != NULL);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    if (w.st == ST_OK)
        call_respond(c, 200, JSON_TYPE, buf_span(&out));
    else
        call_refuse(c, 500, "the answer does not fit its buffer");
    buf_release(&out);
}

static void remove_entry(struct admin_call *c, const struct entry *e)
{
    enum status st =
        cache_remove_everywhere(c->view->proxy->parts.cache, &e->key, &e->partition);

    c->view->proxy->account.removed_total++;
    if (c->stream == NULL)
        return;
    if (st == ST_OK)
        call_respond(c, 200, JSON_TYPE, SPAN("{\"removed\":true}\n"));
    else
        call_refuse(c, 503, "gone from memory, but the store could not be told; ask again");
}

static void take_entry(struct admin_call *c, struct entry *e)
{
    if (c->removing)
        remove_entry(c, e);
    else if (c->stream != NULL)
        respond_entry(c, e);
    entry_unref(e);
}

static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct admin_call *c = CONTAINER_OF(op, struct admin_call, get);

    c->fetching = false;
    if (st == ST_OK)
        take_entry(c, e);
    else if (c->stream != NULL && st == ST_NOTFOUND)
        call_refuse(c, 404, NO_ENTRY);
    else if (c->stream != NULL)
        call_refuse(c, 503, "the store could not say; ask again");
    admin_call_gone(c);
}

/* What the store alone has is read first: the index wants its partition. */
static void find_entry(struct admin_call *c)
{
    struct cache *cache = c->view->proxy->parts.cache;
    struct entry *e;

    if (!digest_from_hex(c->rest, &c->key)) {
        call_refuse(c, 400, "an entry's name is the 64 hexadecimal digits of x-ibid-entry");
        return;
    }
    switch (cache_find(cache, &c->key, &e)) {
    case CACHE_HIT:
        take_entry(c, e);
        return;
    case CACHE_ABSENT:
        call_refuse(c, 404, NO_ENTRY);
        return;
    case CACHE_ASK:
        break;
    }
    c->fetching = cache_fetch(cache, &c->get, &c->key, on_fetched) == ST_OK;
    if (!c->fetching)
        call_refuse(c, 503, "the store could not say; ask again");
}

void entries_show(struct admin_call *c)
{
    find_entry(c);
}

void entries_remove(struct admin_call *c)
{
    c->removing = true;
    find_entry(c);
}

/* --- many ------------------------------------------------------------------------------ */

static bool read_seconds(struct span s, uint64_t *out)
{
    *out = 0;
    if (s.len == 0 || s.len > 12)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    return *out <= AGE_MAX_S;
}

struct wish {
    bool any, all, older, preview;
    uint64_t older_than_s;
};

/* NULL, or what is wrong with it. */
static const char *read_word(struct span name, struct span value, struct purge_filter *f,
                             struct wish *w)
{
    if (span_eq(name, SPAN("partition"))) {
        f->by_partition = w->any = true;
        return digest_from_hex(value, &f->partition)
                   ? NULL
                   : "'partition' must be 64 hexadecimal digits";
    }
    if (span_eq(name, SPAN("tenant"))) {
        f->by_tenant = w->any = true;
        return digest_from_hex(value, &f->tenant) ? NULL
                                                  : "'tenant' must be 64 hexadecimal digits";
    }
    if (span_eq(name, SPAN("older_than_s"))) {
        w->any = w->older = true;
        return read_seconds(value, &w->older_than_s)
                   ? NULL
                   : "'older_than_s' must be a number of seconds";
    }
    if (span_eq(name, SPAN("all"))) {
        w->any = w->all = true;
        return span_eq(value, SPAN("1")) ? NULL : "'all' must be 1";
    }
    if (span_eq(name, SPAN("dry_run"))) {
        w->preview = span_eq(value, SPAN("1"));
        return w->preview || span_eq(value, SPAN("0")) ? NULL : "'dry_run' must be 0 or 1";
    }
    return "the query knows partition, tenant, older_than_s, all and dry_run";
}

static struct span next_part(struct span *rest, char mark)
{
    const char *at = rest->len > 0 ? memchr(rest->ptr, mark, rest->len) : NULL;
    struct span part = {rest->ptr, at != NULL ? (size_t)(at - rest->ptr) : rest->len};

    rest->len -= part.len + (at != NULL);
    rest->ptr += part.len + (at != NULL);
    return part;
}

static const char *read_query(struct span query, struct purge_filter *f, struct wish *w)
{
    while (query.len > 0) {
        struct span value = next_part(&query, '&');
        struct span name = next_part(&value, '=');
        const char *trouble = read_word(name, value, f, w);

        if (trouble != NULL)
            return trouble;
    }
    if (!w->any)
        return "say which: ?partition=, ?tenant=, ?older_than_s= or ?all=1";
    return NULL;
}

static void respond_counts(struct admin_call *c, const struct purge *p, bool more)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 256);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "matched", p->matched);
    json_writer_u64(&w, "removed", p->removed);
    json_writer_bool(&w, "dry_run", p->preview);
    json_writer_bool(&w, "more", more);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    if (w.st == ST_OK)
        call_respond(c, 200, JSON_TYPE, buf_span(&out));
    else
        call_refuse(c, 500, "out of memory");
    buf_release(&out);
}

static void on_purged(struct cache_purge *op, enum status st)
{
    struct admin_call *c = CONTAINER_OF(op, struct admin_call, purge);

    c->purging = false;
    c->view->proxy->account.removed_total += op->purge.removed;
    if (c->stream != NULL && (st == ST_OK || st == ST_LIMIT))
        respond_counts(c, &op->purge, st == ST_LIMIT);
    else if (c->stream != NULL)
        call_refuse(c, 503, "the store could not be read or written to the end; ask again");
    admin_call_gone(c);
}

void entries_purge(struct admin_call *c)
{
    struct cache *cache = c->view->proxy->parts.cache;
    struct purge_filter filter = {.before_ms = clock_wall_ms() + 1};
    struct wish wish = {.any = false};
    const char *trouble = read_query(http_stream_head(c->stream)->query, &filter, &wish);

    if (trouble != NULL) {
        call_refuse(c, 400, trouble);
        return;
    }
    if (wish.older_than_s * 1000 < filter.before_ms)
        filter.before_ms -= wish.older_than_s * 1000;
    c->purge.purge.filter = filter;
    c->purge.purge.preview = wish.preview;
    c->purge.done = on_purged;
    c->purging = cache_purge(cache, &c->purge) == ST_OK;
    if (!c->purging)
        call_refuse(c, 503, "the store is being read for something else; ask again");
}
