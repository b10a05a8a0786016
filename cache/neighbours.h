/* The nearest entries of a partition whose vectors the store keeps (store.h): their keys from
 * there, the entries from memory or the store, for it is their questions that decide. Loop
 * thread only, but for what is found, which is anybody's who has it after `done`. */
#ifndef CACHE_NEIGHBOURS_H
#define CACHE_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"
#include "cache/decision.h"
#include "cache/store.h"

struct memory;
struct neighbours;

/* ST_OK: what was found is there. Anything else: the store could not say, in time or at all. */
typedef void neighbours_done_fn(struct neighbours *n, enum status st);

struct neighbours_query {
    struct digest partition;
    const float *vector; /* unit; borrowed until `done` */
    uint32_t dimensions;
    size_t top_k; /* up to DECISION_CANDIDATES_MAX */
    float floor;
};

/* Embed in the owner. */
struct neighbours {
    struct memory *memory; /* borrowed, as is `store` */
    struct store *store;
    struct neighbours_query query;
    neighbours_done_fn *done;
    void *owner; /* the caller's */

    struct store_near near;
    size_t next; /* of near's, not yet asked for */
    unsigned rounds;
    struct neighbours_fetch {
        struct neighbours *of;
        struct store_get get;
        bool busy; /* its end is due */
    } fetch[DECISION_CANDIDATES_MAX];
    unsigned waiting;
    bool looking; /* near's end is due */
    bool canceled;

    struct entry *found[DECISION_CANDIDATES_MAX]; /* references, the nearest first */
    float similarity[DECISION_CANDIDATES_MAX];    /* exact */
    size_t count;
};

/* The caller has set memory, store, query, done and owner; the rest is zero. ST_OK: `done`
 * comes once, later. */
enum status neighbours_find(struct neighbours *n) MUST_CHECK;
/* `done` comes later, with ST_CANCELED. */
void neighbours_cancel(struct neighbours *n);
/* After `done`. Any thread. */
void neighbours_release(struct neighbours *n);

/* As index_search(); their questions are borrowed of *n. */
size_t neighbours_candidates(const struct neighbours *n, struct decision_candidate *out);

#endif
