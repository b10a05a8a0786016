#include "cache/index_run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cache/index_items.h"

#define ALIGN       64u /* a cache line; also the widest load */
#define SHRINK_FROM 16u /* rows of a chunk, below which nothing is gained */

void index_run_init(struct index_run *r, size_t dims)
{
    *r = (struct index_run){.dims = dims, .hole = INDEX_ITEM_NONE};
}

void index_run_release(struct index_run *r)
{
    for (size_t i = 0; i < r->chunk_count; i++)
        free(r->chunks[i].block);
    free(r->chunks);
}

size_t index_run_row_bytes(const struct index_run *r)
{
    return r->dims + sizeof(float) + sizeof(int32_t) + sizeof(uint32_t);
}

/* The widest part first, so that all are aligned. By hand: aligned_alloc(3) of glibc
 * before 2.38 never takes the place of a block of the same size that was freed (its bug 14581),
 * so that a heap grew with each chunk that came and went. */
static enum status make_chunk(const struct index_run *r, size_t cap, struct index_chunk *out)
{
    size_t vectors = (cap * r->dims + ALIGN - 1) / ALIGN * ALIGN;
    size_t bytes = vectors + cap * (sizeof(float) + sizeof(int32_t) + sizeof(uint32_t));
    char *block = malloc(bytes + ALIGN - 1);

    if (block == NULL)
        return ST_NOMEM;
    out->block = block;
    block += (ALIGN - (uintptr_t)block % ALIGN) % ALIGN;
    out->vectors = (int8_t *)block;
    out->scales = (float *)(void *)(block + vectors);
    out->sums = (int32_t *)(void *)(block + vectors + cap * sizeof(float));
    out->items = (uint32_t *)(void *)(block + vectors + cap * 2 * sizeof(float));
    return ST_OK;
}

static enum status need_chunk_place(struct index_run *r)
{
    size_t cap = r->chunk_cap == 0 ? 1 : r->chunk_cap * 2;
    struct index_chunk *grown;

    if (r->chunk_count < r->chunk_cap)
        return ST_OK;
    grown = realloc(r->chunks, cap * sizeof(*grown));
    if (grown == NULL)
        return ST_NOMEM;
    r->chunks = grown;
    r->chunk_cap = cap;
    return ST_OK;
}

/* Most partitions are tiny, so the first chunk starts as one row and grows by halves. */
static enum status resize_first(struct index_run *r, size_t cap)
{
    struct index_chunk fresh;
    enum status st = make_chunk(r, cap, &fresh);

    if (st != ST_OK)
        return st;
    if (r->chunk_count == 1) {
        const struct index_chunk *old = r->chunks;

        memcpy(fresh.vectors, old->vectors, r->count * r->dims);
        memcpy(fresh.scales, old->scales, r->count * sizeof(float));
        memcpy(fresh.sums, old->sums, r->count * sizeof(int32_t));
        memcpy(fresh.items, old->items, r->count * sizeof(uint32_t));
        free(old->block);
    }
    r->chunks[0] = fresh;
    r->chunk_count = 1;
    r->cap = cap;
    return ST_OK;
}

static enum status grow_first(struct index_run *r)
{
    size_t cap = r->cap + r->cap / 2 + 1;

    if (r->chunk_count == 0 && need_chunk_place(r) != ST_OK)
        return ST_NOMEM;
    return resize_first(r, cap < INDEX_RUN_CHUNK ? cap : INDEX_RUN_CHUNK);
}

static enum status add_chunk(struct index_run *r)
{
    enum status st = need_chunk_place(r);

    if (st == ST_OK)
        st = make_chunk(r, INDEX_RUN_CHUNK, &r->chunks[r->chunk_count]);
    if (st != ST_OK)
        return st;
    r->chunk_count++;
    r->cap += INDEX_RUN_CHUNK;
    return ST_OK;
}

static void put(struct index_run *r, size_t at, const struct index_row *row)
{
    struct index_chunk *c = &r->chunks[at / INDEX_RUN_CHUNK];
    size_t i = at % INDEX_RUN_CHUNK;

    memcpy(c->vectors + i * r->dims, row->vector, r->dims);
    c->scales[i] = row->scale;
    c->sums[i] = row->sum;
    c->items[i] = row->item;
}

enum status index_run_append(struct index_run *r, const struct index_row *row)
{
    if (r->count == r->cap) {
        enum status st = r->cap < INDEX_RUN_CHUNK ? grow_first(r) : add_chunk(r);

        if (st != ST_OK)
            return st;
    }
    put(r, r->count++, row);
    return ST_OK;
}

struct index_row index_run_at(const struct index_run *r, size_t at)
{
    const struct index_chunk *c = &r->chunks[at / INDEX_RUN_CHUNK];
    size_t i = at % INDEX_RUN_CHUNK;

    return (struct index_row){c->vectors + i * r->dims, c->scales[i], c->sums[i], c->items[i]};
}

static bool is_hole(const struct index_run *r, size_t at)
{
    return r->chunks[at / INDEX_RUN_CHUNK].items[at % INDEX_RUN_CHUNK] == INDEX_ITEM_NONE;
}

static void drop_last(struct index_run *r)
{
    r->count--;
    /* An empty chunk goes when half of the one before it is empty, too: where one comes for one
     * that goes, a full cache's state, the last would come and go with them. The first becomes
     * shorter. */
    if (r->chunk_count > 1 && r->count + INDEX_RUN_CHUNK / 2 <= r->cap - INDEX_RUN_CHUNK) {
        free(r->chunks[--r->chunk_count].block);
        r->cap -= INDEX_RUN_CHUNK;
    } else if (r->chunk_count == 1 && r->cap >= SHRINK_FROM && r->count <= r->cap / 4) {
        (void)!resize_first(r, r->cap / 2); /* without memory it stays */
    }
}

/* The last one that is none itself takes the place. */
static uint32_t close_hole(struct index_run *r, size_t at)
{
    struct index_row last;

    while (r->count > r->fixed && is_hole(r, r->count - 1)) {
        drop_last(r);
        r->holes--;
    }
    if (at >= r->count)
        return INDEX_ITEM_NONE; /* it was the last */
    last = index_run_at(r, r->count - 1);
    put(r, at, &last);
    drop_last(r);
    r->holes--;
    return last.item;
}

uint32_t index_run_remove(struct index_run *r, size_t at)
{
    struct index_chunk *c = &r->chunks[at / INDEX_RUN_CHUNK];

    c->items[at % INDEX_RUN_CHUNK] = INDEX_ITEM_NONE;
    r->holes++;
    if (at >= r->fixed)
        return close_hole(r, at);
    c->sums[at % INDEX_RUN_CHUNK] = (int32_t)r->hole;
    r->hole = (uint32_t)at;
    return INDEX_ITEM_NONE;
}

void index_run_fix(struct index_run *r)
{
    r->fixed = r->count;
}

size_t index_run_fix_one(struct index_run *r)
{
    struct index_row last;
    size_t at = r->hole;

    assert(r->count > r->fixed);
    if (r->hole == INDEX_ITEM_NONE)
        return r->fixed++;
    r->hole = (uint32_t)index_run_at(r, at).sum;
    last = index_run_at(r, r->count - 1);
    put(r, at, &last);
    drop_last(r);
    r->holes--;
    return at;
}

void index_run_loosen(struct index_run *r)
{
    r->fixed = 0;
    r->hole = INDEX_ITEM_NONE;
}

uint32_t index_run_pack(struct index_run *r, size_t at)
{
    return is_hole(r, at) ? close_hole(r, at) : INDEX_ITEM_NONE;
}
