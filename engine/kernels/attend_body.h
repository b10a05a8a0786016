/* The attention kernels, sixteen lanes at a time: included by each kernel file, which says
 * how many rows (TILE_ROWS) and vectors (TILE_VECS) of sums its registers hold. */
#ifndef ENGINE_KERNELS_ATTEND_BODY_H
#define ENGINE_KERNELS_ATTEND_BODY_H

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/kernels/attend_slot.h"
#include "engine/kernels/vec16_body.h"

#define LANES      16
#define LOWEST     (-1e30f) /* below every score; minus itself it is 0, not NaN */
#define INLINE     static inline __attribute__((always_inline))
#define AT_MOST(n) ((n) < TILE_ROWS ? (n) : TILE_ROWS)

/* --- slots ---------------------------------------------------------------------------- */

static void store_f32(float *slot, size_t at, size_t width, const float *key,
                      const float *value)
{
    for (size_t c = 0; c < width; c++)
        slot[c * ATTEND_PAGE + at] = key[c];
    memcpy(slot + ATTEND_PAGE * width + at * width, value, width * sizeof(*value));
}

static void store_f16(uint16_t *slot, size_t at, size_t width, const float *key,
                      const float *value)
{
    uint16_t *values = slot + ATTEND_PAGE * width + at * width, k[8];

    for (size_t c = 0; c < width; c += 8) {
        _mm_storeu_si128((__m128i *)(void *)k, _mm256_cvtps_ph(_mm256_loadu_ps(key + c), 0));
        for (size_t i = 0; i < 8; i++)
            slot[(c + i) * ATTEND_PAGE + at] = k[i];
        _mm_storeu_si128((__m128i *)(void *)(values + c),
                         _mm256_cvtps_ph(_mm256_loadu_ps(value + c), 0));
    }
}

static void fast_store(enum decoder_cache type, uint8_t *slot, size_t at, size_t width,
                       const float *key, const float *value)
{
    if (type == CACHE_F32)
        store_f32((float *)(void *)slot, at, width, key, value);
    else if (type == CACHE_F16)
        store_f16((uint16_t *)(void *)slot, at, width, key, value);
    else
        attend_q8_store(slot, at, width, key, value);
}

INLINE vec16 from_halves(const uint16_t *p)
{
#if defined(__AVX512F__)
    return VEC16_1(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)));
#else
    return (vec16){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)),
                   _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)))};
#endif
}

static void halves(const uint16_t *p, size_t n, float *out)
{
    for (size_t i = 0; i < n; i += LANES)
        vec16_store(out + i, from_halves(p + i));
}

INLINE vec16 from_bytes(const int8_t *p)
{
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);

#if defined(__AVX512F__)
    return VEC16_1(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b)));
#else
    return (vec16){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b)),
                   _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8)))};
#endif
}

/* The keys [width][PAGE] of a slot as floats, in place or in `room`. */
static const float *open_keys(enum decoder_cache type, uint8_t *slot, size_t width, float *room)
{
    struct attend_q8 p = attend_q8_at(slot, width);

    if (type == CACHE_F32)
        return (const float *)(void *)slot;
    if (type == CACHE_F16) {
        halves((const uint16_t *)(void *)slot, ATTEND_PAGE * width, room);
        return room;
    }
    for (size_t c = 0; c < width; c++) {
        const float *d = p.key_scales + c / ATTEND_BLOCK * ATTEND_PAGE;

        for (size_t j = 0; j < ATTEND_PAGE; j += LANES)
            vec16_store(room + c * ATTEND_PAGE + j,
                        vec16_mul(from_bytes(p.keys + c * ATTEND_PAGE + j), vec16_load(d + j)));
    }
    return room;
}

/* The same of its values, [PAGE][width]. */
static const float *open_values(enum decoder_cache type, uint8_t *slot, size_t width,
                                float *room)
{
    struct attend_q8 p = attend_q8_at(slot, width);
    size_t n = ATTEND_PAGE * width;

    if (type == CACHE_F32)
        return (const float *)(void *)slot + n;
    if (type == CACHE_F16) {
        halves((const uint16_t *)(void *)slot + n, n, room);
        return room;
    }
    for (size_t j = 0; j < ATTEND_PAGE; j++) {
        for (size_t c = 0; c < width; c += LANES)
            vec16_store(room + j * width + c,
                        vec16_mul(from_bytes(p.values + j * width + c),
                                  vec16_all(p.scales[j * p.blocks + c / ATTEND_BLOCK])));
    }
    return room;
}

/* --- products ------------------------------------------------------------------------- */

