/* `store.url: memory:` and tests: a store that keeps what memory.h keeps. It
 * answers from the loop like the others, never from inside a call. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "cache/store.h"
#include "cache/store_kinds.h"
#include "rt/loop.h"

struct store_memory {
    struct store store;
    struct loop *loop;     /* borrowed (outlives) */
    struct memory *memory; /* owned */
    struct store_stats stats;
    unsigned in_flight;
    struct loop_msg closing_msg;
    bool closing;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct memory_get {
    struct loop_msg msg;
    struct store_memory *store;
    struct store_get *op; /* borrowed; lives until done */
    bool canceled;
};

struct memory_scan {
    struct loop_msg msg;
    struct store_memory *store;
    store_visit_fn *visit;
    store_scanned_fn *scanned;
    void *owner;
    uint64_t now_ms, visited;
};

static struct store_memory *of(struct store *s)
{
    return CONTAINER_OF(s, struct store_memory, store);
}

static void on_closed(struct loop_msg *m)
{
    struct store_memory *s = CONTAINER_OF(m, struct store_memory, closing_msg);
    void (*closed)(void *owner) = s->closed;
    void *owner = s->closed_owner;

    memory_close(s->memory);
    free(s);
    closed(owner);
}

static void drop(struct store_memory *s)
{
    s->in_flight--;
    if (s->closing && s->in_flight == 0)
        loop_defer(s->loop, &s->closing_msg, on_closed);
}

static bool memory_may_have(struct store *store, const struct digest *key)
{
    return memory_has(of(store)->memory, key, clock_wall_ms());
}

static void on_get(struct loop_msg *m)
{
    struct memory_get *g = CONTAINER_OF(m, struct memory_get, msg);
    struct store_memory *s = g->store;
    struct store_get *op = g->op;
    struct entry *e = NULL;
    enum status st = ST_CANCELED;

    if (!g->canceled) {
        e = memory_find(s->memory, &op->key, clock_wall_ms());
        st = e != NULL ? ST_OK : ST_NOTFOUND;
        s->stats.hits_total += e != NULL;
    }
    free(g);
    op->state = NULL;
    op->done(op, st, e);
    drop(s);
}

static enum status get(struct store *store, struct store_get *op)
{
    struct store_memory *s = of(store);
    struct memory_get *g;

    if (s->closing)
        return ST_UNAVAILABLE;
    g = calloc(1, sizeof(*g));
    if (g == NULL)
        return ST_NOMEM;
    g->store = s;
    g->op = op;
    op->state = g;
    s->stats.gets_total++;
    s->in_flight++;
    loop_defer(s->loop, &g->msg, on_get);
    return ST_OK;
}

static void cancel(struct store_get *op)
{
    struct memory_get *g = op->state;

    if (g != NULL)
        g->canceled = true;
}

static void put(struct store *store, struct entry *e)
{
    struct store_memory *s = of(store);

    if (!s->closing && memory_put(s->memory, e))
        s->stats.puts_total++;
    else
        s->stats.dropped_total++;
}

static enum status take_out(struct store *store, const struct digest *key)
{
    memory_remove(of(store)->memory, key);
    return ST_OK;
}

static void on_evicted(void *owner, const struct entry *e)
{
    struct store_memory *s = owner;

    if (s->store.lost != NULL)
        s->store.lost(s->store.lost_owner, &e->key, &e->partition);
}

static bool visit_one(void *owner, struct entry *e)
{
    struct memory_scan *scan = owner;

    if (e->expires_ms <= scan->now_ms)
        return true;
    scan->visited++;
    return scan->visit(scan->owner, e);
}

static void on_scan(struct loop_msg *m)
{
    struct memory_scan *scan = CONTAINER_OF(m, struct memory_scan, msg);
    struct store_memory *s = scan->store;

    if (!s->closing)
        memory_walk(s->memory, visit_one, scan);
    scan->scanned(scan->owner, s->closing ? ST_CANCELED : ST_OK, scan->visited);
    free(scan);
    drop(s);
}

static enum status scan_all(struct store *store, store_visit_fn *visit,
                            store_scanned_fn *scanned, void *owner)
{
    struct store_memory *s = of(store);
    struct memory_scan *scan = calloc(1, sizeof(*scan));

    if (scan == NULL)
        return ST_NOMEM;
    *scan = (struct memory_scan){.store = s,
                                 .visit = visit,
                                 .scanned = scanned,
                                 .owner = owner,
                                 .now_ms = clock_wall_ms()};
    s->in_flight++;
    loop_defer(s->loop, &scan->msg, on_scan);
    return ST_OK;
}

static void stats(struct store *store, struct store_stats *out)
{
    struct store_memory *s = of(store);
    struct memory_stats m;

    memory_stats(s->memory, &m);
    *out = s->stats;
    out->entries = m.entries;
    out->bytes = m.bytes;
    out->evictions_total = m.evictions_total;
}

static void close_store(struct store *store, void (*closed)(void *owner), void *owner)
{
    struct store_memory *s = of(store);

    assert(!s->closing);
    s->closing = true;
    s->closed = closed;
    s->closed_owner = owner;
    s->in_flight++;
    drop(s);
}

static const struct store_ops memory_ops = {
    .may_have = memory_may_have,
    .get = get,
    .cancel = cancel,
    .put = put,
    .remove = take_out,
    .scan = scan_all,
    .stats = stats,
    .close = close_store,
};

enum status store_memory_open(struct loop *loop, const struct store_options *o,
                              struct store **out)
{
    struct store_memory *s = calloc(1, sizeof(*s));
    struct memory_options m = {.entries_max = o->entries_max,
                               .bytes_max = o->bytes_max,
                               .evicted = on_evicted,
                               .owner = s};
    enum status st;

    if (s == NULL)
        return ST_NOMEM;
    st = memory_open(&m, &s->memory);
    if (st != ST_OK) {
        free(s);
        return st;
    }
    s->store.ops = &memory_ops;
    s->loop = loop;
    s->stats = (struct store_stats){.kind = "memory", .up = true};
    *out = &s->store;
    return ST_OK;
}
