/* The attention kernels, sixteen lanes at a time: included by each kernel file, which says
 * how many rows (TILE_ROWS) and vectors (TILE_VECS) of sums its registers hold. */
#ifndef ENGINE_KERNELS_ATTEND_BODY_H
#define ENGINE_KERNELS_ATTEND_BODY_H

#include "base/compiler.h"
#include "engine/kernels/attend_bytes_body.h"
#include "engine/kernels/attend_floats_body.h"

#define AT_MOST(n) ((n) < TILE_ROWS ? (n) : TILE_ROWS)

static void fast_store(enum decoder_cache type, uint8_t *slot, size_t at, size_t width,
                       const float *key, const float *value)
{
    if (type == CACHE_F32)
        store_f32((float *)(void *)slot, at, width, key, value);
    else if (type == CACHE_F16)
        store_f16((uint16_t *)(void *)slot, at, width, key, value);
    else
        store_q8(slot, at, width, key, value);
}

/* --- a page --------------------------------------------------------------------------- */

/* A page is read in two steps, keys and values, so that both need not be in the first cache
 * at once. */
enum step { KEYS, VALUES };

struct page {
    enum decoder_cache type;
    uint8_t *slot;
    struct attend_q8 bytes; /* CACHE_Q8 */
    size_t start;           /* position */
    ptrdiff_t ahead;
};

INLINE void keys_of_page(const struct tile *t, const struct page *p, size_t rows)
{
    switch (p->type) {
    case CACHE_F32:
        float_scores(t, p->slot, false, rows);
        break;
    case CACHE_F16:
        float_scores(t, p->slot, true, rows);
        break;
    case CACHE_Q8:
        byte_scores(t, &p->bytes, rows);
        break;
    }
    exponents(t, rows);
}

INLINE void values_of_page(const struct tile *t, const struct page *p, size_t rows)
{
    switch (p->type) {
    case CACHE_F32:
        float_sums(t, p->slot, false, rows);
        break;
    case CACHE_F16:
        float_sums(t, p->slot, true, rows);
        break;
    case CACHE_Q8:
        byte_sums(t, &p->bytes, rows);
        break;
    }
}

INLINE void rows_of_page(const struct tile *t, enum step step, const struct page *p,
                         size_t rows)
{
    if (step == KEYS)
        keys_of_page(t, p, rows);
    else
        values_of_page(t, p, rows);
}

static void tile_of_page(const struct tile *t, enum step step, const struct page *p,
                         size_t rows)
{
    switch (rows) {
    case 1:
        rows_of_page(t, step, p, 1);
        break;
    case 2:
        rows_of_page(t, step, p, 2);
        break;
    case 3:
        rows_of_page(t, step, p, 3);
        break;
    case 4:
        rows_of_page(t, step, p, 4);
        break;
    case 5:
        rows_of_page(t, step, p, 5);
        break;
    case 6:
        rows_of_page(t, step, p, 6);
        break;
    case 7:
        rows_of_page(t, step, p, AT_MOST(7));
        break;
    default:
        rows_of_page(t, step, p, TILE_ROWS);
        break;
    }
}

/* --- pages ---------------------------------------------------------------------------- */

struct work {
    const struct attend_queries *q;
    const struct attend_state *s;
    struct page page;
    struct shares whole, part[TILE_ROWS]; /* of the page; of those positions that a row sees */
    float p[ATTEND_ROWS_MAX][ATTEND_PAGE];
    float sums[ATTEND_ROWS_MAX * LANES];
    float factor[ATTEND_ROWS_MAX + LANES], weight[ATTEND_ROWS_MAX + LANES];
    float q_scale[ATTEND_ROWS_MAX];
    int16_t q16[ATTEND_ROWS_MAX * ATTEND_WIDTH_MAX];
};

