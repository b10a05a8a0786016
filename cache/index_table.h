/* All partitions with their entries, within bounds: the oldest entry goes first. What
 * index.c guards by its lock. Not synchronized. */
#ifndef CACHE_INDEX_TABLE_H
#define CACHE_INDEX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/index_hash.h"
#include "cache/index_items.h"
#include "cache/index_partition.h"

struct index_table {
    size_t dims, large_from;
    uint64_t entries_max, bytes_max;
    struct index_items items;
    struct index_hash partitions;
    struct list_node grown; /* partitions that have, or should have, a structure */
    uint64_t bytes, large_count;
    uint64_t evictions_total, builds_total;
};

/* The caller has set the bounds, dims and large_from. */
enum status index_table_init(struct index_table *t) MUST_CHECK;
void index_table_release(struct index_table *t);

struct index_partition *index_table_find(const struct index_table *t, const struct digest *id);
/* Replaces the entry of this key; then makes room. row->item does not matter. */
enum status index_table_add(struct index_table *t, const struct digest *partition,
                            const struct digest *key, const struct index_row *row,
                            struct span question, uint64_t expires_ms) MUST_CHECK;
void index_table_remove(struct index_table *t, const struct digest *partition,
                        const struct digest *key);

/* The first partition in need of that; NULL: none. */
struct index_partition *index_table_needing(const struct index_table *t,
                                            enum index_partition_need need);
/* A partition needs a step or a build, or a build is under way. */
bool index_table_is_busy(const struct index_table *t);
/* index_partition_step() and _build_end(), accounted for. */
struct index_large *index_table_step(struct index_table *t, struct index_partition *p);
struct index_large *index_table_build_end(struct index_table *t, struct index_partition *p,
                                          struct index_large *large, size_t names);

#endif
