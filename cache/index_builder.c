#include "cache/index_builder.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/index_large.h"
#include "cache/index_queue.h"
#include "cache/index_table.h"
#include "cache/vector.h"

/* Copied under one lock. */
#define STEP 64u

/* One build. Positions below `count` stay where they are until it has ended. */
struct build {
    struct index_builder *b;
    struct digest partition;
    uint64_t number;
    size_t dims, count, entries;
    size_t names; /* given to the structure so far */
};

/* Its own, as long as it has not become empty and gone; under the lock. */
static struct index_partition *partition_of(const struct build *w)
{
    struct index_partition *p = index_table_find(w->b->table, &w->partition);

    return p != NULL && p->build == w->number ? p : NULL;
}

static bool is_stopped(struct index_builder *b)
{
    bool stopped;

    pthread_mutex_lock(&b->mutex);
    stopped = b->stopped;
    pthread_mutex_unlock(&b->mutex);
    return stopped;
}

/* Up to STEP entries from positions *at, *at + stride, ... ; moves *at on. False: the
 * partition is gone, or the index is closing. */
static bool copy_some(const struct build *w, size_t *at, size_t stride, int8_t *vectors,
                      struct index_name *names, size_t *n)
{
    const struct index_partition *p;

    *n = 0;
    if (is_stopped(w->b))
        return false;
    pthread_rwlock_rdlock(w->b->lock);
    p = partition_of(w);
    for (unsigned i = 0; p != NULL && i < STEP && *at < w->count; i++, *at += stride) {
        struct index_row row = index_run_at(&p->run, *at);

        if (row.item == INDEX_ITEM_NONE)
            continue;
        memcpy(vectors + *n * w->dims, row.vector, w->dims);
        names[(*n)++] = (struct index_name){(uint32_t)*at, row.scale, row.sum};
    }
    pthread_rwlock_unlock(w->b->lock);
    return p != NULL;
}

/* A sample that is spread over the whole, and a structure trained on it. */
static enum status train(const struct build *w, int8_t *vectors, struct index_large **out)
{
    size_t want = index_large_sample(w->entries), at = 0, have = 0, n;
    size_t stride = w->count / want > 0 ? w->count / want : 1;
    size_t room = (w->count + stride - 1) / stride + STEP;
    float *sample = malloc(room * w->dims * sizeof(*sample));
    struct index_name names[STEP];
    enum status st = ST_OK;

    if (sample == NULL)
        return ST_NOMEM;
    while (st == ST_OK && at < w->count) {
        if (!copy_some(w, &at, stride, vectors, names, &n))
            st = ST_CANCELED;
        for (size_t i = 0; i < n; i++)
            vector_unpack(vectors + i * w->dims, names[i].scale, w->dims,
                          sample + (have + i) * w->dims);
        have += n;
    }
    if (st == ST_OK)
        st = have > 0 ? index_large_open(sample, have, w->dims, w->entries, out) : ST_CANCELED;
    free(sample);
    return st;
}

static enum status fill(struct build *w, int8_t *vectors, struct index_large *large)
{
    struct index_name names[STEP];
    enum status st = ST_OK;
    size_t at = 0, n;

    while (st == ST_OK && at < w->count) {
        if (!copy_some(w, &at, 1, vectors, names, &n))
            st = ST_CANCELED;
        for (size_t i = 0; st == ST_OK && i < n; i++)
            st = index_large_add(large, vectors + i * w->dims, &names[i]);
        w->names += n;
    }
    return st;
}

static bool start_build(struct index_builder *b, struct build *w)
{
    struct index_partition *p;

    pthread_rwlock_wrlock(b->lock);
    p = index_table_needing(b->table, INDEX_NEED_BUILD);
    if (p != NULL) {
        index_partition_build_start(p, ++b->builds);
        *w = (struct build){.b = b,
                            .partition = p->id,
                            .number = b->builds,
                            .dims = b->table->dims,
                            .count = p->run.count,
                            .entries = index_partition_entries(p)};
    }
    pthread_rwlock_unlock(b->lock);
    return p != NULL;
}

/* What was removed since it was copied is a hole by now, so a search passes over it. */
static void end_build(struct build *w, struct index_large *large)
{
    struct index_partition *p;
    struct index_large *unneeded = large;

    pthread_rwlock_wrlock(w->b->lock);
    p = partition_of(w);
    if (p != NULL)
        unneeded = index_table_build_end(w->b->table, p, large, w->names);
    pthread_rwlock_unlock(w->b->lock);
    if (unneeded != NULL)
        index_large_close(unneeded);
}

static void build(struct build *w)
{
    struct index_large *large = NULL;
    int8_t *vectors = malloc(STEP * w->dims);
    enum status st = vectors != NULL ? train(w, vectors, &large) : ST_NOMEM;

    if (st == ST_OK) {
        st = fill(w, vectors, large);
        if (st != ST_OK) {
            index_large_close(large);
            large = NULL;
        }
    }
    free(vectors);
    if (st != ST_OK && st != ST_CANCELED)
        log_at(LOG_WARN, NULL, kv_event("index_build_failed"), kv_status(st));
    end_build(w, large);
}

static bool wait_for_work(struct index_builder *b)
{
    bool stopped;

    pthread_mutex_lock(&b->mutex);
    while ((!b->wanted || b->held) && !b->stopped)
        pthread_cond_wait(&b->changed, &b->mutex);
    b->wanted = false;
    stopped = b->stopped;
    pthread_mutex_unlock(&b->mutex);
    return !stopped;
}

static void *builder_main(void *arg)
{
    struct index_builder *b = arg;
    struct build w;

    while (wait_for_work(b)) {
        while (start_build(b, &w)) {
            build(&w);
            index_queue_nudge(b->queue);
            if (is_stopped(b))
                return NULL;
        }
        /* The partition may have gone meanwhile: then the writer has nothing to wait for. */
        index_queue_nudge(b->queue);
    }
    return NULL;
}

enum status index_builder_start(struct index_builder *b)
{
    if (pthread_mutex_init(&b->mutex, NULL) != 0)
        return ST_NOMEM;
    if (pthread_cond_init(&b->changed, NULL) != 0)
        goto fail_cond;
    if (pthread_create(&b->thread, NULL, builder_main, b) != 0)
        goto fail_thread;
    return ST_OK;

fail_thread:
    pthread_cond_destroy(&b->changed);
fail_cond:
    pthread_mutex_destroy(&b->mutex);
    return ST_NOMEM;
}

void index_builder_want(struct index_builder *b)
{
    pthread_mutex_lock(&b->mutex);
    b->wanted = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

void index_builder_hold(struct index_builder *b, bool held)
{
    pthread_mutex_lock(&b->mutex);
    b->held = held;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
}

void index_builder_stop(struct index_builder *b)
{
    pthread_mutex_lock(&b->mutex);
    b->stopped = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mutex);
}