/* Rows r..r + n: those that see the page to its end share one. */
static void set_row_shares(struct work *w, size_t r, size_t n, const struct shares **to)
{
    const struct page *p = &w->page;
    const uint32_t *last = w->q->last + r;

    for (size_t i = 0; i < n; i++) {
        if (last[i] >= p->start + ATTEND_PAGE - 1) {
            to[i] = &w->whole;
        } else if (i > 0 && last[i] == last[i - 1]) {
            to[i] = to[i - 1];
        } else {
            size_t depth = last[i] >= p->start ? last[i] + (size_t)1 - p->start : 0;

            set_shares(&p->bytes, depth, p->ahead, &w->part[i]);
            to[i] = &w->part[i];
        }
    }
}

static void all_rows(struct work *w, enum step step)
{
    const struct attend_queries *q = w->q;
    const struct shares *shares[TILE_ROWS];
    size_t start = w->page.start;

    for (size_t r = 0; r < q->rows; r += TILE_ROWS) {
        size_t rows = q->rows - r < TILE_ROWS ? q->rows - r : TILE_ROWS;
        struct tile t = {.q = q->q + r * q->width,
                         .q16 = w->q16 + r * q->width,
                         .q_scale = w->q_scale + r,
                         .shares = shares,
                         .first = q->first + r,
                         .last = q->last + r,
                         .most = w->s->most + r,
                         .sums = w->sums + r * LANES,
                         .out = w->s->out + r * q->width,
                         .p = w->p + r,
                         .factor = w->factor + r,
                         .weight = w->weight + r,
                         .width = q->width,
                         .start = start,
                         .depth = ATTEND_PAGE,
                         .ahead = w->page.ahead};

        /* first[] and last[] ascend. */
        if (t.last[rows - 1] < start || t.first[0] >= start + ATTEND_PAGE)
            continue;
        /* What no row sees is not read: it may never have been written. */
        if (t.last[rows - 1] < start + ATTEND_PAGE)
            t.depth = t.last[rows - 1] + (size_t)1 - start;
        if (step == VALUES && w->page.type == CACHE_Q8)
            set_row_shares(w, r, rows, shares);
        tile_of_page(&t, step, &w->page, rows);
    }
}

/* Page i, one of those before `end`. */
static void open_page(struct work *w, const struct attend_keys *k, size_t i, size_t end)
{
    const struct attend_queries *q = w->q;
    size_t start = i * ATTEND_PAGE;
    struct page *p = &w->page;

    p->type = k->type;
    p->slot = attend_slot(k, i);
    p->start = start;
    p->ahead = i + 1 < end ? attend_slot(k, i + 1) - p->slot : 0;
    if (p->type == CACHE_Q8) {
        p->bytes = attend_q8_at(p->slot, q->width);
        if (q->last[q->rows - 1] >= start + ATTEND_PAGE - 1)
            set_shares(&p->bytes, ATTEND_PAGE, p->ahead, &w->whole);
    }
}

static void begin(struct work *w, enum decoder_cache type)
{
    const struct attend_queries *q = w->q;

    memset(w->sums, 0, q->rows * LANES * sizeof(*w->sums));
    memset(w->s->out, 0, q->rows * q->width * sizeof(*w->s->out));
    for (size_t r = 0; r < q->rows; r++)
        w->s->most[r] = LOWEST;
    for (size_t r = 0; type == CACHE_Q8 && r < q->rows; r++)
        w->q_scale[r] = quantize_query(q->q + r * q->width, q->width, w->q16 + r * q->width);
}

static void fast_pages(const struct attend_queries *q, const struct attend_keys *k, size_t from,
                       size_t to, const struct attend_state *s)
{
    _Alignas(64) struct work w;
    size_t first = q->first[0] / ATTEND_PAGE, end = q->last[q->rows - 1] / ATTEND_PAGE + 1;

    w.q = q;
    w.s = s;
    begin(&w, k->type);
    from = from > first ? from : first;
    to = to < end ? to : end;
    for (size_t i = from; i < to; i++) {
        open_page(&w, k, i, end);
        all_rows(&w, KEYS);
        all_rows(&w, VALUES);
    }
    for (size_t r = 0; r < q->rows; r++)
        s->sum[r] = vec16_sum(vec16_load(w.sums + r * LANES));
}

#define ATTEND_TABLE                                                                           \
    {                                                                                          \
        .store = fast_store, .pages = fast_pages                                               \
    }

#endif
