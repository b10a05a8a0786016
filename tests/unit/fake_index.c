#include "fake_index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cache/decision.h"
#include "cache/index.h"

#define ITEMS_MAX 100000

struct item {
    struct digest key, partition;
    uint64_t expires_ms;
    float first;
};

struct index {
    pthread_mutex_t mutex; /* guards all below */
    struct item *item;     /* owned */
    size_t count;
    unsigned overload;
    uint64_t flushes, adds, removes;
};

struct index *fake_index_open_one;

enum status index_open(const struct index_options *o, struct index **out)
{
    struct index *ix = calloc(1, sizeof(*ix));

    (void)o;
    if (ix == NULL)
        return ST_NOMEM;
    pthread_mutex_init(&ix->mutex, NULL);
    ix->item = calloc(ITEMS_MAX, sizeof(struct item));
    *out = fake_index_open_one = ix;
    return ST_OK;
}

void index_close(struct index *ix)
{
    fake_index_open_one = NULL;
    pthread_mutex_destroy(&ix->mutex);
    free(ix->item);
    free(ix);
}

static size_t find(const struct index *ix, const struct digest *key)
{
    size_t i = 0;

    while (i < ix->count && !digest_eq(&ix->item[i].key, key))
        i++;
    return i;
}

enum status index_add(struct index *ix, const struct digest *partition,
                      const struct digest *key, const float *vector, struct span question,
                      uint64_t expires_ms)
{
    enum status st = ST_OK;
    size_t i;

    (void)question;
    pthread_mutex_lock(&ix->mutex);
    i = find(ix, key);
    if (ix->overload > 0) {
        ix->overload--;
        st = ST_OVERLOAD;
    } else if (i < ITEMS_MAX) {
        ix->count += i == ix->count;
        ix->adds++;
        ix->item[i] = (struct item){
            .key = *key, .partition = *partition, .expires_ms = expires_ms, .first = vector[0]};
    }
    pthread_mutex_unlock(&ix->mutex);
    return st;
}

void index_remove(struct index *ix, const struct digest *partition, const struct digest *key)
{
    size_t i;

    pthread_mutex_lock(&ix->mutex);
    i = find(ix, key);
    if (i < ix->count && digest_eq(&ix->item[i].partition, partition)) {
        ix->item[i] = ix->item[--ix->count];
        ix->removes++;
    }
    pthread_mutex_unlock(&ix->mutex);
}

size_t index_search(struct index *ix, const struct digest *partition, const float *vector,
                    size_t k, float floor, uint64_t now_ms, struct arena *arena,
                    struct decision_candidate *out)
{
    size_t n = 0;

    (void)arena;
    (void)floor;
    pthread_mutex_lock(&ix->mutex);
    for (size_t i = 0; i < ix->count && n < k; i++)
        if (digest_eq(&ix->item[i].partition, partition) && ix->item[i].expires_ms > now_ms &&
            ix->item[i].first == vector[0])
            out[n++] = (struct decision_candidate){.key = ix->item[i].key, .similarity = 1};
    pthread_mutex_unlock(&ix->mutex);
    return n;
}

void index_fill_begin(struct index *ix)
{
    (void)ix;
}

void index_fill_end(struct index *ix)
{
    (void)ix;
}

void index_flush(struct index *ix)
{
    pthread_mutex_lock(&ix->mutex);
    ix->flushes++;
    pthread_mutex_unlock(&ix->mutex);
}

void index_stats(struct index *ix, struct index_stats *out)
{
    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&ix->mutex);
    out->entries = ix->count;
    out->adds_total = ix->adds;
    out->removes_total = ix->removes;
    pthread_mutex_unlock(&ix->mutex);
}

uint64_t fake_index_count(void)
{
    struct index_stats s;

    index_stats(fake_index_open_one, &s);
    return s.entries;
}

bool fake_index_has(const struct digest *key)
{
    struct index *ix = fake_index_open_one;
    bool has;

    pthread_mutex_lock(&ix->mutex);
    has = find(ix, key) < ix->count;
    pthread_mutex_unlock(&ix->mutex);
    return has;
}

void fake_index_overload(unsigned n)
{
    pthread_mutex_lock(&fake_index_open_one->mutex);
    fake_index_open_one->overload = n;
    pthread_mutex_unlock(&fake_index_open_one->mutex);
}

uint64_t fake_index_flushes(void)
{
    uint64_t n;

    pthread_mutex_lock(&fake_index_open_one->mutex);
    n = fake_index_open_one->flushes;
    pthread_mutex_unlock(&fake_index_open_one->mutex);
    return n;
}

void decision_judge(struct span question, struct decision_candidate *c, size_t n,
                    const struct decision_policy *policy)
{
    (void)question;
    (void)policy;
    for (size_t i = 0; i < n; i++) {
        c[i].probability = (double)c[i].similarity;
        c[i].reason = "hit";
    }
}

void decision_make(struct span question, struct decision_candidate *c, size_t n,
                   const struct decision_policy *policy, struct decision *out)
{
    (void)question;
    for (size_t i = 0; i < n; i++)
        c[i].refused = false;
    *out = (struct decision){.hit = n > 0, .has_candidate = n > 0, .reason = "no_candidate"};
    out->threshold = policy->threshold;
    if (n > 0) {
        out->key = c[0].key;
        out->similarity = c[0].similarity;
        out->reason = "hit";
    }
}
