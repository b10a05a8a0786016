/* The facade: memory in front, the store behind it, the index beside both.
 *
 * An entry is found exactly as soon as it is put, from memory; the store and the
 * index follow. Each part may be missing: without a store the cache lives as long as
 * the process, without an index it only knows exact questions.
 *
 * The index may name what is gone (evicted elsewhere, expired): whoever asks for it
 * finds nothing and removes it. It must not miss what is there, so whatever leaves
 * memory leaves the index only if the store does not have it either, and the other
 * way round. */
#include "cache/cache.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/memory.h"
#include "cache/newcomers.h"
#include "cache/refusals.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define REBUILD_RETRY_FIRST_US (2u * 1000 * 1000)
#define REBUILD_RETRY_MAX_US   (60u * 1000 * 1000)
#define REOPEN_US              500000
#define INDEX_ADD_TRIES        8
#define SAVE_US                (60u * 1000 * 1000)

struct cache {
    struct loop *loop;           /* borrowed (outlives) */
    struct memory *memory;       /* owned */
    struct store *store;         /* owned; NULL: none, or memory is the store */
    struct index *index;         /* owned; NULL: none */
    struct refusals *refusals;   /* owned */
    struct newcomers *newcomers; /* owned; NULL: nobody else writes to the store, or no index */
    struct bounded *bounded;     /* owned; NULL: the policy is `threshold` */
    struct traffic *traffic;     /* owned; NULL: all partitions are decided alike */
    bool memory_is_store;
    bool strangers; /* of struct decision_policy */
    void (*unfit)(void *owner, const char *why);
    void *unfit_owner;
    char trouble[sizeof(((struct store_stats *)NULL)->trouble)];

    uint32_t dimensions; /* of the index */
    bool apart;          /* the store keeps it, `index` is NULL */
    bool index_ready;
    struct timer rebuild;
    struct timer save; /* of what `bounded` has learned */
    uint64_t rebuild_retry_us;
    uint64_t rebuild_started_us;

    struct store_options store_options; /* texts borrowed (outlive) */
    struct connector *connector;        /* borrowed (outlives) */
    struct timer reopen;                /* of a store that could not be opened */
    bool lent;                          /* the store is, or is being, left to another process */
    bool lending;                       /* … its close is under way */
    struct loop_msg lent_msg;
    void (*lent_done)(void *owner);
    void *lent_owner;

    struct loop_msg closing_msg;
    atomic_bool closing; /* relaxed: a flag that a scan on another thread looks at */
    void (*closed)(void *owner);
    void *closed_owner;
};

/* --- the index ------------------------------------------------------------------------ */

static bool is_zero(const struct digest *d)
{
    static const struct digest zero;

    return digest_eq(d, &zero);
}

/* Any thread. */
static enum status index_entry(struct cache *c, const struct entry *e)
{
    if (c->index == NULL || e->vector == NULL || e->dimensions != c->dimensions ||
        is_zero(&e->partition))
        return ST_OK;
    return index_add(c->index, &e->partition, &e->key, e->vector, e->question,
                     entry_fresh_ms(e));
}

/* A full queue costs this entry its semantic hits, and is counted by the index. */
static void index_now(struct cache *c, const struct entry *e)
{
    enum status st = index_entry(c, e);

    if (st != ST_OK)
        log_at(LOG_DEBUG, NULL, kv_event("index_add_failed"), kv_status(st));
}

static void unindex(struct cache *c, const struct digest *key, const struct digest *partition)
{
    if (is_zero(partition))
        return;
    if (c->index != NULL)
        index_remove(c->index, partition, key);
    else if (c->apart && c->store != NULL)
        c->store->ops->vector_remove(c->store, partition, key);
}

/* On a thread of the store's. Reading is faster than indexing: it waits. */
static bool on_scan_entry(void *owner, struct entry *e)
{
    struct cache *c = owner;

    for (unsigned i = 0; i < INDEX_ADD_TRIES; i++) {
        if (atomic_load_explicit(&c->closing, memory_order_relaxed))
            return false;
        if (index_entry(c, e) != ST_OVERLOAD)
            break;
        index_flush(c->index);
    }
    return true;
}

