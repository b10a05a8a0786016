/* The threads around a table of partitions (index_table.h). Callers queue what they add;
 * the writer puts it into the table, a few at a time, and does the small chores that a
 * large partition brings; the builder makes large partitions' structures. Searches share
 * the lock. It is held exclusively for some 100 us at most, so that nobody waits long. */
#include "cache/index.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "cache/index_builder.h"
#include "cache/index_centres.h"
#include "cache/index_large.h"
#include "cache/index_nearest.h"
#include "cache/index_queue.h"
#include "cache/index_table.h"
#include "cache/vector.h"

/* Where a search of lists is cheaper than a scan by more than their upkeep
 * (bench/index_bench.c). */
#define LARGE_FROM         12288
#define QUESTION_MAX_BYTES 65536
#define QUEUE_SHARE        4  /* of bytes_max may wait */
#define BATCH              32 /* changes under one lock */
#define FILL_NAP_NS        1000000

struct index {
    pthread_rwlock_t lock; /* guards `table` */
    struct index_table table;
    struct index_queue queue;
    struct index_builder builder;
    pthread_t writer;
    atomic_bool filling;
};

/* --- the writer --------------------------------------------------------------------------- */

static void apply(struct index *ix, const struct index_change *c)
{
    struct index_row row = {
        .vector = (const int8_t *)c->data, .scale = c->scale, .sum = c->sum};
    struct span question = {c->data + ix->table.dims, c->question_bytes};
    enum status st =
        index_table_add(&ix->table, &c->partition, &c->key, &row, question, c->expires_ms);

    if (st != ST_OK)
        log_at(LOG_DEBUG, NULL, kv_event("index_add_failed"), kv_status(st));
}

/* Changes are taken from the queue under the table's lock, the only place where two are
 * held: index_remove() finds an entry either still there or already here. */
static struct index_change *apply_some(struct index *ix)
{
    struct index_change *changes;
    struct index_large *unneeded = NULL;
    struct index_partition *p;
    bool restless, build;

    pthread_rwlock_wrlock(&ix->lock);
    changes = index_queue_take(&ix->queue, BATCH);
    for (const struct index_change *c = changes; c != NULL; c = c->next)
        apply(ix, c);
    p = index_table_needing(&ix->table, INDEX_NEED_STEP);
    if (p != NULL)
        unneeded = index_table_step(&ix->table, p);
    restless = index_table_is_busy(&ix->table);
    build = restless && index_table_needing(&ix->table, INDEX_NEED_BUILD) != NULL;
    pthread_rwlock_unlock(&ix->lock);
    if (unneeded != NULL)
        index_large_close(unneeded);
    if (build)
        index_builder_want(&ix->builder);
    if (p != NULL)
        index_queue_nudge(&ix->queue); /* there may be another step */
    index_queue_done(&ix->queue, restless);
    return changes;
}

/* How many there were. */
static unsigned free_changes(struct index_change *changes)
{
    unsigned n = 0;

    for (; changes != NULL; n++) {
        struct index_change *next = changes->next;

        free(changes);
        changes = next;
    }
    return n;
}

static void *writer_main(void *arg)
{
    static const struct timespec nap = {.tv_nsec = FILL_NAP_NS};
    struct index *ix = arg;

    while (index_queue_wait(&ix->queue)) {
        /* To be woken for each of a million costs more than what is done for it. */
        if (free_changes(apply_some(ix)) < BATCH &&
            atomic_load_explicit(&ix->filling, memory_order_relaxed))
            (void)nanosleep(&nap, NULL);
    }
    return NULL;
}

/* --- opening and closing ------------------------------------------------------------------ */

enum status index_open(const struct index_options *o, struct index **out)
{
    struct index *ix = calloc(1, sizeof(*ix));

    assert(o->dimensions > 0 && o->entries_max > 0 && o->queue_max > 0);
    if (ix == NULL)
        return ST_NOMEM;
    ix->table = (struct index_table){.dims = o->dimensions,
                                     .entries_max = o->entries_max,
                                     .bytes_max = o->bytes_max,
                                     .large_from = o->large_from};
    if (o->large_from == 0)
        ix->table.large_from = LARGE_FROM;
    ix->queue.count_max = o->queue_max;
    ix->queue.bytes_max = o->bytes_max / QUEUE_SHARE;
    ix->builder =
        (struct index_builder){.table = &ix->table, .lock = &ix->lock, .queue = &ix->queue};
    if (pthread_rwlock_init(&ix->lock, NULL) != 0)
        goto fail_lock;
    if (index_table_init(&ix->table) != ST_OK)
        goto fail_table;
    if (index_queue_init(&ix->queue) != ST_OK)
        goto fail_queue;
    if (index_builder_start(&ix->builder) != ST_OK)
        goto fail_builder;
    if (pthread_create(&ix->writer, NULL, writer_main, ix) != 0)
        goto fail_writer;
    *out = ix;
    return ST_OK;

fail_writer:
    index_builder_stop(&ix->builder);
fail_builder:
    index_queue_release(&ix->queue);
fail_queue:
    index_table_release(&ix->table);
fail_table:
    pthread_rwlock_destroy(&ix->lock);
fail_lock:
    free(ix);
    return ST_NOMEM;
}

