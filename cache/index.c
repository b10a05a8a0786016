/* Partitions by digest; in each a run of byte vectors with what belongs to them, in the
 * order of adding. A small one is scanned; one that has grown large gets a structure of
 * its own (index_large.h), built by the writer from a copy while searches go on, and
 * swapped in. A removed entry is dead at once; the writer takes dead ones out of a small
 * run right away and out of a large one when it is rebuilt. */
#include "cache/index.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "cache/index_large.h"
#include "cache/vector.h"

/* Where FAISS' search becomes cheaper than a scan (bench/index_bench.c). */
#define LARGE_FROM         16384
#define QUESTION_MAX_BYTES 65536
/* Candidates asked of a large structure beyond k, because some may be dead or late. */
#define EXTRA         24
#define BUCKETS_FIRST 256

struct item {
    struct digest key;
    char *question; /* owned */
    uint32_t question_bytes;
    float scale;
    int32_t sum;
    bool dead;
    uint64_t expires_ms;
    uint64_t serial; /* order of adding, over all partitions */
};

struct partition {
    struct digest id;
    struct partition *next; /* in its bucket */
    size_t count, cap, dead;
    int8_t *vectors; /* owned: [cap][dims] */
    float *scales;   /* owned copies of items[].scale and .sum, in a row for the scan */
    int32_t *sums;
    struct item *items;        /* owned */
    struct index_large *large; /* owned; NULL while small */
    size_t large_count;        /* positions it has */
    size_t built_count;        /* when it was built */
    bool frozen;               /* a structure is being built: positions stay */
};

enum change_kind { CHANGE_ADD, CHANGE_STOP };

struct change {
    struct change *next;
    enum change_kind kind;
    struct digest partition, key;
    uint64_t expires_ms;
    uint32_t question_bytes;
    char data[]; /* dims floats, then the question */
};

/* Who went in when, so that the oldest can go first. */
struct arrival {
    struct digest partition, key;
    uint64_t serial;
};

struct index {
    struct index_options o;
    pthread_t writer;

    pthread_rwlock_t lock; /* guards all of the following, down to `serial` */
    struct partition **buckets;
    size_t bucket_count, partition_count, large_count;
    uint64_t entries, bytes, serial;
    struct arrival *arrivals; /* ring */
    size_t arrival_cap, arrival_first, arrival_count;

    pthread_mutex_t mutex; /* guards the queue and the counters */
    pthread_cond_t filled, emptied;
    struct change *head, **tail;
    size_t queued;
    bool busy;
    struct index_stats stats; /* its totals */
};

/* --- partitions (under the lock) ------------------------------------------------------- */

static size_t bucket_of(const struct index *ix, const struct digest *id)
{
    uint64_t n;

    memcpy(&n, id->bytes, sizeof(n)); /* a SHA-256: any bytes are spread evenly */
    return (size_t)(n % ix->bucket_count);
}

static struct partition *find_partition(const struct index *ix, const struct digest *id)
{
    struct partition *p = ix->buckets[bucket_of(ix, id)];

    while (p != NULL && !digest_eq(&p->id, id))
        p = p->next;
    return p;
}

static void grow_buckets(struct index *ix)
{
    struct partition **old = ix->buckets,
                     **grown = calloc(ix->bucket_count * 2, sizeof(void *));
    size_t n = ix->bucket_count;

    if (grown == NULL)
        return; /* longer chains are slower, not wrong */
    ix->buckets = grown;
    ix->bucket_count = n * 2;
    for (size_t i = 0; i < n; i++) {
        while (old[i] != NULL) {
            struct partition *p = old[i];
            size_t at = bucket_of(ix, &p->id);

            old[i] = p->next;
            p->next = grown[at];
            grown[at] = p;
        }
    }
    free(old);
}

static struct partition *need_partition(struct index *ix, const struct digest *id)
{
    struct partition *p = find_partition(ix, id);
    size_t at;