static void start_rebuild(struct cache *c);

static void on_rebuild_time(struct timer *t)
{
    start_rebuild(CONTAINER_OF(t, struct cache, rebuild));
}

/* A store that is down now may come back with all it has. */
static void retry_rebuild(struct cache *c)
{
    timer_start(c->loop, &c->rebuild, c->rebuild_retry_us, on_rebuild_time);
    c->rebuild_retry_us *= 2;
    if (c->rebuild_retry_us > REBUILD_RETRY_MAX_US)
        c->rebuild_retry_us = REBUILD_RETRY_MAX_US;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct cache *c = owner;
    uint64_t took_us = loop_now_us(c->loop) - c->rebuild_started_us;

    index_fill_end(c->index);
    if (atomic_load_explicit(&c->closing, memory_order_relaxed))
        return;
    if (st != ST_OK) {
        retry_rebuild(c);
        return;
    }
    c->index_ready = true;
    log_at(LOG_INFO, NULL, kv_event("index_ready"), kv_u64("entries", entries),
           kv_f64("seconds", (double)took_us / 1e6));
}

static void start_rebuild(struct cache *c)
{
    if (c->store == NULL)
        return;
    c->rebuild_started_us = loop_now_us(c->loop);
    index_fill_begin(c->index);
    if (c->store->ops->scan(c->store, on_scan_entry, on_scanned, c) == ST_OK)
        return;
    index_fill_end(c->index);
    retry_rebuild(c);
}

/* --- what leaves ---------------------------------------------------------------------- */

static void on_memory_evicted(void *owner, const struct entry *e)
{
    struct cache *c = owner;

    if (is_zero(&e->partition)) /* never was in the index */
        return;
    if (c->store == NULL || !c->store->ops->may_have(c->store, &e->key))
        unindex(c, &e->key, &e->partition);
}

static void on_store_lost(void *owner, const struct digest *key, const struct digest *partition)
{
    struct cache *c = owner;

    if (!memory_has(c->memory, key, clock_wall_ms()))
        unindex(c, key, partition);
}

/* --- what was learned ----------------------------------------------------------------- */

static void on_save_time(struct timer *t)
{
    struct cache *c = CONTAINER_OF(t, struct cache, save);

    if (bounded_save(c->bounded) != ST_OK)
        log_at(LOG_DEBUG, NULL, kv_event("bounded_save_later"));
    timer_start(c->loop, &c->save, SAVE_US, on_save_time);
}

static enum status open_bounded(struct cache *c, const struct cache_options *o)
{
    struct bounded_options b = o->bounded;
    enum status st;

    if (b.error_max <= 0)
        return ST_OK;
    b.data_dir = o->store.data_dir;
    st = bounded_open(&b, &c->bounded);
    if (st == ST_OK)
        timer_start(c->loop, &c->save, SAVE_US, on_save_time);
    return st;
}

static void close_bounded(struct cache *c)
{
    if (c->bounded == NULL)
        return;
    timer_stop(c->loop, &c->save);
    bounded_close(c->bounded);
}

static void close_traffic(struct cache *c)
{
    if (c->traffic != NULL)
        traffic_close(c->traffic);
}

void cache_count_exact(struct cache *c, const struct digest *partition)
{
    if (c->bounded != NULL && !is_zero(partition))
        bounded_count(c->bounded, partition);
}

void cache_learn(struct cache *c, const struct digest *partition,
                 const struct decision_lesson *lesson, bool same)
{
    if (c->bounded != NULL)
        bounded_learn(c->bounded, partition, lesson, same);
}

void cache_note_stored(struct cache *c, const struct digest *partition,
                       const struct digest *key, const struct digest *with)
{
    if (c->bounded == NULL)
        return;
    if (with != NULL)
        bounded_join(c->bounded, key, with);
    bounded_stored(c->bounded, partition, key);
}

