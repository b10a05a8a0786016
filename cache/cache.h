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
#include "cache/bounded.h"
#include "cache/browse.h"
#include "cache/decision.h"
#include "cache/decision_record.h"
#include "cache/entry.h"
#include "cache/index.h"
#include "cache/neighbours.h"
#include "cache/newcomers.h"
#include "cache/purge.h"
#include "cache/store.h"
#include "cache/traffic.h"

struct cache;
struct cache_get;
struct connector;
struct loop;

struct cache_options {
    struct store_options store;
    uint64_t memory_max_bytes; /* of the LRU */
    uint32_t memory_entries_max;
    struct index_options index; /* dimensions 0: no semantic index */
    uint32_t refusals_max;      /* pairs reported as wrong; the oldest go */
    bool strangers;             /* of struct decision_policy */
    /* The store's Redis was asked to keep vectors (store.vectors) and never could. NULL: nobody
     * wants to know. */
    void (*unfit)(void *owner, const char *why);
    void *unfit_owner;
    /* error_max 0: the policy is `threshold`. Its data_dir is the store's. */
    struct bounded_options bounded;
    /* For the policy `threshold`: partitions whose traffic moves P(same); 0: none. */
    uint32_t traffic_partitions_max;
};

/* Fails only for a bug in the options: a store that can not be opened leaves a
 * cache that works from memory, says so in cache_stats() and tries again. The texts of `o`
 * and `connector` outlive it. Rebuilds the index
 * from the store in the background. */
enum status cache_open(struct loop *loop, struct connector *connector,
                       const struct cache_options *o, struct cache **out) MUST_CHECK;
void cache_close(struct cache *c, void (*closed)(void *owner), void *owner);

/* Loop thread. Another process is to have the files: what is to be written is, the embedded
 * store is closed, and the cache goes on in memory. `done` comes once, later. A Redis is shared
 * as it is. */
void cache_lend_files(struct cache *c, void (*done)(void *owner), void *owner);
/* It did not want them: they are opened again, as soon as they can be. After `done`. */
void cache_take_files_back(struct cache *c);

/* --- loop thread --------------------------------------------------------------- */

enum cache_found {
    CACHE_ABSENT, /* nowhere */
    CACHE_HIT,    /* *e is a reference, the caller's to release */
    CACHE_ASK,    /* perhaps in the store: cache_fetch() */
};

/* The key will soon be looked for, or an entry of it put: its places in tables too large for
 * the processor's caches begin to come. */
void cache_expect(struct cache *c, const struct digest *key);
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

/* Do others write to the store, and can it say who does what (store.h)? Then by a lease on a
 * key one of them does it. Taken: `l->done` comes once, later, ST_UNAVAILABLE: it will not.
 * For keeping and giving back there is nothing to wait for. */
bool cache_can_lease(const struct cache *c);
enum status cache_lease(struct cache *c, struct store_lease *l,
                        enum store_lease_act act) MUST_CHECK;

struct cache_purge;
typedef void cache_purge_fn(struct cache_purge *op, enum status st);

/* Embed in the owner. */
struct cache_purge {
    struct purge purge;
    struct cache *cache;
    cache_purge_fn *done;
};

/* Found exactly from now on; stored and indexed soon (partition not zero and a
 * vector present). Takes a reference of its own. */
void cache_put(struct cache *c, struct entry *e);
/* Gone from memory, store and index when this returns. */
void cache_remove(struct cache *c, const struct digest *key, const struct digest *partition);

/* … and the replicas that share the store hear of it. Anything but ST_OK: not from the store.
 */
enum status cache_remove_everywhere(struct cache *c, const struct digest *key,
                                    const struct digest *partition) MUST_CHECK;
/* All that the filter of `p` matches, everywhere; of `p` the filter, `preview` and `done` are
 * the caller's to set. As purge_start(). */
enum status cache_purge(struct cache *c, struct cache_purge *p) MUST_CHECK;

/* What is stored; of `b` the filter, `page` and `done` are the caller's to set. As
 * browse_start(). */
enum status cache_browse(struct cache *c, struct browse *b) MUST_CHECK;

/* The pair of questions of a decision's hit is never one again, whoever of them is stored.
 * ST_OK: nor after a restart; anything else: only as long as this process lives. */
enum status cache_refuse(struct cache *c, const struct digest *partition, struct span a,
                         struct span b) MUST_CHECK;
/* … may be one again. Status as above, ST_NOTFOUND when it was not refused. */
enum status cache_allow(struct cache *c, const struct digest *partition, struct span a,
                        struct span b) MUST_CHECK;

/* Are the vectors kept by the store? Then the neighbours of a question are found first, by
 * cache_find_neighbours(), and looked at by cache_decide() after that. */
bool cache_has_index_apart(const struct cache *c);
/* Of `n` the query, `done` and `owner` are the caller's to set. As neighbours_find(). */
enum status cache_find_neighbours(struct cache *c, struct neighbours *n) MUST_CHECK;

/* What follows does nothing when the policy is `threshold`. */

/* An exact entry of this partition answered. */
void cache_count_exact(struct cache *c, const struct digest *partition);
/* What came of a decision: was the candidate that it chose, or would have, the same? */
void cache_learn(struct cache *c, const struct digest *partition,
                 const struct decision_lesson *lesson, bool same);
/* The answer of `key` was stored; `with`: NULL, or another that says the same. */
void cache_note_stored(struct cache *c, const struct digest *partition,
                       const struct digest *key, const struct digest *with);
/* NULL: the policy is `threshold`. Borrowed. */
struct bounded *cache_bounded(struct cache *c);

/* --- any thread ---------------------------------------------------------------- */

/* What is looked for; all of it borrowed. */
struct cache_query {
    const struct digest *partition;
    const float *vector;
    struct span question;
    struct span asked; /* as it was said, where `question` was made of it; else empty */
    double threshold;  /* of struct decision_policy, as is */
    double least;      /* a threshold that the caller asks for, 0: none. For `bounded` */
    float floor;
    size_t top_k;
    uint64_t now_ms;                     /* wall clock */
    const struct neighbours *neighbours; /* found before; NULL: the index is here */
};

/* Nearest entries of the partition and the decision about them; pairs that were reported
 * as wrong are none of its hits. `record`: NULL, or what was looked at, the caller's to
 * free(); NULL in it when nothing was near or memory is out. */
void cache_decide(struct cache *c, const struct cache_query *q, struct arena *arena,
                  struct decision *out, struct decision_record **record);

/* --- loop thread --------------------------------------------------------------- */

struct cache_stats {
    uint64_t memory_entries, memory_bytes, memory_evictions_total;
    struct store_stats store;
    bool store_present; /* false: could not be opened; store.trouble says why */
    struct index_stats index;
    bool index_present;
    bool index_apart; /* in the store: its entries are not counted here */
    bool index_ready; /* the rebuild at start has ended */
    uint64_t refusals;
    struct newcomers_stats newcomers;
    struct traffic_stats traffic;
};

void cache_stats(struct cache *c, struct cache_stats *out);

#endif