    if (p != NULL)
        return p;
    if (ix->partition_count >= ix->bucket_count)
        grow_buckets(ix);
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->id = *id;
    at = bucket_of(ix, id);
    p->next = ix->buckets[at];
    ix->buckets[at] = p;
    ix->partition_count++;
    return p;
}

static size_t item_bytes(const struct index *ix, const struct item *it)
{
    return ix->o.dimensions + sizeof(*it) + it->question_bytes + 2 * sizeof(float);
}

static void free_partition(struct index *ix, struct partition *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (!p->items[i].dead)
            free(p->items[i].question);
    }
    if (p->large != NULL) {
        index_large_close(p->large);
        ix->large_count--;
    }
    free(p->vectors);
    free(p->scales);
    free(p->sums);
    free(p->items);
    free(p);
}

static void drop_partition(struct index *ix, struct partition *p)
{
    struct partition **at = &ix->buckets[bucket_of(ix, &p->id)];

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    ix->partition_count--;
    free_partition(ix, p);
}

static bool grow_partition(struct index *ix, struct partition *p)
{
    size_t cap = p->cap == 0 ? 4 : p->cap * 2;
    int8_t *v;
    float *s;
    int32_t *m;
    struct item *items;

    if (p->count < p->cap)
        return true;
    /* Whatever succeeds is kept: a larger block under an old cap does no harm. */
    if ((v = realloc(p->vectors, cap * ix->o.dimensions)) == NULL)
        return false;
    p->vectors = v;
    if ((s = realloc(p->scales, cap * sizeof(*s))) == NULL)
        return false;
    p->scales = s;
    if ((m = realloc(p->sums, cap * sizeof(*m))) == NULL)
        return false;
    p->sums = m;
    if ((items = realloc(p->items, cap * sizeof(*items))) == NULL)
        return false;
    p->items = items;
    p->cap = cap;
    return true;
}

static void bury(struct index *ix, struct partition *p, size_t at)
{
    struct item *it = &p->items[at];

    ix->entries--;
    ix->bytes -= item_bytes(ix, it);
    free(it->question);
    it->question = NULL;
    it->dead = true;
    p->dead++;
    if (p->dead == p->count) {
        drop_partition(ix, p);
        return;
    }
    if (p->large != NULL || p->frozen)
        return; /* ids are positions */
    /* The last one takes the place. */
    p->count--;
    p->dead--;
    if (at != p->count) {
        memcpy(p->vectors + at * ix->o.dimensions, p->vectors + p->count * ix->o.dimensions,
               ix->o.dimensions);
        p->scales[at] = p->scales[p->count];
        p->sums[at] = p->sums[p->count];
        p->items[at] = p->items[p->count];
    }
}

static void remove_key(struct index *ix, const struct digest *partition,
                       const struct digest *key, uint64_t serial)
{
    struct partition *p = find_partition(ix, partition);

    for (size_t i = 0; p != NULL && i < p->count; i++) {
        struct item *it = &p->items[i];

        if (it->dead || !digest_eq(&it->key, key) || (serial != 0 && it->serial != serial))
            continue;
        bury(ix, p, i);
        return;
    }
}

/* --- changes (the writer, under the lock) ------------------------------------------------ */

static bool remember_arrival(struct index *ix, const struct change *c)
{
    if (ix->arrival_count == ix->arrival_cap) {
        size_t cap = ix->arrival_cap * 2 + 256;
        struct arrival *grown = malloc(cap * sizeof(*grown));

        if (grown == NULL)
            return false;
        for (size_t i = 0; i < ix->arrival_count; i++)
            grown[i] = ix->arrivals[(ix->arrival_first + i) % ix->arrival_cap];
        free(ix->arrivals);
        ix->arrivals = grown;
        ix->arrival_cap = cap;
        ix->arrival_first = 0;
    }
    ix->arrivals[(ix->arrival_first + ix->arrival_count++) % ix->arrival_cap] =
        (struct arrival){c->partition, c->key, ix->serial};
    return true;
}

