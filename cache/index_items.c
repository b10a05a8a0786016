#include "cache/index_items.h"

#include <stdlib.h>
#include <string.h>

/* Items are kept in blocks, so that growing moves none. */
#define BLOCK 1024u

enum status index_items_init(struct index_items *t)
{
    *t = (struct index_items){
        .free = INDEX_ITEM_NONE, .oldest = INDEX_ITEM_NONE, .newest = INDEX_ITEM_NONE};
    return index_hash_init(&t->by_key);
}

void index_items_release(struct index_items *t)
{
    for (uint32_t id = t->oldest; id != INDEX_ITEM_NONE; id = index_items_at(t, id)->newer)
        free(index_items_at(t, id)->question);
    for (size_t i = 0; i < t->block_count; i++)
        free(t->blocks[i]);
    free(t->blocks);
    index_hash_release(&t->by_key);
}

struct index_item *index_items_at(const struct index_items *t, uint32_t id)
{
    return &t->blocks[id / BLOCK][id % BLOCK];
}

/* A key is a SHA-256, so its bytes are spread evenly; the same one may be in several
 * partitions. */
static uint64_t hash_of(const struct index_partition *p, const struct digest *key)
{
    uint64_t n, m = (uint64_t)(uintptr_t)p;

    memcpy(&n, key->bytes, sizeof(n));
    n = (n ^ m) * 0x9e3779b97f4a7c15u;
    return n ^ n >> 32;
}

uint32_t index_items_find(const struct index_items *t, const struct index_partition *p,
                          const struct digest *key)
{
    struct index_hash_node *n = index_hash_find(&t->by_key, hash_of(p, key));

    for (; n != NULL; n = index_hash_next(n)) {
        const struct index_item *it = CONTAINER_OF(n, struct index_item, node);

        if (it->partition != p || !digest_eq(&it->key, key))
            continue;
        /* Its neighbour knows its number. */
        return it->older != INDEX_ITEM_NONE ? index_items_at(t, it->older)->newer : t->oldest;
    }
    return INDEX_ITEM_NONE;
}

static enum status add_block(struct index_items *t)
{
    uint32_t first = (uint32_t)t->block_count * BLOCK;
    struct index_item *block;

    if (first > INDEX_ITEM_NONE - 2 * BLOCK)
        return ST_LIMIT;
    if (t->block_count == t->block_cap) {
        size_t cap = t->block_cap * 2 + 16;
        struct index_item **grown = realloc(t->blocks, cap * sizeof(struct index_item *));

        if (grown == NULL)
            return ST_NOMEM;
        t->blocks = grown;
        t->block_cap = cap;
    }
    block = calloc(BLOCK, sizeof(*block));
    if (block == NULL)
        return ST_NOMEM;
    t->blocks[t->block_count++] = block;
    for (uint32_t i = BLOCK; i-- > 0;) {
        block[i].newer = t->free;
        t->free = first + i;
    }
    return ST_OK;
}

enum status index_items_add(struct index_items *t, struct index_partition *p,
                            const struct digest *key, struct span question, uint64_t expires_ms,
                            uint32_t *id)
{
    struct index_item *it;
    char *copy;
    enum status st;

    if (t->free == INDEX_ITEM_NONE && (st = add_block(t)) != ST_OK)
        return st;
    copy = malloc(question.len + 1);
    if (copy == NULL)
        return ST_NOMEM;
    if (question.len > 0)
        memcpy(copy, question.ptr, question.len);
    *id = t->free;
    it = index_items_at(t, *id);
    t->free = it->newer;
    *it = (struct index_item){.key = *key,
                              .partition = p,
                              .question = copy,
                              .question_bytes = (uint32_t)question.len,
                              .expires_ms = expires_ms,
                              .older = t->newest,
                              .newer = INDEX_ITEM_NONE};
    if (t->newest != INDEX_ITEM_NONE)
        index_items_at(t, t->newest)->newer = *id;
    else
        t->oldest = *id;
    t->newest = *id;
    t->used++;
    index_hash_add(&t->by_key, &it->node, hash_of(p, key));
    return ST_OK;
}

void index_items_remove(struct index_items *t, uint32_t id)
{
    struct index_item *it = index_items_at(t, id);

    index_hash_remove(&t->by_key, &it->node);
    if (it->older != INDEX_ITEM_NONE)
        index_items_at(t, it->older)->newer = it->newer;
    else
        t->oldest = it->newer;
    if (it->newer != INDEX_ITEM_NONE)
        index_items_at(t, it->newer)->older = it->older;
    else
        t->newest = it->older;
    free(it->question);
    *it = (struct index_item){.newer = t->free};
    t->free = id;
    t->used--;
}