struct bounded *cache_bounded(struct cache *c)
{
    return c->bounded;
}

/* --- what others should know, and what they say ---------------------------------------- */

static void tell(struct cache *c, const struct store_news *news)
{
    if (c->store == NULL || c->store->ops->tell == NULL)
        return;
    if (c->store->ops->tell(c->store, news) != ST_OK)
        log_at(LOG_WARN, NULL, kv_event("replicas_not_told"));
}

static void on_newcomer(void *owner, struct entry *e)
{
    index_now(owner, e);
}

/* Somebody else stored it. */
static enum status welcome(struct cache *c, const struct digest *key)
{
    enum status st = ST_OK;

    if (c->index == NULL || atomic_load_explicit(&c->closing, memory_order_relaxed))
        return ST_OK;
    if (c->newcomers == NULL)
        st = newcomers_open(c->store, on_newcomer, c, &c->newcomers);
    if (st == ST_OK)
        newcomers_add(c->newcomers, key);
    return st;
}

static void on_news(void *owner, const struct store_news *n, bool old)
{
    struct cache *c = owner;
    struct purge_filter f = {.by_partition = !is_zero(&n->partition),
                             .by_tenant = !is_zero(&n->tenant),
                             .partition = n->partition,
                             .tenant = n->tenant,
                             .before_ms = n->before_ms};
    enum status st = ST_OK;

    switch (n->kind) {
    case STORE_NEWS_GONE:
        memory_remove(c->memory, &n->key);
        if (!old) /* the index of one who has just started has read what is there */
            unindex(c, &n->key, &n->partition);
        break;
    case STORE_NEWS_PURGED:
        memory_remove_matching(c->memory, purge_match, &f);
        break;
    case STORE_NEWS_REFUSED:
        st = refusals_add(c->refusals, &n->key);
        break;
    case STORE_NEWS_ALLOWED:
        st = refusals_remove(c->refusals, &n->key);
        break;
    case STORE_NEWS_STORED:
        st = welcome(c, &n->key);
        break;
    }
    if (st != ST_OK && st != ST_NOTFOUND)
        log_at(LOG_DEBUG, NULL, kv_event("news_not_kept"), kv_status(st));
}

/* --- opening and closing -------------------------------------------------------------- */

static enum status open_memory(struct cache *c, const struct cache_options *o)
{
    struct memory_options m = {.entries_max = o->memory_entries_max,
                               .bytes_max = o->memory_max_bytes,
                               .evicted = on_memory_evicted,
                               .owner = c};

    return memory_open(&m, &c->memory);
}

static void open_index(struct cache *c, const struct cache_options *o)
{
    enum status st;

    if (o->index.dimensions == 0)
        return;
    c->apart = o->store.vectors != STORE_VECTORS_NONE;
    if (c->apart)
        return;
    st = index_open(&o->index, &c->index);
    if (st == ST_OK)
        c->dimensions = o->index.dimensions;
    else
        log_at(LOG_WARN, NULL, kv_event("index_unavailable"), kv_status(st));
}

static enum status try_store(struct cache *c)
{
    enum status st = store_open(c->loop, c->connector, &c->store_options, &c->store, c->trouble,
                                sizeof(c->trouble));

    if (st != ST_OK)
        return st;
    c->store->lost = on_store_lost;
    c->store->lost_owner = c;
    c->store->news = on_news;
    c->store->news_owner = c;
    c->store->unfit = c->unfit;
    c->store->unfit_owner = c->unfit_owner;
    return ST_OK;
}

/* Another process may have had the folder, or the disk was not there yet. */
static void on_reopen(struct timer *t)
{
    struct cache *c = CONTAINER_OF(t, struct cache, reopen);

    if (try_store(c) != ST_OK) {
        timer_start(c->loop, &c->reopen, REOPEN_US, on_reopen);
        return;
    }
    c->index_ready = c->index == NULL;
    if (c->index != NULL)
        start_rebuild(c);
}