static uint64_t make_room(struct index *ix)
{
    uint64_t evicted = 0;

    while (ix->arrival_count > 0 &&
           (ix->entries > ix->o.entries_max || ix->bytes > ix->o.bytes_max ||
            ix->arrival_count > 2 * (size_t)ix->o.entries_max + 1024)) {
        struct arrival *a = &ix->arrivals[ix->arrival_first];
        uint64_t before = ix->entries;

        ix->arrival_first = (ix->arrival_first + 1) % ix->arrival_cap;
        ix->arrival_count--;
        remove_key(ix, &a->partition, &a->key, a->serial);
        evicted += before - ix->entries;
    }
    return evicted;
}

static bool append(struct index *ix, struct partition *p, const struct change *c)
{
    struct item it = {.key = c->key,
                      .expires_ms = c->expires_ms,
                      .question_bytes = c->question_bytes,
                      .serial = ++ix->serial};
    const float *vector = (const float *)(const void *)c->data;

    it.question = malloc(c->question_bytes + 1);
    if (it.question == NULL || !grow_partition(ix, p)) {
        free(it.question);
        return false;
    }
    memcpy(it.question, c->data + ix->o.dimensions * sizeof(float), c->question_bytes);
    it.scale = vector_pack(vector, ix->o.dimensions, p->vectors + p->count * ix->o.dimensions,
                           &it.sum);
    p->scales[p->count] = it.scale;
    p->sums[p->count] = it.sum;
    p->items[p->count] = it;
    if (p->large != NULL && p->large_count == p->count &&
        index_large_add(p->large, vector) == ST_OK)
        p->large_count++;
    p->count++;
    ix->entries++;
    ix->bytes += item_bytes(ix, &it);
    return true;
}

static uint64_t apply_add(struct index *ix, const struct change *c)
{
    struct partition *p;

    remove_key(ix, &c->partition, &c->key, 0);
    p = need_partition(ix, &c->partition);
    if (p != NULL && append(ix, p, c))
        (void)remember_arrival(ix, c);
    else if (p != NULL && p->count == 0)
        drop_partition(ix, p);
    return make_room(ix);
}

/* --- large partitions -------------------------------------------------------------------- */

static bool wants_rebuild(const struct index *ix, const struct partition *p)
{
    size_t from = ix->o.large_from > 0 ? ix->o.large_from : LARGE_FROM;

    if (p->large == NULL)
        return p->count >= from;
    return p->count >= 2 * p->built_count || p->dead * 4 >= p->count ||
           p->large_count + from < p->count;
}

/* Without the dead, in order; positions change, so only while no structure names them. */
static void compact(struct index *ix, struct partition *p)
{
    size_t to = 0, dims = ix->o.dimensions;

    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].dead)
            continue;
        if (to != i) {
            memcpy(p->vectors + to * dims, p->vectors + i * dims, dims);
            p->scales[to] = p->scales[i];
            p->sums[to] = p->sums[i];
            p->items[to] = p->items[i];
        }
        to++;
    }
    p->count = to;
    p->dead = 0;
}

static float *unpacked(const struct index *ix, const struct partition *p)
{
    size_t dims = ix->o.dimensions;
    float *v = malloc(p->count * dims * sizeof(*v));

    for (size_t i = 0; v != NULL && i < p->count; i++)
        vector_unpack(p->vectors + i * dims, p->scales[i], dims, v + i * dims);
    return v;
}

/* Copies under the lock, builds without it (only this thread adds; removals in between
 * leave dead positions, which a search passes over), swaps under it. */
