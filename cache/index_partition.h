/* One partition: a run of vectors and, once that is long, a structure that names its
 * first positions (index_large.h). What came after is scanned, and taken over by the
 * structure step by step. Not synchronized. */
#ifndef CACHE_INDEX_PARTITION_H
#define CACHE_INDEX_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/status.h"
#include "cache/index_hash.h"
#include "cache/index_items.h"
#include "cache/index_large.h"
#include "cache/index_run.h"

struct index_partition {
    struct index_hash_node node;
    struct list_node grown; /* on a list while it has, or should have, a structure */
    struct digest id;
    struct index_run run;
    struct index_large *large; /* owned; NULL while small */
    size_t named;              /* positions below it are `large`'s */
    size_t names;              /* it has: of what is there, and of what was */
    size_t built;              /* entries when it was built */
    uint64_t build;            /* number of the build under way; 0: none */
    size_t failed;             /* entries when a build failed: not again at once */
    bool packing;              /* holes are being closed, below them up to `packed` */
    size_t packed;
};

struct index_partition *index_partition_new(const struct digest *id, size_t dims);
void index_partition_free(struct index_partition *p);

static inline size_t index_partition_entries(const struct index_partition *p)
{
    return p->run.count - p->run.holes;
}

/* Sets the item's `at`. */
enum status index_partition_add(struct index_partition *p, struct index_items *items,
                                uint32_t item, const struct index_row *row) MUST_CHECK;
void index_partition_remove(struct index_partition *p, struct index_items *items, size_t at);

/* What has to be done for it, one step at a time (a step is short, a build is not). */
enum index_partition_need {
    INDEX_NEED_NOTHING,
    INDEX_NEED_STEP,  /* index_partition_step() */
    INDEX_NEED_BUILD, /* a new structure */
};

enum index_partition_need index_partition_need(const struct index_partition *p,
                                               size_t large_from);
/* Returns a structure that is not needed any more, for the caller to close; or NULL. */
struct index_large *index_partition_step(struct index_partition *p, struct index_items *items,
                                         size_t large_from);

/* While it is built, the positions there are now stay. */
void index_partition_build_start(struct index_partition *p, uint64_t build);
/* `large` names the `names` entries that were there when they were copied; NULL: it
 * failed, and what there was before is given up too. Returns as a step does. */
struct index_large *index_partition_build_end(struct index_partition *p,
                                              struct index_large *large, size_t names);

#endif
