/* Nodes by key (keyset.h: what is absent is seen without a look at any node), and a list
 * in order of use. Of two keys that keyset takes for one, the later stays. The set doubles
 * as it fills: a stall of some milliseconds per million entries, when it happens. */
#include "cache/memory.h"

#include <stdlib.h>

#include "base/list.h"
#include "cache/entry.h"
#include "cache/keyset.h"

struct node {
    struct list_node used; /* in memory.used */
    struct entry *entry;   /* one reference */
};

struct memory {
    struct memory_options options;
    struct list_node used; /* the least recently used first */
    struct keyset keys;    /* to the address of a node */
    struct memory_stats stats;
};

enum status memory_open(const struct memory_options *o, struct memory **out)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return ST_NOMEM;
    m->options = *o;
    keyset_init(&m->keys);
    list_init(&m->used);
    *out = m;
    return ST_OK;
}

static struct node *node_at(const struct memory *m, const struct digest *key)
{
    return (struct node *)(uintptr_t)keyset_find(&m->keys, key); /* NULL for none */
}

static struct node *node_of(const struct memory *m, const struct digest *key)
{
    struct node *n = node_at(m, key);

    return n != NULL && digest_eq(&n->entry->key, key) ? n : NULL;
}

static struct node *oldest(const struct memory *m)
{
    return CONTAINER_OF(m->used.next, struct node, used);
}

/* What a node costs in all. */
static uint64_t node_bytes(const struct entry *e)
{
    return entry_bytes(e) + sizeof(struct node) + 2 * sizeof(struct keyset_slot);
}

/* Its entry, with the reference that the node had. */
static struct entry *take_out(struct memory *m, struct node *n)
{
    struct entry *e = n->entry;

    keyset_remove(&m->keys, &e->key, (uintptr_t)n);
    list_remove(&n->used);
    m->stats.entries--;
    m->stats.bytes -= node_bytes(e);
    free(n);
    return e;
}

static void drop(struct memory *m, struct node *n)
{
    entry_unref(take_out(m, n));
}

/* The next ones to go have not been looked at for long. Until it is their turn they come near:
 * of the next its slot, by the key of an entry that is here since the one before it went; of
 * the second its entry; of the third its node. */
static void expect_evictions(const struct memory *m)
{
    struct list_node *at = m->used.next;
    const struct node *n = CONTAINER_OF(at, struct node, used);

    if (at == &m->used)
        return;
    keyset_expect(&m->keys, &n->entry->key);
    at = at->next;
    if (at == &m->used)
        return;
    n = CONTAINER_OF(at, struct node, used);
    entry_expect(n->entry);
    __builtin_prefetch(at->next);
}

static void evict(struct memory *m, struct node *n)
{
    struct entry *e = take_out(m, n);

    m->stats.evictions_total++;
    if (m->options.evicted != NULL)
        m->options.evicted(m->options.owner, e);
    entry_unref(e);
    expect_evictions(m);
}

void memory_close(struct memory *m)
{
    while (!list_empty(&m->used))
        drop(m, oldest(m));
    keyset_release(&m->keys);
    free(m);
}

void memory_expect(const struct memory *m, const struct digest *key)
{
    keyset_expect(&m->keys, key);
}

struct entry *memory_find(struct memory *m, const struct digest *key, uint64_t now_ms)
{
    struct node *n = node_of(m, key);

    if (n == NULL)
        return NULL;
    if (n->entry->expires_ms <= now_ms) {
        evict(m, n);
        return NULL;
    }
    list_remove(&n->used);
    list_append(&m->used, &n->used);
    return entry_ref(n->entry);
}

bool memory_has(const struct memory *m, const struct digest *key, uint64_t now_ms)
{
    const struct node *n = node_of(m, key);

    return n != NULL && n->entry->expires_ms > now_ms;
}

bool memory_put(struct memory *m, struct entry *e)
{
    uint64_t bytes = node_bytes(e);
    struct node *n = node_at(m, &e->key);

    if (n != NULL)
        drop(m, n);
    if (m->options.entries_max == 0 || bytes > m->options.bytes_max)
        return false;
    while (m->stats.entries >= m->options.entries_max ||
           m->stats.bytes > m->options.bytes_max - bytes)
        evict(m, oldest(m));
    n = malloc(sizeof(*n));
    if (n == NULL)
        return false;
    if (keyset_set(&m->keys, &e->key, (uintptr_t)n) != ST_OK) {
        free(n);
        return false;
    }
    n->entry = entry_ref(e);
    list_append(&m->used, &n->used);
    m->stats.entries++;
    m->stats.bytes += bytes;
    return true;
}

void memory_remove(struct memory *m, const struct digest *key)
{
    struct node *n = node_of(m, key);

    if (n != NULL)
        drop(m, n);
}

void memory_remove_matching(struct memory *m,
                            bool (*matches)(void *owner, const struct entry *e), void *owner)
{
    struct list_node *at = m->used.next, *next;

    for (; at != &m->used; at = next) {
        struct node *node = CONTAINER_OF(at, struct node, used);

        next = at->next;
        if (matches(owner, node->entry))
            drop(m, node);
    }
}

void memory_expire(struct memory *m, uint64_t now_ms, unsigned n)
{
    struct list_node *at = m->used.next, *next;

    for (; n > 0 && at != &m->used; n--, at = next) {
        struct node *node = CONTAINER_OF(at, struct node, used);

        next = at->next;
        if (node->entry->expires_ms <= now_ms)
            evict(m, node);
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
