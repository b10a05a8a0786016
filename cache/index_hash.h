/* Linear hashing (Litwin 1980) of nodes that live in their owners: it grows by one bucket
 * at a time, so that no add ever waits for a table to be filled anew. It does not shrink.
 * Not synchronized. */
#ifndef CACHE_INDEX_HASH_H
#define CACHE_INDEX_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct index_hash_node {
    struct index_hash_node *next;
    uint64_t hash;
};

struct index_hash {
    struct index_hash_node ***blocks; /* owned: blocks of buckets */
    size_t block_count, block_cap;
    size_t buckets, used;
};

enum status index_hash_init(struct index_hash *h) MUST_CHECK;
/* Nodes are their owners' to free. */
void index_hash_release(struct index_hash *h);

/* Cannot fail: without memory to grow, chains become longer. */
void index_hash_add(struct index_hash *h, struct index_hash_node *n, uint64_t hash);
void index_hash_remove(struct index_hash *h, struct index_hash_node *n);

/* The first node of this hash, and the one after it; NULL: no more. */
struct index_hash_node *index_hash_find(const struct index_hash *h, uint64_t hash);
struct index_hash_node *index_hash_next(const struct index_hash_node *n);

#endif