static void rebuild(struct index *ix, const struct digest *id)
{
    struct index_large *large = NULL, *old;
    struct partition *p;
    float *vectors;
    size_t n;

    pthread_rwlock_wrlock(&ix->lock);
    p = find_partition(ix, id);
    if (p == NULL || !wants_rebuild(ix, p)) {
        pthread_rwlock_unlock(&ix->lock);
        return;
    }
    if (p->large != NULL) {
        index_large_close(p->large);
        p->large = NULL;
        ix->large_count--;
    }
    compact(ix, p);
    n = p->count;
    vectors = unpacked(ix, p);
    p->frozen = true; /* positions must stay while the structure is built */
    pthread_rwlock_unlock(&ix->lock);
    if (vectors != NULL && index_large_build(vectors, n, ix->o.dimensions, &large) != ST_OK)
        large = NULL;
    free(vectors);
    pthread_rwlock_wrlock(&ix->lock);
    p = find_partition(ix, id);
    old = large;
    if (p != NULL && p->frozen && large != NULL) {
        p->large = large;
        p->large_count = p->built_count = n;
        ix->large_count++;
        old = NULL;
    }
    if (p != NULL)
        p->frozen = false;
    pthread_rwlock_unlock(&ix->lock);
    if (old != NULL)
        index_large_close(old);
    pthread_mutex_lock(&ix->mutex);
    ix->stats.rebuilds_total++;
    pthread_mutex_unlock(&ix->mutex);
}

/* --- the writer ----------------------------------------------------------------------------
 */

static struct change *take_changes(struct index *ix)
{
    struct change *list;

    pthread_mutex_lock(&ix->mutex);
    ix->busy = false;
    pthread_cond_broadcast(&ix->emptied);
    while (ix->head == NULL)
        pthread_cond_wait(&ix->filled, &ix->mutex);
    list = ix->head;
    ix->head = NULL;
    ix->tail = &ix->head;
    ix->queued = 0;
    ix->busy = true;
    pthread_mutex_unlock(&ix->mutex);
    return list;
}

#define BATCH 64 /* changes under one lock, so that searches wait for no more */

static void *writer_main(void *arg)
{
    struct index *ix = arg;

    for (;;) {
        struct change *c = take_changes(ix);

        while (c != NULL) {
            struct digest touched[BATCH];
            uint64_t evicted = 0;
            size_t n = 0;

            pthread_rwlock_wrlock(&ix->lock);
            while (c != NULL && n < BATCH) {
                struct change *next = c->next;

                if (c->kind == CHANGE_STOP) {
                    pthread_rwlock_unlock(&ix->lock);
                    free(c);
                    return NULL;
                }
                evicted += apply_add(ix, c);
                touched[n++] = c->partition;
                free(c);
                c = next;
            }
            pthread_rwlock_unlock(&ix->lock);
            pthread_mutex_lock(&ix->mutex);
            ix->stats.evictions_total += evicted;
            pthread_mutex_unlock(&ix->mutex);
            for (size_t i = 0; i < n; i++) {
                if (i == 0 || !digest_eq(&touched[i], &touched[i - 1]))
                    rebuild(ix, &touched[i]);
            }
        }
    }
}

static enum status enqueue(struct index *ix, struct change *c, bool always)
{
    enum status st = ST_OK;

    pthread_mutex_lock(&ix->mutex);
    if (!always && ix->queued >= ix->o.queue_max) {
        ix->stats.dropped_total++;
        st = ST_OVERLOAD;
    } else {
        *ix->tail = c;
        ix->tail = &c->next;
        ix->queued++;
        ix->stats.adds_total += c->kind == CHANGE_ADD;
        pthread_cond_signal(&ix->filled);
    }
    pthread_mutex_unlock(&ix->mutex);
    return st;
}

enum status index_open(const struct index_options *o, struct index **out)
{
    struct index *ix = calloc(1, sizeof(*ix));

    assert(o->dimensions > 0 && o->entries_max > 0 && o->queue_max > 0);
    if (ix == NULL)
        return ST_NOMEM;
    ix->o = *o;
    ix->tail = &ix->head;
    ix->bucket_count = BUCKETS_FIRST;
    ix->buckets = calloc(ix->bucket_count, sizeof(*ix->buckets));
    if (ix->buckets == NULL)
        goto fail_buckets;
    if (pthread_rwlock_init(&ix->lock, NULL) != 0)
        goto fail_lock;
    if (pthread_mutex_init(&ix->mutex, NULL) != 0)
        goto fail_mutex;
    pthread_cond_init(&ix->filled, NULL);
    pthread_cond_init(&ix->emptied, NULL);
    ix->busy = true; /* until the writer waits for the first time */
    if (pthread_create(&ix->writer, NULL, writer_main, ix) != 0)
        goto fail_writer;
    *out = ix;
    return ST_OK;

fail_writer:
    pthread_mutex_destroy(&ix->mutex);
fail_mutex:
    pthread_rwlock_destroy(&ix->lock);
fail_lock:
    free(ix->buckets);
fail_buckets:
    free(ix);
    return ST_NOMEM;
}

