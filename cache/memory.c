/* A hash table with chains, and a list in order of use. The table doubles as it
 * fills: a stall of some milliseconds per million entries, when it happens. */
#include "cache/memory.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "cache/entry.h"

#define BUCKETS_FIRST 256 /* a power of two */

struct node {
    struct list_node used; /* in memory.used */
    struct node *next;     /* of its bucket */
    struct entry *entry;   /* one reference */
    uint64_t print;        /* hash of its key: what differs is seen without the entry */
};

struct memory {
    struct memory_options options;
    struct list_node used; /* the least recently used first */
    struct node **bucket;  /* owned */
    size_t buckets;        /* a power of two */
    uint64_t seed;         /* so that nobody can choose keys that share a bucket */
    struct memory_stats stats;
};

enum status memory_open(const struct memory_options *o, struct memory **out)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return ST_NOMEM;
    m->options = *o;
    m->buckets = BUCKETS_FIRST;
    m->bucket = calloc(m->buckets, sizeof(struct node *));
    if (m->bucket == NULL) {
        free(m);
        return ST_NOMEM;
    }
    m->seed = clock_now_us();
    list_init(&m->used);
    *out = m;
    return ST_OK;
}

static uint64_t print_of(const struct memory *m, const struct digest *key)
{
    return hash_bytes((struct span){(const char *)key->bytes, DIGEST_BYTES}, m->seed);
}

static struct node **chain_of(const struct memory *m, uint64_t print)
{
    return &m->bucket[print & (m->buckets - 1)];
}

/* Where the key's node hangs, or would. */
static struct node **slot_of(const struct memory *m, const struct digest *key, uint64_t print)
{
    struct node **slot = chain_of(m, print);

    while (*slot != NULL && ((*slot)->print != print || !digest_eq(&(*slot)->entry->key, key)))
        slot = &(*slot)->next;
    return slot;
}

static struct node **slot_of_node(const struct memory *m, const struct node *n)
{
    struct node **slot = chain_of(m, n->print);

    while (*slot != n)
        slot = &(*slot)->next;
    return slot;
}

/* What a node costs in all. */
static uint64_t node_bytes(const struct entry *e)
{
    return entry_bytes(e) + sizeof(struct node) + sizeof(struct node *);
}

static void drop(struct memory *m, struct node **slot)
{
    struct node *n = *slot;

    *slot = n->next;
    list_remove(&n->used);
    m->stats.entries--;
    m->stats.bytes -= node_bytes(n->entry);
    entry_unref(n->entry);
    free(n);
}

static void evict(struct memory *m, struct node **slot)
{
    struct entry *e = entry_ref((*slot)->entry);

    drop(m, slot);
    m->stats.evictions_total++;
    if (m->options.evicted != NULL)
        m->options.evicted(m->options.owner, e);
    entry_unref(e);
}

static struct node *oldest(const struct memory *m)
{
    return CONTAINER_OF(m->used.next, struct node, used);
}

void memory_close(struct memory *m)
{
    while (!list_empty(&m->used))
        drop(m, slot_of_node(m, oldest(m)));
    free(m->bucket);
    free(m);
}

struct entry *memory_find(struct memory *m, const struct digest *key, uint64_t now_ms)
{
    struct node **slot = slot_of(m, key, print_of(m, key)), *n = *slot;

    if (n == NULL)
        return NULL;
    if (n->entry->expires_ms <= now_ms) {
        evict(m, slot);
        return NULL;
    }
    list_remove(&n->used);
    list_append(&m->used, &n->used);
    return entry_ref(n->entry);
}

bool memory_has(const struct memory *m, const struct digest *key, uint64_t now_ms)
{
    const struct node *n = *slot_of(m, key, print_of(m, key));

    return n != NULL && n->entry->expires_ms > now_ms;
}

/* A table that cannot grow works on, only slower. */
static void grow(struct memory *m)
{
    size_t old = m->buckets;
    struct node **from = m->bucket;
    struct node **to = calloc(old * 2, sizeof(struct node *));

    if (to == NULL)
        return;
    m->bucket = to;
    m->buckets = old * 2;
    for (size_t i = 0; i < old; i++) {
        struct node *n = from[i], *next;

        for (; n != NULL; n = next) {
            struct node **chain = chain_of(m, n->print);

            next = n->next;
            n->next = *chain;
            *chain = n;
        }
    }
    free(from);
}

bool memory_put(struct memory *m, struct entry *e)
{
    uint64_t bytes = node_bytes(e), print = print_of(m, &e->key);
    struct node **slot = slot_of(m, &e->key, print), *n;

    if (*slot != NULL)
        drop(m, slot);
    if (m->options.entries_max == 0 || bytes > m->options.bytes_max)
        return false;
    while (m->stats.entries >= m->options.entries_max ||
           m->stats.bytes > m->options.bytes_max - bytes)
        evict(m, slot_of_node(m, oldest(m)));
    if (m->stats.entries >= m->buckets)
        grow(m);
    n = malloc(sizeof(*n));
    if (n == NULL)
        return false;
    slot = chain_of(m, print);
    *n = (struct node){.entry = entry_ref(e), .print = print, .next = *slot};
    *slot = n;
    list_append(&m->used, &n->used);
    m->stats.entries++;
    m->stats.bytes += bytes;
    return true;
}

void memory_remove(struct memory *m, const struct digest *key)
{
    struct node **slot = slot_of(m, key, print_of(m, key));

    if (*slot != NULL)
        drop(m, slot);
}

void memory_expire(struct memory *m, uint64_t now_ms, unsigned n)
{
    struct list_node *at = m->used.next, *next;

    for (; n > 0 && at != &m->used; n--, at = next) {
        struct node *node = CONTAINER_OF(at, struct node, used);

        next = at->next;
        if (node->entry->expires_ms <= now_ms)
            evict(m, slot_of_node(m, node));
    }
}

void memory_walk(struct memory *m, bool (*visit)(void *owner, struct entry *e), void *owner)
{
    struct list_node *at;

    for (at = m->used.prev; at != &m->used; at = at->prev)
        if (!visit(owner, CONTAINER_OF(at, struct node, used)->entry))
            return;
}

void memory_stats(const struct memory *m, struct memory_stats *out)
{
    *out = m->stats;
}
