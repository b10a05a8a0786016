#include "cache/index_table.h"

#include <assert.h>
#include <string.h>

#define MALLOC_BYTES 16u /* the allocator's own, a block */

enum status index_table_init(struct index_table *t)
{
    enum status st = index_items_init(&t->items);

    if (st != ST_OK)
        return st;
    st = index_hash_init(&t->partitions);
    if (st != ST_OK)
        index_items_release(&t->items);
    list_init(&t->grown);
    return st;
}

static uint64_t hash_of(const struct digest *id)
{
    uint64_t n;

    memcpy(&n, id->bytes, sizeof(n)); /* a SHA-256: any bytes are spread evenly */
    return n;
}

struct index_partition *index_table_find(const struct index_table *t, const struct digest *id)
{
    struct index_hash_node *n = index_hash_find(&t->partitions, hash_of(id));

    for (; n != NULL; n = index_hash_next(n)) {
        struct index_partition *p = CONTAINER_OF(n, struct index_partition, node);

        if (digest_eq(&p->id, id))
            return p;
    }
    return NULL;
}

/* --- accounting ----------------------------------------------------------------------------
 * An entry is charged what it takes, so that one goes for one that comes. Not charged: what
 * has been asked for ahead (at most the half of a small run, a chunk and a half of a long one),
 * holes (at most the half of a long one) and the structure that is being replaced. */

static uint64_t partition_bytes(void)
{
    return sizeof(struct index_partition) + sizeof(struct index_chunk) + sizeof(void *) +
           3 * MALLOC_BYTES + 64; /* a chunk is aligned */
}

/* In a structure a quarter may be of what is gone. */
static uint64_t large_row_bytes(void)
{
    return index_large_row_bytes() * 5 / 4;
}

static uint64_t entry_bytes(const struct index_partition *p, const struct index_item *it)
{
    uint64_t bytes = sizeof(*it) + sizeof(void *) + index_run_row_bytes(&p->run) +
                     it->question_bytes + 1 + MALLOC_BYTES;

    return p->large != NULL ? bytes + large_row_bytes() : bytes;
}

/* --- partitions --------------------------------------------------------------------------- */

static struct index_partition *need_partition(struct index_table *t, const struct digest *id)
{
    struct index_partition *p = index_table_find(t, id);

    if (p != NULL)
        return p;
    p = index_partition_new(id, t->dims);
    if (p == NULL)
        return NULL;
    index_hash_add(&t->partitions, &p->node, hash_of(id));
    t->bytes += partition_bytes();
    return p;
}

static void drop_partition(struct index_table *t, struct index_partition *p)
{
    index_hash_remove(&t->partitions, &p->node);
    t->bytes -= partition_bytes();
    t->large_count -= p->large != NULL;
    index_partition_free(p);
}

/* On the list, or off it. */
static void note_size(struct index_table *t, struct index_partition *p)
{
    bool wanted = p->large != NULL || p->build != 0 || p->packing ||
                  index_partition_entries(p) >= t->large_from;

    if (!wanted)
        list_remove(&p->grown);
    else if (list_empty(&p->grown))
        list_append(&t->grown, &p->grown);
}

void index_table_release(struct index_table *t)
{
    while (t->items.oldest != INDEX_ITEM_NONE) {
        const struct index_item *it = index_items_at(&t->items, t->items.oldest);

        index_table_remove(t, &it->partition->id, &it->key);
    }
    index_hash_release(&t->partitions);
    index_items_release(&t->items);
}

/* --- entries ------------------------------------------------------------------------------ */

static void remove_item(struct index_table *t, uint32_t id)
{
    const struct index_item *it = index_items_at(&t->items, id);
    struct index_partition *p = it->partition;

    t->bytes -= entry_bytes(p, it);
    index_partition_remove(p, &t->items, it->at);
    index_items_remove(&t->items, id);
    if (index_partition_entries(p) == 0)
        drop_partition(t, p);
    else
        note_size(t, p);
}

void index_table_remove(struct index_table *t, const struct digest *partition,
                        const struct digest *key)
{
    struct index_partition *p = index_table_find(t, partition);
    uint32_t id = p != NULL ? index_items_find(&t->items, p, key) : INDEX_ITEM_NONE;

    if (id != INDEX_ITEM_NONE)
        remove_item(t, id);
}

static void make_room(struct index_table *t)
{
    while (t->items.used > t->entries_max || (t->bytes > t->bytes_max && t->items.used > 0)) {
        remove_item(t, t->items.oldest);
        t->evictions_total++;
    }
}

enum status index_table_add(struct index_table *t, const struct digest *partition,
                            const struct digest *key, const struct index_row *row,
                            struct span question, uint64_t expires_ms)
{
    struct index_row own = *row;
    struct index_partition *p;
    enum status st;

    index_table_remove(t, partition, key);
    p = need_partition(t, partition);
    if (p == NULL)
        return ST_NOMEM;
    st = index_items_add(&t->items, p, key, question, expires_ms, &own.item);
    if (st == ST_OK) {
        st = index_partition_add(p, &t->items, own.item, &own);
        if (st != ST_OK)
            index_items_remove(&t->items, own.item);
    }
    if (st != ST_OK) {
        if (index_partition_entries(p) == 0)
            drop_partition(t, p);
        return st;
    }
    t->bytes += entry_bytes(p, index_items_at(&t->items, own.item));
    note_size(t, p);
    make_room(t);
    return ST_OK;
}

/* --- structures --------------------------------------------------------------------------- */

struct index_partition *index_table_needing(const struct index_table *t,
                                            enum index_partition_need need)
{
    for (struct list_node *n = t->grown.next; n != &t->grown; n = n->next) {
        struct index_partition *p = CONTAINER_OF(n, struct index_partition, grown);

        if (index_partition_need(p, t->large_from) == need)
            return p;
    }
    return NULL;
}

bool index_table_is_busy(const struct index_table *t)
{
    for (struct list_node *n = t->grown.next; n != &t->grown; n = n->next) {
        struct index_partition *p = CONTAINER_OF(n, struct index_partition, grown);

        if (p->build != 0 || index_partition_need(p, t->large_from) != INDEX_NEED_NOTHING)
            return true;
    }
    return false;
}

/* `had`: whether it had a structure before. */
static void account(struct index_table *t, struct index_partition *p, bool had)
{
    uint64_t bytes = large_row_bytes() * index_partition_entries(p);

    if (p->large != NULL && !had) {
        t->bytes += bytes;
        t->large_count++;
    } else if (p->large == NULL && had) {
        t->bytes -= bytes;
        t->large_count--;
    }
    note_size(t, p);
}

struct index_large *index_table_step(struct index_table *t, struct index_partition *p)
{
    bool had = p->large != NULL;
    struct index_large *old = index_partition_step(p, &t->items, t->large_from);

    account(t, p, had);
    return old;
}

struct index_large *index_table_build_end(struct index_table *t, struct index_partition *p,
                                          struct index_large *large, size_t names)
{
    bool had = p->large != NULL;
    struct index_large *old = index_partition_build_end(p, large, names);

    t->builds_total += large != NULL;
    account(t, p, had);
    make_room(t);
    return old;
}
