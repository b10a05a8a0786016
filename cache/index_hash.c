#include "cache/index_hash.h"

#include <stdlib.h>

#define BLOCK 1024u /* buckets; a power of two */

static enum status add_block(struct index_hash *h)
{
    struct index_hash_node **block;

    if (h->block_count == h->block_cap) {
        size_t cap = h->block_cap * 2 + 4;
        struct index_hash_node ***grown =
            realloc(h->blocks, cap * sizeof(struct index_hash_node **));

        if (grown == NULL)
            return ST_NOMEM;
        h->blocks = grown;
        h->block_cap = cap;
    }
    block = calloc(BLOCK, sizeof(struct index_hash_node *));
    if (block == NULL)
        return ST_NOMEM;
    h->blocks[h->block_count++] = block;
    return ST_OK;
}

enum status index_hash_init(struct index_hash *h)
{
    enum status st;

    *h = (struct index_hash){.buckets = BLOCK};
    st = add_block(h);
    if (st != ST_OK)
        free(h->blocks);
    return st;
}

void index_hash_release(struct index_hash *h)
{
    for (size_t i = 0; i < h->block_count; i++)
        free(h->blocks[i]);
    free(h->blocks);
}

/* With 2^k <= buckets < 2^(k+1), those below buckets - 2^k are split already: they and
 * their other halves go by one bit more. */
static struct index_hash_node **bucket_of(const struct index_hash *h, uint64_t hash)
{
    size_t low = BLOCK, at;

    while (low * 2 <= h->buckets)
        low *= 2;
    at = (size_t)hash & (low * 2 - 1);
    if (at >= h->buckets)
        at -= low;
    return &h->blocks[at / BLOCK][at % BLOCK];
}

static void split_one(struct index_hash *h)
{
    size_t low = BLOCK, from;
    struct index_hash_node *n, **bucket;

    if (h->buckets == h->block_count * BLOCK && add_block(h) != ST_OK)
        return;
    while (low * 2 <= h->buckets)
        low *= 2;
    from = h->buckets - low;
    h->buckets++;
    bucket = &h->blocks[from / BLOCK][from % BLOCK];
    n = *bucket;
    *bucket = NULL;
    while (n != NULL) {
        struct index_hash_node *next = n->next;

        bucket = bucket_of(h, n->hash);
        n->next = *bucket;
        *bucket = n;
        n = next;
    }
}

void index_hash_add(struct index_hash *h, struct index_hash_node *n, uint64_t hash)
{
    struct index_hash_node **bucket;

    if (++h->used > h->buckets)
        split_one(h);
    bucket = bucket_of(h, hash);
    *n = (struct index_hash_node){*bucket, hash};
    *bucket = n;
}

void index_hash_remove(struct index_hash *h, struct index_hash_node *n)
{
    struct index_hash_node **at = bucket_of(h, n->hash);

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    h->used--;
}

static struct index_hash_node *of_hash(struct index_hash_node *n, uint64_t hash)
{
    while (n != NULL && n->hash != hash)
        n = n->next;
    return n;
}

struct index_hash_node *index_hash_find(const struct index_hash *h, uint64_t hash)
{
    return of_hash(*bucket_of(h, hash), hash);
}

struct index_hash_node *index_hash_next(const struct index_hash_node *n)
{
    return of_hash(n->next, n->hash);
}