/* Wrong options are the caller's; whatever else fails leaves a cache in memory. */
static enum status open_store(struct cache *c)
{
    enum status st;

    /* The cache's own memory with its bounds, rather than a copy behind it. */
    c->memory_is_store = strcmp(c->store_options.url, "memory:") == 0;
    if (c->memory_is_store)
        return ST_OK;
    st = try_store(c);
    if (st == ST_OK)
        return ST_OK;
    log_at(st == ST_INVALID ? LOG_ERROR : LOG_WARN, NULL, kv_event("store_unavailable"),
           kv_str("why", c->trouble));
    if (st == ST_UNAVAILABLE)
        timer_start(c->loop, &c->reopen, REOPEN_US, on_reopen);
    return st == ST_INVALID ? ST_INVALID : ST_OK;
}

enum status cache_open(struct loop *loop, struct connector *connector,
                       const struct cache_options *o, struct cache **out)
{
    struct cache *c = calloc(1, sizeof(*c));
    enum status st;

    if (c == NULL)
        return ST_NOMEM;
    c->loop = loop;
    c->rebuild_retry_us = REBUILD_RETRY_FIRST_US;
    c->strangers = o->strangers;
    c->unfit = o->unfit;
    c->unfit_owner = o->unfit_owner;
    atomic_init(&c->closing, false);
    st = open_memory(c, o);
    if (st != ST_OK)
        goto fail_memory;
    st = refusals_open(o->store.data_dir, o->refusals_max, &c->refusals);
    if (st != ST_OK)
        goto fail_refusals;
    st = open_bounded(c, o);
    if (st != ST_OK)
        goto fail_bounded;
    if (c->bounded == NULL && o->traffic_partitions_max > 0)
        st = traffic_open(o->traffic_partitions_max, &c->traffic);
    if (st != ST_OK)
        goto fail_traffic;
    c->connector = connector;
    c->store_options = o->store;
    st = open_store(c);
    if (st != ST_OK)
        goto fail_store;
    open_index(c, o);
    if (c->index != NULL && c->store != NULL)
        start_rebuild(c);
    else
        c->index_ready = true;
    *out = c;
    return ST_OK;

fail_store:
    close_traffic(c);
fail_traffic:
    close_bounded(c);
fail_bounded:
    refusals_close(c->refusals);
fail_refusals:
    memory_close(c->memory);
fail_memory:
    free(c);
    return st;
}

static void on_store_closed(void *owner)
{
    struct cache *c = owner;
    void (*closed)(void *owner) = c->closed;
    void *closed_owner = c->closed_owner;

    if (c->newcomers != NULL)
        newcomers_free(c->newcomers);
    if (c->index != NULL)
        index_close(c->index);
    close_traffic(c);
    close_bounded(c);
    refusals_close(c->refusals);
    memory_close(c->memory);
    free(c);
    closed(closed_owner);
}

static void on_closing(struct loop_msg *m)
{
    on_store_closed(CONTAINER_OF(m, struct cache, closing_msg));
}

static void close_store(struct cache *c)
{
    if (c->store != NULL)
        c->store->ops->close(c->store, on_store_closed, c);
    else
        loop_defer(c->loop, &c->closing_msg, on_closing);
}

void cache_close(struct cache *c, void (*closed)(void *owner), void *owner)
{
    atomic_store_explicit(&c->closing, true, memory_order_relaxed);
    c->closed = closed;
    c->closed_owner = owner;
    timer_stop(c->loop, &c->rebuild);
    timer_stop(c->loop, &c->reopen);
    if (c->newcomers != NULL)
        newcomers_stop(c->newcomers);
    if (!c->lending) /* else end_lending() goes on */
        close_store(c);
}

/* --- files for another process ---------------------------------------------------------- */

