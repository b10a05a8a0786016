/* Where entries live beyond the memory of this process. One interface, real
 * kinds: LMDB (embedded) and Redis (shared); memory only for tests and `store.url:
 * memory:`. A store is a cache of frames (entry.h) by key: losing one is a miss.
 *
 * Loop thread only, unless said otherwise. Every get ends within the deadline. */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct entry;
struct loop;
struct connector;
struct seal_ring;
struct store;
struct store_get;

/* ST_OK with a reference to an entry (the callee's to release); ST_NOTFOUND;
 * anything else: the store could not say, in time or at all. */
typedef void store_done_fn(struct store_get *op, enum status st, struct entry *e);

/* Embed in the owner of the operation. */
struct store_get {
    store_done_fn *done;
    struct digest key;
    struct store *store;
    void *state; /* the store's */
};

struct store_lease;
typedef void store_lease_fn(struct store_lease *l, enum status st);

/* By a lease on a key one of those who share a store does what the others wait for. It saves
 * work and proves nothing: it may run out, or be lost, at any time. Embed in its holder. */
struct store_lease {
    store_lease_fn *done; /* of taking it: ST_OK it is ours, ST_OVERLOAD it is somebody else's,
                             anything else: the store could not say, in time or at all */
    struct digest key;
    uint32_t ms; /* it ends by itself */
    struct store *store;
};

enum store_lease_act {
    STORE_LEASE_TAKE, /* if nobody has it; `done` comes once, later, unless this fails */
    STORE_LEASE_KEEP, /* begin its time anew */
    STORE_LEASE_GIVE, /* back */
};

/* Whether a store keeps the vectors of its entries too, so that no replica holds them all. */
enum store_vectors {
    STORE_VECTORS_NONE,
    STORE_VECTORS_INT8,
    STORE_VECTORS_FLOAT32,
};

#define STORE_NEAR_MAX 16

struct store_near;
/* ST_OK: what was found is in *op. Anything else: the store could not say, in time or at all.
 */
typedef void store_near_fn(struct store_near *op, enum status st);

/* The vectors of a partition that are nearest to one. Embed in the owner of the operation. */
struct store_near {
    store_near_fn *done;
    struct digest partition;
    const float *vector; /* unit; borrowed until this is sent */
    uint32_t dimensions;
    uint32_t wanted; /* 1..STORE_NEAR_MAX */

    size_t count; /* nearest first; their entries may be gone */
    struct digest keys[STORE_NEAR_MAX];
    float similarity[STORE_NEAR_MAX]; /* cosine, as exact as the vectors are kept */
    struct store *store;
    void *state; /* the store's */
};

struct store_options {
    const char *url; /* "lmdb:", "lmdb:/path", "redis://[user[:pw]@]host[:port][,host…][/db]",
                        "rediss://…", "redis+unix:///path", "memory:" */
    const char *data_dir;             /* LMDB's folder when the URL names none */
    const char *ca_file;              /* rediss; NULL: system */
    const char *cert_file, *key_file; /* rediss; ours, for a server that asks. NULL: none */
    const char *user;                 /* of Redis, beside a URL without one; NULL: "default" */
    const char *password_file;        /* read for each connection; NULL: none */
    const char *sentinel;             /* the URL's are Sentinels that know this master; NULL */
    /* What is kept is sealed with these; NULL: it is not. Borrowed, outlives the store. */
    const struct seal_ring *seal;
    uint64_t entries_max, bytes_max;
    uint32_t deadline_ms;       /* of one command */
    uint32_t queue_max;         /* writes that wait */
    const char *prefix;         /* of Redis keys: "ibid:" */
    enum store_vectors vectors; /* of Redis alone, and one of version 8.0 or later */
};

struct store_vectors_stats {
    bool up;                                 /* they can be searched, as far as is known */
    uint64_t searches_total, failures_total; /* failures: refused, or no answer in time */
    uint64_t adds_total, dropped_total;      /* dropped: refused, or no room to send it */
    uint64_t removes_total;
    char trouble[256]; /* why it is not up; empty when it is */
};

struct store_stats {
    bool up;                 /* answers now */
    const char *kind;        /* "lmdb", "redis", "memory" */
    uint64_t entries, bytes; /* 0 when unknown (Redis) */
    uint64_t gets_total, hits_total, errors_total, timeouts_total, corrupt_total;
    uint64_t unreadable_total; /* sealed by a key that is not there, or not sealed at all */
    uint64_t puts_total, dropped_total, evictions_total;
    uint64_t moved_total; /* commands followed to where a Cluster had moved their key */
    uint64_t news_sent_total, news_heard_total, news_waiting;
    uint64_t stored_sent_total, stored_heard_total; /* entries told of, and heard of */
    uint64_t untold_total; /* entries that too many waited before to be told of */
    bool breaker_open;
    char trouble[160];                  /* why it is not up; empty when it is */
    struct store_vectors_stats vectors; /* of a store that keeps them */
};