void index_close(struct index *ix)
{
    index_queue_stop(&ix->queue);
    pthread_join(ix->writer, NULL);
    index_builder_stop(&ix->builder);
    index_queue_release(&ix->queue);
    index_table_release(&ix->table);
    pthread_rwlock_destroy(&ix->lock);
    free(ix);
}

/* --- changes ------------------------------------------------------------------------------ */

enum status index_add(struct index *ix, const struct digest *partition,
                      const struct digest *key, const float *vector, struct span question,
                      uint64_t expires_ms)
{
    size_t dims = ix->table.dims;
    struct index_change *c;
    enum status st;

    if (question.len > QUESTION_MAX_BYTES)
        return ST_LIMIT;
    c = malloc(sizeof(*c) + dims + question.len);
    if (c == NULL)
        return ST_NOMEM;
    *c = (struct index_change){.partition = *partition,
                               .key = *key,
                               .expires_ms = expires_ms,
                               .question_bytes = (uint32_t)question.len,
                               .bytes = sizeof(*c) + dims + question.len};
    c->scale = vector_pack(vector, dims, (int8_t *)c->data, &c->sum);
    if (question.len > 0)
        memcpy(c->data + dims, question.ptr, question.len);
    st = index_queue_put(&ix->queue, c);
    if (st != ST_OK)
        free(c);
    return st;
}

void index_remove(struct index *ix, const struct digest *partition, const struct digest *key)
{
    bool grown;

    index_queue_forget(&ix->queue, partition, key); /* else it would come after this */
    pthread_rwlock_wrlock(&ix->lock);
    index_table_remove(&ix->table, partition, key);
    grown = !list_empty(&ix->table.grown);
    pthread_rwlock_unlock(&ix->lock);
    if (grown)
        index_queue_nudge(&ix->queue);
}

/* --- searching ---------------------------------------------------------------------------- */

/* Bytes without sign, value + 128. */
static bool pack_query(struct arena *arena, size_t dims, struct index_query *q)
{
    int8_t *packed = arena_alloc(arena, dims, 64);
    int32_t sum;

    if (packed == NULL)
        return false;
    q->bytes.scale = vector_pack(q->vector, dims, packed, &sum);
    q->bytes.bytes = (uint8_t *)packed;
    for (size_t i = 0; i < dims; i++)
        q->bytes.bytes[i] ^= 0x80;
    return true;
}

size_t index_search(struct index *ix, const struct digest *partition, const float *vector,
                    size_t k, float floor, uint64_t now_ms, struct arena *arena,
                    struct decision_candidate *out)
{
    struct index_query q = {.vector = vector,
                            .k = k < DECISION_CANDIDATES_MAX ? k : DECISION_CANDIDATES_MAX,
                            .floor = floor,
                            .now_ms = now_ms};
    struct index_nearest nearest;
    const struct index_partition *p;
    size_t n = 0;

    if (q.k == 0 || !pack_query(arena, ix->table.dims, &q))
        return 0;
    pthread_rwlock_rdlock(&ix->lock);
    nearest.n = 0;
    p = index_table_find(&ix->table, partition);
    if (p != NULL)
        index_nearest_find(p, &ix->table.items, &q, &nearest);
    for (size_t i = 0; i < nearest.n; i++) {
        const struct index_item *it = index_items_at(&ix->table.items, nearest.items[i]);
        struct span question = {it->question, it->question_bytes};

        out[n] =
            (struct decision_candidate){.key = it->key, .similarity = nearest.similarity[i]};
        if (arena_copy(arena, question, &out[n].question) == ST_OK)
            n++;
    }
    pthread_rwlock_unlock(&ix->lock);
    return n;
}

/* --- the rest ----------------------------------------------------------------------------- */

void index_fill_begin(struct index *ix)
{
    atomic_store_explicit(&ix->filling, true, memory_order_relaxed);
    index_builder_hold(&ix->builder, true);
}

void index_fill_end(struct index *ix)
{
    atomic_store_explicit(&ix->filling, false, memory_order_relaxed);
    index_builder_hold(&ix->builder, false);
}

void index_flush(struct index *ix)
{
    index_queue_flush(&ix->queue, false);
}

void index_settle(struct index *ix)
{
    index_queue_flush(&ix->queue, true);
}

void index_stats(struct index *ix, struct index_stats *out)
{
    *out = (struct index_stats){0};
    pthread_mutex_lock(&ix->queue.mutex);
    out->adds_total = ix->queue.adds_total;
    out->removes_total = ix->queue.removes_total;
    out->dropped_total = ix->queue.dropped_total;
    pthread_mutex_unlock(&ix->queue.mutex);
    pthread_rwlock_rdlock(&ix->lock);
    out->entries = ix->table.items.used;
    out->partitions = ix->table.partitions.used;
    out->large_partitions = ix->table.large_count;
    out->bytes = ix->table.bytes;
    out->evictions_total = ix->table.evictions_total;
    out->rebuilds_total = ix->table.builds_total;
    pthread_rwlock_unlock(&ix->lock);
}

const char *index_backend(void)
{
    return index_centres_name();
}