/* acc[r][.] += a[r * lda + k] * b[k * ldb + .] over k < depth; rows and vecs are constants
 * where this is called, and the sums stay in registers. */
INLINE void multiply(const float *a, size_t lda, const float *b, size_t ldb, size_t depth,
                     size_t rows, size_t vecs, vec16 acc[TILE_ROWS][TILE_VECS])
{
    for (size_t k = 0; k < depth; k++, b += ldb) {
        vec16 v[TILE_VECS];

        for (size_t i = 0; i < vecs; i++)
            v[i] = vec16_load(b + i * LANES);
        for (size_t r = 0; r < rows; r++) {
            vec16 x = vec16_all(a[r * lda + k]);

            for (size_t i = 0; i < vecs; i++)
                acc[r][i] = vec16_fma(x, v[i], acc[r][i]);
        }
    }
}

/* y = factor[r] * y + a b; y has the columns from..from + vecs * LANES of rows ldy wide. */
INLINE void multiply_add(const float *a, size_t lda, const float *b, size_t ldb, size_t depth,
                         size_t rows, size_t vecs, const float *factor, float *y, size_t ldy)
{
    vec16 acc[TILE_ROWS][TILE_VECS];

    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            acc[r][i] = vec16_mul(vec16_load(y + r * ldy + i * LANES), vec16_all(factor[r]));
    }
    multiply(a, lda, b, ldb, depth, rows, vecs, acc);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            vec16_store(y + r * ldy + i * LANES, acc[r][i]);
    }
}

/* A few rows, what they have seen, and the page they look at. Where these are functions of
 * `rows`, it is a constant. */
struct tile {
    const float *q;
    const uint32_t *first, *last;
    float *most, *sums, *out;   /* [rows], [rows][LANES], [rows][width] */
    float (*p)[ATTEND_PAGE];    /* scores, then weights */
    float *factor;              /* [LANES]: what out is to be multiplied by */
    size_t width, start, depth; /* start: position of the page; depth: values to be read */
};

INLINE void scores(const struct tile *t, const float *keys, size_t rows)
{
    for (size_t j = 0; j < ATTEND_PAGE; j += TILE_VECS * LANES) {
        vec16 acc[TILE_ROWS][TILE_VECS];

        for (size_t r = 0; r < rows; r++) {
            for (size_t i = 0; i < TILE_VECS; i++)
                acc[r][i] = vec16_all(0);
        }
        multiply(t->q, t->width, keys + j, ATTEND_PAGE, t->width, rows, TILE_VECS, acc);
        for (size_t r = 0; r < rows; r++) {
            for (size_t i = 0; i < TILE_VECS; i++)
                vec16_store(t->p[r] + j + i * LANES, acc[r][i]);
        }
    }
}

INLINE void weighted_sums(const struct tile *t, const float *values, size_t rows)
{
    size_t c = 0;

    for (; c + TILE_VECS * LANES <= t->width; c += TILE_VECS * LANES)
        multiply_add(t->p[0], ATTEND_PAGE, values + c, t->width, t->depth, rows, TILE_VECS,
                     t->factor, t->out + c, t->width);
    for (; c < t->width; c += LANES)
        multiply_add(t->p[0], ATTEND_PAGE, values + c, t->width, t->depth, rows, 1, t->factor,
                     t->out + c, t->width);
}

/* --- softmax -------------------------------------------------------------------------- */

/* The positions of a page that a row does not see get `v`. */
static void fill_unseen(float *s, uint32_t first, uint32_t last, size_t start, float v)
{
    for (size_t j = 0; j < ATTEND_PAGE; j++) {
        if (start + j < first || start + j > last)
            s[j] = v;
    }
}

INLINE bool sees_all(const struct tile *t, size_t r)
{
    return t->first[r] <= t->start && t->last[r] >= t->start + ATTEND_PAGE - 1;
}

/* Scores become exp(s - most), of the largest so far. */
INLINE void exponents(const struct tile *t, size_t rows)
{
    float before[LANES] = {0}, after[LANES] = {0};

    for (size_t r = 0; r < rows; r++) {
        float *s = t->p[r], most;

        if (!sees_all(t, r))
            fill_unseen(s, t->first[r], t->last[r], t->start, LOWEST);
        most = vec16_largest(vec16_max(vec16_load(s), vec16_load(s + LANES)));
        before[r] = t->most[r];
        after[r] = t->most[r] = most > before[r] ? most : before[r];
    }
    vec16_store(t->factor, vec16_exp(vec16_sub(vec16_load(before), vec16_load(after))));
    for (size_t r = 0; r < rows; r++) {
        float *s = t->p[r], *sums = t->sums + r * LANES;
        vec16 most = vec16_all(t->most[r]);
        vec16 a = vec16_exp(vec16_sub(vec16_load(s), most));
        vec16 b = vec16_exp(vec16_sub(vec16_load(s + LANES), most));

        vec16_store(s, a);
        vec16_store(s + LANES, b);
        if (!sees_all(t, r)) {
            fill_unseen(s, t->first[r], t->last[r], t->start, 0);
            a = vec16_load(s);
            b = vec16_load(s + LANES);
        }
        vec16_store(sums,
                    vec16_fma(vec16_load(sums), vec16_all(t->factor[r]), vec16_add(a, b)));
    }
}