/* Called for every entry at start (index rebuild): any thread of the store's
 * choosing, one at a time; the callee does not keep `e` without a reference. false
 * stops. */
typedef bool store_visit_fn(void *owner, struct entry *e);
typedef void store_scanned_fn(void *owner, enum status st, uint64_t entries);
/* The store is there and can not keep vectors, which was found out before it ever could. `why`
 * says what it is and what to do. On the loop thread. */
typedef void store_unfit_fn(void *owner, const char *why);
/* The store dropped this entry (evicted, expired, corrupt, never written): the index
 * must forget it, unless the entry lives elsewhere. On the loop thread. */
typedef void store_lost_fn(void *owner, const struct digest *key,
                           const struct digest *partition);

/* What those who share a store tell each other. */
enum store_news_kind {
    STORE_NEWS_GONE,   /* the entry `key` of `partition` was removed */
    STORE_NEWS_PURGED, /* all of `partition`, `tenant` (zero: any) created before `before_ms` */
    STORE_NEWS_REFUSED, /* `key` is a pair of questions that is no hit (refusals.h) */
    STORE_NEWS_ALLOWED, /* … that may be one again */
    STORE_NEWS_STORED,  /* the entry `key` of `partition`, with a vector, is there */
};

struct store_news {
    enum store_news_kind kind;
    struct digest key, partition, tenant;
    uint64_t before_ms; /* wall clock; 0: whenever */
};

/* Somebody else's. `old`: from before this process began to listen. On the loop thread. */
typedef void store_news_fn(void *owner, const struct store_news *news, bool old);

struct store_ops {
    /* That key will soon be asked for or put. NULL: the store does nothing then. */
    void (*expect)(struct store *s, const struct digest *key);
    /* Is it worth asking? false: surely absent (LMDB knows its keys in memory). */
    bool (*may_have)(struct store *s, const struct digest *key);
    enum status (*get)(struct store *s, struct store_get *op);
    /* done comes later with ST_CANCELED. */
    void (*cancel)(struct store_get *op);
    /* Takes a reference of its own. Never waits; a full queue drops (counted). */
    void (*put)(struct store *s, struct entry *e);
    /* ST_OK when it is absent too. ST_OVERLOAD: too much waits, nothing was done. */
    enum status (*remove)(struct store *s, const struct digest *key);
    /* To the others; NULL when there are none. ST_OVERLOAD: too much waits. */
    enum status (*tell)(struct store *s, const struct store_news *news);
    /* NULL when there are no others. KEEP and GIVE are the holder's to ask for. */
    enum status (*lease)(struct store *s, struct store_lease *l, enum store_lease_act act);
    /* Visits all entries in the background, then `scanned` on the loop, once. */
    enum status (*scan)(struct store *s, store_visit_fn *visit, store_scanned_fn *scanned,
                        void *owner);
    void (*stats)(struct store *s, struct store_stats *out);

    /* The following only of a store whose `vectors` is set. */

    /* ST_OK: done comes once, later, within the deadline. */
    enum status (*near)(struct store *s, struct store_near *op);
    /* done comes later with ST_CANCELED. */
    void (*near_cancel)(struct store_near *op);
    /* `put` adds it, once the entry is there; entries that end by themselves leave it behind.
     */
    void (*vector_remove)(struct store *s, const struct digest *partition,
                          const struct digest *key);

    /* Writes what is queued (bounded by a deadline), then `closed` on the loop. */
    void (*close)(struct store *s, void (*closed)(void *owner), void *owner);
};

struct store {
    const struct store_ops *ops;
    bool shared;         /* others write to it too */
    bool vectors;        /* keeps those of its entries */
    store_lost_fn *lost; /* set by the owner after open */
    void *lost_owner;
    store_news_fn *news; /* likewise */
    void *news_owner;
    store_unfit_fn *unfit; /* likewise */
    void *unfit_owner;
};

/* By the URL's scheme. Redis that is down is ST_OK: it reconnects. LMDB that can
 * not be opened is an error with `why`; the caller goes on without (fail open). */
enum status store_open(struct loop *loop, struct connector *connector,
                       const struct store_options *o, struct store **out, char *why,
                       size_t why_cap) MUST_CHECK;

#endif