static void end_lending(struct cache *c)
{
    c->lending = false;
    c->lent_done(c->lent_owner);
    if (atomic_load_explicit(&c->closing, memory_order_relaxed))
        close_store(c);
}

static void on_lent(void *owner)
{
    struct cache *c = owner;

    c->store = NULL;
    snprintf(c->trouble, sizeof(c->trouble), "left to the ibid that takes over");
    end_lending(c);
}

static void on_nothing_lent(struct loop_msg *m)
{
    end_lending(CONTAINER_OF(m, struct cache, lent_msg));
}

static bool has_files(const struct cache *c)
{
    struct store_stats s;

    if (c->store == NULL)
        return false;
    c->store->ops->stats(c->store, &s);
    return strcmp(s.kind, "lmdb") == 0;
}

void cache_lend_files(struct cache *c, void (*done)(void *owner), void *owner)
{
    c->lent = c->lending = true;
    c->lent_done = done;
    c->lent_owner = owner;
    timer_stop(c->loop, &c->reopen);
    timer_stop(c->loop, &c->rebuild);
    if (c->bounded != NULL) {
        if (bounded_save(c->bounded) != ST_OK)
            log_at(LOG_WARN, NULL, kv_event("bounded_not_saved"));
        bounded_lend_file(c->bounded, true);
    }
    if (has_files(c))
        c->store->ops->close(c->store, on_lent, c);
    else
        loop_defer(c->loop, &c->lent_msg, on_nothing_lent);
}

void cache_take_files_back(struct cache *c)
{
    if (!c->lent || c->lending)
        return;
    c->lent = false;
    if (c->bounded != NULL)
        bounded_lend_file(c->bounded, false);
    if (c->store == NULL && !c->memory_is_store)
        timer_start(c->loop, &c->reopen, 0, on_reopen);
}

/* --- finding and keeping -------------------------------------------------------------- */

void cache_expect(struct cache *c, const struct digest *key)
{
    memory_expect(c->memory, key);
    if (c->store != NULL && c->store->ops->expect != NULL)
        c->store->ops->expect(c->store, key);
}

enum cache_found cache_find(struct cache *c, const struct digest *key, struct entry **e)
{
    struct entry *found = memory_find(c->memory, key, clock_wall_ms());

    if (found != NULL) {
        *e = found;
        return CACHE_HIT;
    }
    if (c->store == NULL || !c->store->ops->may_have(c->store, key))
        return CACHE_ABSENT;
    return CACHE_ASK;
}

static void on_fetched(struct store_get *get, enum status st, struct entry *e)
{
    struct cache_get *op = CONTAINER_OF(get, struct cache_get, get);
    struct cache *c = op->cache;

    if (st == ST_OK) {
        memory_put(c->memory, e);
        /* Written by another replica, it is new to our index. */
        if (c->store->shared)
            index_now(c, e);
    }
    op->done(op, st, e);
}

enum status cache_fetch(struct cache *c, struct cache_get *op, const struct digest *key,
                        cache_get_fn *done)
{
    if (c->store == NULL)
        return ST_UNAVAILABLE;
    op->cache = c;
    op->done = done;
    op->get = (struct store_get){.done = on_fetched, .key = *key, .store = c->store};
    return c->store->ops->get(c->store, &op->get);
}

void cache_cancel(struct cache_get *op)
{
    op->get.store->ops->cancel(&op->get);
}

bool cache_can_lease(const struct cache *c)
{
    return c->store != NULL && c->store->ops->lease != NULL;
}

enum status cache_lease(struct cache *c, struct store_lease *l, enum store_lease_act act)
{
    return cache_can_lease(c) ? c->store->ops->lease(c->store, l, act) : ST_UNAVAILABLE;
}

void cache_put(struct cache *c, struct entry *e)
{
    bool kept = memory_put(c->memory, e);

    if (c->store != NULL)
        c->store->ops->put(c->store, e);
    if (kept || c->store != NULL)
        index_now(c, e);
}

