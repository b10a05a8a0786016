/* What is known of every indexed entry: found by key, walked from the oldest, at a
 * place that does not move. Ids are small numbers, used again. Not synchronized. */
#ifndef CACHE_INDEX_ITEMS_H
#define CACHE_INDEX_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/index_hash.h"

#define INDEX_ITEM_NONE UINT32_MAX

struct index_partition;

struct index_item {
    struct index_hash_node node;
    struct digest key;
    struct index_partition *partition; /* borrowed; NULL: this id is free */
    char *question;                    /* owned */
    uint32_t question_bytes;
    uint32_t at; /* position in the partition's run */
    uint64_t expires_ms;
    uint32_t older, newer; /* ids; a free item's `newer` is the next free one */
};

struct index_items {
    struct index_item **blocks; /* owned */
    size_t block_count, block_cap;
    struct index_hash by_key;
    uint32_t used, free, oldest, newest;
};

enum status index_items_init(struct index_items *t) MUST_CHECK;
void index_items_release(struct index_items *t);

struct index_item *index_items_at(const struct index_items *t, uint32_t id);
/* INDEX_ITEM_NONE when there is none. */
uint32_t index_items_find(const struct index_items *t, const struct index_partition *p,
                          const struct digest *key);
/* The newest from now on; its question is a copy. One of the same key and partition must
 * not be there. */
enum status index_items_add(struct index_items *t, struct index_partition *p,
                            const struct digest *key, struct span question, uint64_t expires_ms,
                            uint32_t *id) MUST_CHECK;
void index_items_remove(struct index_items *t, uint32_t id);

#endif
