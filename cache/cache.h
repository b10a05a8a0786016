/* The cache as the proxy sees it: exact look-up, nearest neighbours with a
 * decision, put, remove. Behind it: a bounded LRU of entries in memory, a store
 * that outlives the process, and the vector index.
 *
 * It knows no protocol, no model and no HTTP: it takes digests, a vector and
 * opaque answers. Any part may be missing or broken; then look-ups miss. */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/decision.h"
#include "cache/entry.h"
#include "cache/index.h"
#include "cache/store.h"

struct cache;
struct cache_get;
struct connector;
struct loop;

struct cache_options {
    struct store_options store;
    uint64_t memory_max_bytes; /* of the LRU */
    uint32_t memory_entries_max;
    struct index_options index; /* dimensions 0: no semantic index */
};

/* Fails only for a bug in the options: a store that can not be opened leaves a
 * cache that works from memory, and says so in cache_stats(). Rebuilds the index
 * from the store in the background. */
enum status cache_open(struct loop *loop, struct connector *connector,
                       const struct cache_options *o, struct cache **out) MUST_CHECK;
void cache_close(struct cache *c, void (*closed)(void *owner), void *owner);

/* --- loop thread --------------------------------------------------------------- */

enum cache_found {
    CACHE_ABSENT, /* nowhere */
    CACHE_HIT,    /* *e is a reference, the caller's to release */
    CACHE_ASK,    /* perhaps in the store: cache_fetch() */
};

/* Memory only; never waits. An expired entry is absent. */
enum cache_found cache_find(struct cache *c, const struct digest *key, struct entry **e);

typedef void cache_get_fn(struct cache_get *op, enum status st, struct entry *e);

/* Embed in the owner. */
struct cache_get {
    struct store_get get;
    struct cache *cache;
    cache_get_fn *done;
};

/* From the store, within its deadline. ST_OK: done comes once, later, with ST_OK
 * and a reference, ST_NOTFOUND, or a failure (to be taken as a miss). */
enum status cache_fetch(struct cache *c, struct cache_get *op, const struct digest *key,
                        cache_get_fn *done) MUST_CHECK;
void cache_cancel(struct cache_get *op);

/* Found exactly from now on; stored and indexed soon (partition not zero and a
 * vector present). Takes a reference of its own. */
void cache_put(struct cache *c, struct entry *e);
void cache_remove(struct cache *c, const struct digest *key, const struct digest *partition);

/* --- any thread ---------------------------------------------------------------- */

/* Nearest entries of the partition and the decision about them. */
void cache_decide(struct cache *c, const struct digest *partition, const float *vector,
                  struct span question, const struct decision_policy *policy, size_t top_k,
                  uint64_t now_ms, struct arena *arena, struct decision *out);

/* --- loop thread --------------------------------------------------------------- */

struct cache_stats {
    uint64_t memory_entries, memory_bytes, memory_evictions_total;
    struct store_stats store;
    bool store_present; /* false: could not be opened; store.trouble says why */
    struct index_stats index;
    bool index_present;
    bool index_ready; /* the rebuild at start has ended */
};

void cache_stats(struct cache *c, struct cache_stats *out);

#endif
