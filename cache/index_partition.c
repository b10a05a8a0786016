#include "cache/index_partition.h"

#include <stdlib.h>

/* What a search waits for at most: some 100 us each. */
#define FEED_STEP 8
#define PACK_STEP 256

struct index_partition *index_partition_new(const struct digest *id, size_t dims)
{
    struct index_partition *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->id = *id;
    list_init(&p->grown);
    index_run_init(&p->run, dims);
    return p;
}

void index_partition_free(struct index_partition *p)
{
    list_remove(&p->grown);
    if (p->large != NULL)
        index_large_close(p->large);
    index_run_release(&p->run);
    free(p);
}

enum status index_partition_add(struct index_partition *p, struct index_items *items,
                                uint32_t item, const struct index_row *row)
{
    enum status st = index_run_append(&p->run, row);

    if (st == ST_OK)
        index_items_at(items, item)->at = (uint32_t)(p->run.count - 1);
    return st;
}

static void moved(struct index_items *items, uint32_t item, size_t to)
{
    if (item != INDEX_ITEM_NONE)
        index_items_at(items, item)->at = (uint32_t)to;
}

void index_partition_remove(struct index_partition *p, struct index_items *items, size_t at)
{
    moved(items, index_run_remove(&p->run, at), at);
}

/* Half of the run is holes, or too little is left to be worth a structure. */
static bool wants_packing(const struct index_partition *p, size_t large_from)
{
    return p->run.holes * 2 > p->run.count || index_partition_entries(p) < large_from / 2;
}

/* A structure is made anew when there is twice as much, so that its lists do not get too
 * long, and when a quarter of its names are of what is gone: they are in the way. */
static bool wants_build(const struct index_partition *p, size_t large_from)
{
    size_t entries = index_partition_entries(p), gone;

    if (entries < large_from || entries < 2 * p->failed)
        return false;
    gone = p->names - (p->named - p->run.holes);
    return p->large == NULL || entries >= 2 * p->built || gone * 4 > p->names;
}

enum index_partition_need index_partition_need(const struct index_partition *p,
                                               size_t large_from)
{
    if (p->build != 0)
        return INDEX_NEED_NOTHING;
    if (p->packing || (p->large != NULL && wants_packing(p, large_from)))
        return INDEX_NEED_STEP;
    if (wants_build(p, large_from))
        return INDEX_NEED_BUILD;
    return p->large != NULL && p->run.count > p->named ? INDEX_NEED_STEP : INDEX_NEED_NOTHING;
}

/* Its structure goes: from here on it is scanned, and no position has to stay. */
static struct index_large *start_packing(struct index_partition *p)
{
    struct index_large *old = p->large;

    p->large = NULL;
    p->named = p->names = p->built = p->packed = 0;
    p->packing = p->run.holes > 0;
    index_run_loosen(&p->run);
    return old;
}

static void pack_some(struct index_partition *p, struct index_items *items)
{
    for (unsigned i = 0; i < PACK_STEP && p->run.holes > 0; i++) {
        moved(items, index_run_pack(&p->run, p->packed), p->packed);
        p->packed++;
    }
    p->packing = p->run.holes > 0;
}

/* The structure takes over what came after it, into holes as long as there are any. */
static struct index_large *feed_some(struct index_partition *p, struct index_items *items)
{
    enum status st = ST_OK;

    for (size_t n = 0; st == ST_OK && n < FEED_STEP && p->run.count > p->run.fixed; n++) {
        size_t at = index_run_fix_one(&p->run);
        struct index_row row = index_run_at(&p->run, at);

        moved(items, row.item, at);
        st = index_large_add(p->large, row.vector,
                             &(struct index_name){(uint32_t)at, row.scale, row.sum});
        p->names++;
    }
    if (st != ST_OK) { /* it can not be relied upon any more */
        p->failed = index_partition_entries(p);
        return start_packing(p);
    }
    p->named = p->run.fixed;
    return NULL;
}

struct index_large *index_partition_step(struct index_partition *p, struct index_items *items,
                                         size_t large_from)
{
    if (p->packing) {
        pack_some(p, items);
        return NULL;
    }
    return wants_packing(p, large_from) ? start_packing(p) : feed_some(p, items);
}

void index_partition_build_start(struct index_partition *p, uint64_t build)
{
    p->build = build;
    index_run_fix(&p->run);
}

struct index_large *index_partition_build_end(struct index_partition *p,
                                              struct index_large *large, size_t names)
{
    struct index_large *old = p->large;

    p->build = 0;
    if (large == NULL) {
        p->failed = index_partition_entries(p);
        return start_packing(p);
    }
    p->large = large;
    p->named = p->run.fixed;
    p->names = p->built = names;
    p->failed = 0;
    return old;
}