/* --- pages ---------------------------------------------------------------------------- */

/* A page is read in two steps, keys and values, so that what both unpack to need not be in
 * the first cache at once. */
enum step { KEYS, VALUES };

INLINE void rows_of_page(const struct tile *t, enum step step, const float *x, size_t rows)
{
    if (step == KEYS) {
        scores(t, x, rows);
        exponents(t, rows);
    } else {
        weighted_sums(t, x, rows);
    }
}

static void tile_of_page(const struct tile *t, enum step step, const float *x, size_t rows)
{
    switch (rows) {
    case 1:
        rows_of_page(t, step, x, 1);
        break;
    case 2:
        rows_of_page(t, step, x, 2);
        break;
    case 3:
        rows_of_page(t, step, x, 3);
        break;
    case 4:
        rows_of_page(t, step, x, 4);
        break;
    case 5:
        rows_of_page(t, step, x, 5);
        break;
    case 6:
        rows_of_page(t, step, x, 6);
        break;
    case 7:
        rows_of_page(t, step, x, AT_MOST(7));
        break;
    default:
        rows_of_page(t, step, x, TILE_ROWS);
        break;
    }
}

struct work {
    const struct attend_queries *q;
    const struct attend_state *s;
    float p[ATTEND_ROWS_MAX][ATTEND_PAGE];
    float sums[ATTEND_ROWS_MAX * LANES];
    float factor[ATTEND_ROWS_MAX + LANES];
    float room[ATTEND_PAGE * ATTEND_WIDTH_MAX];
};

static void all_rows(struct work *w, enum step step, const float *x, size_t start)
{
    const struct attend_queries *q = w->q;

    for (size_t r = 0; r < q->rows; r += TILE_ROWS) {
        size_t rows = q->rows - r < TILE_ROWS ? q->rows - r : TILE_ROWS;
        struct tile t = {.q = q->q + r * q->width,
                         .first = q->first + r,
                         .last = q->last + r,
                         .most = w->s->most + r,
                         .sums = w->sums + r * LANES,
                         .out = w->s->out + r * q->width,
                         .p = w->p + r,
                         .factor = w->factor + r,
                         .width = q->width,
                         .start = start,
                         .depth = ATTEND_PAGE};

        /* first[] and last[] ascend. */
        if (t.last[rows - 1] < start || t.first[0] >= start + ATTEND_PAGE)
            continue;
        /* What no row sees is not read: it may never have been written. */
        if (t.last[rows - 1] < start + ATTEND_PAGE)
            t.depth = t.last[rows - 1] + (size_t)1 - start;
        tile_of_page(&t, step, x, rows);
    }
}

static void fast_pages(const struct attend_queries *q, const struct attend_keys *k, size_t from,
                       size_t to, const struct attend_state *s)
{
    _Alignas(64) struct work w;
    size_t first = q->first[0] / ATTEND_PAGE, end = q->last[q->rows - 1] / ATTEND_PAGE + 1;

    w.q = q;
    w.s = s;
    memset(w.sums, 0, q->rows * LANES * sizeof(*w.sums));
    for (size_t r = 0; r < q->rows; r++)
        s->most[r] = LOWEST;
    memset(s->out, 0, q->rows * q->width * sizeof(*s->out));
    from = from > first ? from : first;
    to = to < end ? to : end;
    for (size_t i = from; i < to; i++) {
        uint8_t *slot = attend_slot(k, i);

        all_rows(&w, KEYS, open_keys(k->type, slot, q->width, w.room), i * ATTEND_PAGE);
        all_rows(&w, VALUES, open_values(k->type, slot, q->width, w.room), i * ATTEND_PAGE);
    }
    for (size_t r = 0; r < q->rows; r++)
        s->sum[r] = vec16_sum(vec16_load(w.sums + r * LANES));
}

#define ATTEND_TABLE                                                                           \
    {                                                                                          \
        .store = fast_store, .pages = fast_pages                                               \
    }

#endif