void cache_remove(struct cache *c, const struct digest *key, const struct digest *partition)
{
    memory_remove(c->memory, key);
    if (c->store != NULL && c->store->ops->remove(c->store, key) != ST_OK)
        log_at(LOG_DEBUG, NULL, kv_event("store_remove_failed"));
    unindex(c, key, partition);
}

/* --- removing ---------------------------------------------------------------------------- */

enum status cache_remove_everywhere(struct cache *c, const struct digest *key,
                                    const struct digest *partition)
{
    const struct store_news news = {
        .kind = STORE_NEWS_GONE, .key = *key, .partition = *partition};
    enum status st = c->store != NULL ? c->store->ops->remove(c->store, key) : ST_OK;

    memory_remove(c->memory, key);
    unindex(c, key, partition);
    tell(c, &news);
    return st;
}

static enum status remove_one(void *owner, const struct digest *key,
                              const struct digest *partition)
{
    struct cache *c = owner;
    enum status st = c->store != NULL ? c->store->ops->remove(c->store, key) : ST_OK;

    if (st != ST_OK)
        return st;
    memory_remove(c->memory, key);
    unindex(c, key, partition);
    return ST_OK;
}

static void on_purged(struct purge *p, enum status st)
{
    struct cache_purge *op = CONTAINER_OF(p, struct cache_purge, purge);
    const struct purge_filter *f = &p->filter;
    struct store_news news = {.kind = STORE_NEWS_PURGED, .before_ms = f->before_ms};

    if (f->by_partition)
        news.partition = f->partition;
    if (f->by_tenant)
        news.tenant = f->tenant;
    if (!p->preview)
        tell(op->cache, &news);
    op->done(op, st);
}

enum status cache_purge(struct cache *c, struct cache_purge *op)
{
    op->cache = c;
    op->purge.loop = c->loop;
    op->purge.memory = c->memory;
    op->purge.store = c->store;
    op->purge.remove = remove_one;
    op->purge.owner = c;
    op->purge.done = on_purged;
    return purge_start(&op->purge);
}

enum status cache_browse(struct cache *c, struct browse *b)
{
    b->loop = c->loop;
    b->memory = c->memory;
    b->store = c->store;
    return browse_start(b);
}

/* --- reports --------------------------------------------------------------------------- */

enum status cache_refuse(struct cache *c, const struct digest *partition, struct span a,
                         struct span b)
{
    struct digest pair;

    refusals_pair(partition, a, b, &pair);
    tell(c, &(const struct store_news){.kind = STORE_NEWS_REFUSED, .key = pair});
    return refusals_add(c->refusals, &pair);
}

enum status cache_allow(struct cache *c, const struct digest *partition, struct span a,
                        struct span b)
{
    struct digest pair;

    refusals_pair(partition, a, b, &pair);
    tell(c, &(const struct store_news){.kind = STORE_NEWS_ALLOWED, .key = pair});
    return refusals_remove(c->refusals, &pair);
}

static struct decision_record *record_of(const struct cache_query *q, const struct decision *d,
                                         const struct decision_candidate *candidates, size_t n)
{
    struct decision_record like = {.partition = *q->partition,
                                   .at_ms = q->now_ms,
                                   .decision = *d,
                                   .floor = q->floor,
                                   .question = q->question,
                                   .asked = q->asked,
                                   .count = n},
                           *copy;

    memcpy(like.candidates, candidates, n * sizeof(*candidates));
    return n > 0 && decision_record_copy(&like, &copy) == ST_OK ? copy : NULL;
}

/* Whether it would have come out otherwise had the traffic not been looked at. */
static bool was_turned(const struct decision *d, const struct decision_candidate *c, size_t n)
{
    if (d->moved == 0 || d->hit)
        return d->moved > 0 && traffic_moved(d->probability, -d->moved) < d->threshold;
    for (size_t i = 0; i < n; i++) {
        if (!c[i].refused && c[i].probability < d->threshold &&
            traffic_moved(c[i].probability, -d->moved) >= d->threshold)
            return true;
    }
    return false;
}