void index_close(struct index *ix)
{
    struct change *stop = calloc(1, sizeof(*stop));

    if (stop == NULL)
        abort(); /* at the very end, without a hundred bytes left */
    stop->kind = CHANGE_STOP;
    (void)!enqueue(ix, stop, true);
    pthread_join(ix->writer, NULL);
    while (ix->head != NULL) {
        struct change *c = ix->head;

        ix->head = c->next;
        free(c);
    }
    for (size_t i = 0; i < ix->bucket_count; i++) {
        while (ix->buckets[i] != NULL) {
            struct partition *p = ix->buckets[i];

            ix->buckets[i] = p->next;
            free_partition(ix, p);
        }
    }
    pthread_cond_destroy(&ix->filled);
    pthread_cond_destroy(&ix->emptied);
    pthread_mutex_destroy(&ix->mutex);
    pthread_rwlock_destroy(&ix->lock);
    free(ix->arrivals);
    free(ix->buckets);
    free(ix);
}

enum status index_add(struct index *ix, const struct digest *partition,
                      const struct digest *key, const float *vector, struct span question,
                      uint64_t expires_ms)
{
    size_t floats = ix->o.dimensions * sizeof(float);
    struct change *c;
    enum status st;

    if (question.len > QUESTION_MAX_BYTES)
        return ST_LIMIT;
    c = malloc(sizeof(*c) + floats + question.len);
    if (c == NULL)
        return ST_NOMEM;
    *c = (struct change){.kind = CHANGE_ADD,
                         .partition = *partition,
                         .key = *key,
                         .expires_ms = expires_ms,
                         .question_bytes = (uint32_t)question.len};
    memcpy(c->data, vector, floats);
    if (question.len > 0)
        memcpy(c->data + floats, question.ptr, question.len);
    st = enqueue(ix, c, false);
    if (st != ST_OK)
        free(c);
    return st;
}

