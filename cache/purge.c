/* First the store is scanned, on a thread of its own; then, on the loop, memory, for what is
 * not written yet; then what was found is removed, and memory looked through once more: an
 * answer that was stored meanwhile is of later than `before_ms`, but one that was on its way
 * from the store to memory is not. */
#include "cache/purge.h"

#include <stdlib.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "rt/loop.h"

#define SLICE       256
#define SLICE_US    1000
#define WAIT_US     5000                  /* for a queue that is full */
#define DEADLINE_US (60ull * 1000 * 1000) /* for removing */
#define ROOM_FIRST  1024

struct purge_item {
    struct digest key, partition;
};

bool purge_match(void *filter, const struct entry *e)
{
    const struct purge_filter *f = filter;

    if (f->by_partition && !digest_eq(&f->partition, &e->partition))
        return false;
    if (f->by_tenant && !digest_eq(&f->tenant, &e->tenant))
        return false;
    return f->before_ms == 0 || e->created_ms < f->before_ms;
}

static enum status keep(struct purge *p, const struct entry *e)
{
    enum status st;

    if (keyset_find(&p->seen, &e->key) != 0)
        return ST_OK;
    if (p->count == PURGE_ENTRIES_MAX)
        return ST_LIMIT;
    if (p->count == p->room) {
        size_t room = p->room == 0 ? ROOM_FIRST : 2 * p->room;
        struct purge_item *items = realloc(p->items, room * sizeof(*items));

        if (items == NULL)
            return ST_NOMEM;
        p->items = items;
        p->room = room;
    }
    st = keyset_set(&p->seen, &e->key, 1);
    if (st == ST_OK)
        p->items[p->count++] = (struct purge_item){e->key, e->partition};
    return st;
}

/* Of the store on its thread, of memory on the loop; never both at a time. */
static bool visit(void *owner, struct entry *e)
{
    struct purge *p = owner;

    if (atomic_load_explicit(&p->canceled, memory_order_relaxed))
        p->st = ST_CANCELED;
    else if (purge_match(&p->filter, e))
        p->st = keep(p, e);
    return p->st == ST_OK;
}

static void end(struct purge *p, enum status st)
{
    keyset_release(&p->seen);
    free(p->items);
    p->items = NULL;
    p->done(p, st);
}

static void on_slice(struct timer *t);

/* Everything that was found is gone: is there more by now? */
static void look_again(struct purge *p)
{
    if (!p->again) {
        p->again = true;
        memory_walk(p->memory, visit, p);
    }
    p->matched = p->count;
    if (p->next < p->count)
        timer_start(p->loop, &p->timer, SLICE_US, on_slice);
    else
        end(p, p->st);
}

static void on_slice(struct timer *t)
{
    struct purge *p = CONTAINER_OF(t, struct purge, timer);
    enum status st = ST_OK;

    for (size_t i = 0; i < SLICE && p->next < p->count && st == ST_OK; i++) {
        const struct purge_item *item = &p->items[p->next];

        st = p->remove(p->owner, &item->key, &item->partition);
        if (st == ST_OK) {
            p->next++;
            p->removed++;
        }
    }
    if (atomic_load_explicit(&p->canceled, memory_order_relaxed))
        end(p, ST_CANCELED);
    else if (st != ST_OK && st != ST_OVERLOAD)
        end(p, st);
    else if (loop_now_us(p->loop) > p->deadline_us)
        end(p, ST_TIMEOUT);
    else if (p->next < p->count)
        timer_start(p->loop, &p->timer, st == ST_OK ? SLICE_US : WAIT_US, on_slice);
    else
        look_again(p);
}

/* The store may have read what was removed, and is not yet from its file. */
static void drop_absent(struct purge *p)
{
    uint64_t now_ms = clock_wall_ms();
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct digest *key = &p->items[i].key;

        if (p->store->ops->may_have(p->store, key) || memory_has(p->memory, key, now_ms))
            p->items[kept++] = p->items[i];
        else
            (void)keyset_remove(&p->seen, key, 1);
    }
    p->count = kept;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct purge *p = owner;

    (void)entries;
    if (p->st == ST_CANCELED)
        st = ST_CANCELED;
    if (st != ST_OK) {
        end(p, st);
        return;
    }
    if (p->store != NULL)
        drop_absent(p);
    memory_walk(p->memory, visit, p);
    p->matched = p->count;
    if (p->preview) {
        end(p, p->st);
        return;
    }
    p->deadline_us = loop_now_us(p->loop) + DEADLINE_US;
    timer_start(p->loop, &p->timer, 0, on_slice);
}

/* Without a store, memory is all there is. */
static void on_no_scan(struct timer *t)
{
    on_scanned(CONTAINER_OF(t, struct purge, timer), ST_OK, 0);
}

enum status purge_start(struct purge *p)
{
    keyset_init(&p->seen);
    p->items = NULL;
    p->count = p->room = p->next = 0;
    p->matched = p->removed = 0;
    p->again = p->preview;
    p->st = ST_OK;
    atomic_init(&p->canceled, false);
    if (p->store != NULL)
        return p->store->ops->scan(p->store, visit, on_scanned, p);
    timer_start(p->loop, &p->timer, 0, on_no_scan);
    return ST_OK;
}

void purge_cancel(struct purge *p)
{
    atomic_store_explicit(&p->canceled, true, memory_order_relaxed);
}