/* Candidates that were looked at. */
static void note_traffic(struct cache *c, const struct digest *partition,
                         const struct decision *d, const struct decision_candidate *candidates,
                         size_t n)
{
    bool refused = false;

    if (c->traffic == NULL || n == 0 || candidates[0].similarity < TRAFFIC_NEAR)
        return;
    for (size_t i = 0; i < n; i++)
        refused |= candidates[i].refused && candidates[i].similarity >= TRAFFIC_NEAR;
    traffic_note(c->traffic, partition, refused);
    if (was_turned(d, candidates, n))
        traffic_turned(c->traffic, d->hit);
}

bool cache_has_index_apart(const struct cache *c)
{
    return c->apart;
}

enum status cache_find_neighbours(struct cache *c, struct neighbours *n)
{
    if (c->store == NULL)
        return ST_UNAVAILABLE;
    n->memory = c->memory;
    n->store = c->store;
    return neighbours_find(n);
}

void cache_decide(struct cache *c, const struct cache_query *q, struct arena *arena,
                  struct decision *out, struct decision_record **record)
{
    struct decision_policy policy = {.threshold = c->bounded != NULL ? 0 : q->threshold,
                                     .floor = q->floor,
                                     .refusals = c->refusals,
                                     .partition = q->partition,
                                     .strangers = c->strangers};
    size_t n = 0, top_k = q->top_k;
    struct decision_candidate candidates[DECISION_CANDIDATES_MAX];

    if (top_k > DECISION_CANDIDATES_MAX)
        top_k = DECISION_CANDIDATES_MAX;
    if (q->neighbours != NULL)
        n = neighbours_candidates(q->neighbours, candidates);
    else if (c->index != NULL)
        n = index_search(c->index, q->partition, q->vector, top_k, q->floor, q->now_ms, arena,
                         candidates);
    if (c->bounded != NULL) {
        decision_judge(q->question, candidates, n, &policy);
        bounded_decide(c->bounded, q->partition, candidates, n, q->least, out);
    } else {
        if (c->traffic != NULL)
            policy.traffic = traffic_find(c->traffic, q->partition);
        decision_make(q->question, candidates, n, &policy, out);
        note_traffic(c, q->partition, out, candidates, n);
    }
    for (size_t i = 0; i < n && i < DECISION_NEAR_MAX; i++)
        out->near[out->near_count++] = candidates[i].key;
    if (record != NULL)
        *record = record_of(q, out, candidates, n);
}

/* --- figures -------------------------------------------------------------------------- */

static void memory_as_store(const struct memory_stats *m, struct store_stats *out)
{
    *out = (struct store_stats){.up = true, .kind = "memory"};
    out->entries = m->entries;
    out->bytes = m->bytes;
    out->evictions_total = m->evictions_total;
}

void cache_stats(struct cache *c, struct cache_stats *out)
{
    struct memory_stats m;

    memory_stats(c->memory, &m);
    *out = (struct cache_stats){.memory_entries = m.entries,
                                .memory_bytes = m.bytes,
                                .memory_evictions_total = m.evictions_total,
                                .store_present = c->store != NULL || c->memory_is_store,
                                .store = {.kind = "none"},
                                .index_present = c->index != NULL || c->apart,
                                .index_apart = c->apart,
                                .index_ready = c->index_ready,
                                .refusals = refusals_count(c->refusals)};
    if (c->store != NULL)
        c->store->ops->stats(c->store, &out->store);
    else if (c->memory_is_store)
        memory_as_store(&m, &out->store);
    else
        snprintf(out->store.trouble, sizeof(out->store.trouble), "%s", c->trouble);
    if (c->index != NULL)
        index_stats(c->index, &out->index);
    if (c->newcomers != NULL)
        newcomers_stats(c->newcomers, &out->newcomers);
    if (c->traffic != NULL)
        traffic_stats(c->traffic, &out->traffic);
}