/* An add of the same key that still waits would bring it back. */
static void forget_queued(struct index *ix, const struct digest *key)
{
    pthread_mutex_lock(&ix->mutex);
    for (struct change **p = &ix->head; *p != NULL;) {
        struct change *c = *p;

        if (c->kind != CHANGE_ADD || !digest_eq(&c->key, key)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        if (c->next == NULL)
            ix->tail = p;
        ix->queued--;
        free(c);
    }
    ix->stats.removes_total++;
    pthread_mutex_unlock(&ix->mutex);
}

void index_remove(struct index *ix, const struct digest *partition, const struct digest *key)
{
    forget_queued(ix, key);
    pthread_rwlock_wrlock(&ix->lock);
    remove_key(ix, partition, key, 0);
    pthread_rwlock_unlock(&ix->lock);
}

/* --- searching ------------------------------------------------------------------------------
 */

struct best {
    float similarity[DECISION_CANDIDATES_MAX];
    size_t at[DECISION_CANDIDATES_MAX];
    size_t have, k;
};

static void offer(struct best *b, size_t at, float similarity)
{
    size_t i;

    if (b->have == b->k && similarity <= b->similarity[b->k - 1])
        return;
    i = b->have < b->k ? b->have++ : b->k - 1;
    for (; i > 0 && b->similarity[i - 1] < similarity; i--) {
        b->similarity[i] = b->similarity[i - 1];
        b->at[i] = b->at[i - 1];
    }
    b->similarity[i] = similarity;
    b->at[i] = at;
}

static bool alive(const struct item *it, uint64_t now_ms)
{
    return !it->dead && it->expires_ms > now_ms;
}

#define SCAN 512

/* Positions from..count, one after the other. */
static void scan(const struct index *ix, const struct partition *p,
                 const struct vector_query *q, size_t from, float floor, uint64_t now_ms,
                 struct best *b)
{
    size_t dims = ix->o.dimensions;
    float similarity[SCAN];

    for (size_t i = from; i < p->count; i += SCAN) {
        size_t n = p->count - i < SCAN ? p->count - i : SCAN;

        vector_scan(q, p->vectors + i * dims, p->scales + i, p->sums + i, n, dims, similarity);
        for (size_t k = 0; k < n; k++) {
            if (similarity[k] >= floor && alive(&p->items[i + k], now_ms))
                offer(b, i + k, similarity[k]);
        }
    }
}

/* What the large structure names is measured again with our own vectors; what came after
 * it was built is scanned. */
static void search_large(const struct index *ix, const struct partition *p, const float *vector,
                         const struct vector_query *q, float floor, uint64_t now_ms,
                         struct best *b)
{
    int64_t ids[DECISION_CANDIDATES_MAX + EXTRA];
    size_t dims = ix->o.dimensions, n = b->k + EXTRA;

    if (index_large_search(p->large, vector, n, ids) != ST_OK) {
        scan(ix, p, q, 0, floor, now_ms, b);
        return;
    }
    for (size_t i = 0; i < n && ids[i] >= 0; i++) {
        size_t at = (size_t)ids[i];
        float similarity;

        if (at >= p->large_count || !alive(&p->items[at], now_ms))
            continue;
        vector_scan(q, p->vectors + at * dims, p->scales + at, p->sums + at, 1, dims,
                    &similarity);
        if (similarity >= floor)
            offer(b, at, similarity);
    }
    scan(ix, p, q, p->large_count, floor, now_ms, b);
}

size_t index_search(struct index *ix, const struct digest *partition, const float *vector,
                    size_t k, float floor, uint64_t now_ms, struct arena *arena,
                    struct decision_candidate *out)
{
    size_t dims = ix->o.dimensions, n = 0;
    struct best b = {.k = k < DECISION_CANDIDATES_MAX ? k : DECISION_CANDIDATES_MAX};
    struct vector_query q = {arena_alloc(arena, 2 * dims, 64), 0};
    struct partition *p;
    int32_t sum;

    if (q.bytes == NULL || b.k == 0)
        return 0;
    {
        int8_t *packed = (int8_t *)(q.bytes + dims);

        q.scale = vector_pack(vector, dims, packed, &sum);
        for (size_t i = 0; i < dims; i++)
            q.bytes[i] = (uint8_t)(packed[i] + 128);
    }
    pthread_rwlock_rdlock(&ix->lock);
    p = find_partition(ix, partition);
    if (p != NULL && p->large != NULL)
        search_large(ix, p, vector, &q, floor, now_ms, &b);
    else if (p != NULL)
        scan(ix, p, &q, 0, floor, now_ms, &b);
    for (size_t i = 0; i < b.have; i++) {
        const struct item *it = &p->items[b.at[i]];
        struct span question = {it->question, it->question_bytes};

        out[n] = (struct decision_candidate){it->key, b.similarity[i], {NULL, 0}};
        if (arena_copy(arena, question, &out[n].question) == ST_OK)
            n++;
    }
    pthread_rwlock_unlock(&ix->lock);
    return n;
}

void index_flush(struct index *ix)
{
    pthread_mutex_lock(&ix->mutex);
    while (ix->head != NULL || ix->busy)
        pthread_cond_wait(&ix->emptied, &ix->mutex);
    pthread_mutex_unlock(&ix->mutex);
}

void index_stats(struct index *ix, struct index_stats *out)
{
    pthread_mutex_lock(&ix->mutex);
    *out = ix->stats;
    pthread_mutex_unlock(&ix->mutex);
    pthread_rwlock_rdlock(&ix->lock);
    out->entries = ix->entries;
    out->partitions = ix->partition_count;
    out->large_partitions = ix->large_count;
    out->bytes = ix->bytes;
    pthread_rwlock_unlock(&ix->lock);
}

const char *index_backend(void)
{
    return index_large_name();
}
