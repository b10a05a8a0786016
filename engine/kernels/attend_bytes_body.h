/* The two products of attention where keys and values are bytes: whole numbers of 16 bits
 * times bytes, two neighbours added at once. Included by attend_body.h.
 *
 * The largest sum of the first is 32767 * 127 * ATTEND_BLOCK, of the second 32767 * 127 *
 * ATTEND_PAGE: both fit 32 bits. */
#ifndef ENGINE_KERNELS_ATTEND_BYTES_BODY_H
#define ENGINE_KERNELS_ATTEND_BYTES_BODY_H

#include <string.h>

#include "engine/kernels/attend_tile_body.h"

#define WORD_MOST 32767.0f
#define BLOCKS    (ATTEND_WIDTH_MAX / ATTEND_BLOCK)

_Static_assert(ATTEND_PAGE == 2 * LANES, "a page is two vectors of scores");

/* --- numbers into whole ones ---------------------------------------------------------- */

/* x[n] = q * the scale that is returned; q is `most` at most. n: a multiple of LANES. */
INLINE float quantize(const float *x, size_t n, float most, int16_t *q)
{
    vec16 largest = vec16_all(0), factor;
    float size;

    for (size_t i = 0; i < n; i += LANES)
        largest = vec16_max(vec16_abs(vec16_load(x + i)), largest);
    size = vec16_largest(largest);
    factor = vec16_all(size > ATTEND_TINY ? most / size : 0);
    for (size_t i = 0; i < n; i += LANES) {
        vec16 v = vec16_mul(vec16_load(x + i), factor);

        v = vec16_min(vec16_max(v, vec16_all(-most)), vec16_all(most));
        vec16_store_words(q + i, v);
    }
    return size / most;
}

/* y = H x for each run of attend_q8_mixed() dimensions. */
static void mix(const float *x, size_t width, float *y)
{
    size_t n = attend_q8_mixed(width) / LANES;
    vec16 v[ATTEND_WIDTH_MAX / LANES];

    for (size_t i = 0; i < width / LANES; i++)
        v[i] = vec16_hadamard(vec16_load(x + i * LANES));
    for (size_t step = 1; step < n; step *= 2) {
        for (size_t i = 0; i < width / LANES; i++) {
            vec16 a = v[i];

            if ((i & step) != 0)
                continue;
            v[i] = vec16_add(a, v[i + step]);
            v[i + step] = vec16_sub(a, v[i + step]);
        }
    }
    for (size_t i = 0; i < width / LANES; i++)
        vec16_store(y + i * LANES, v[i]);
}

/* Queries for such keys. */
static float quantize_query(const float *x, size_t width, int16_t *q)
{
    float mixed[ATTEND_WIDTH_MAX];

    mix(x, width, mixed);
    return quantize(mixed, width, WORD_MOST, q) / (float)attend_q8_mixed(width);
}

static void store_q8(uint8_t *slot, size_t at, size_t width, const float *key,
                     const float *value)
{
    struct attend_q8 p = attend_q8_at(slot, width);
    float mixed[ATTEND_WIDTH_MAX];
    int16_t q[ATTEND_BLOCK];

    mix(key, width, mixed);

    for (size_t b = 0; b < p.blocks; b++) {
        size_t from = b * ATTEND_BLOCK, n = attend_q8_length(width, from);

        p.key_scales[b * ATTEND_PAGE + at] = quantize(mixed + from, n, 127, q);
        for (size_t i = 0; i < n; i++)
            p.keys[attend_q8_key(at, from + i)] = (int8_t)q[i];
        p.value_scales[b * ATTEND_PAGE + at] = quantize(value + from, n, 127, q);
        for (size_t i = 0; i < n; i++)
            p.values[attend_q8_value(at, from + i, width)] = (int8_t)q[i];
    }
}

/* The scales of a page's values for weights of 16 bits: weight * share[b][j] is its whole
 * number, in units of unit[b]. Of the positions that a row may see and no others, or what a
 * prompt becomes would depend on where it is cut. */
struct shares {
    float share[BLOCKS][ATTEND_PAGE];
    float unit[BLOCKS];
};

/* Positions behind `depth` may never have been written: their share is 0. */
static void set_shares(const struct attend_q8 *p, size_t depth, ptrdiff_t ahead,
                       struct shares *s)
{
    for (size_t b = 0; b < p->blocks; b++) {
        const float *from = p->value_scales + b * ATTEND_PAGE;
        float left[ATTEND_PAGE] = {0}, most;
        vec16 factor;

        for (size_t j = 0; j < ATTEND_PAGE; j += LANES) {
            fetch(p->key_scales + b * ATTEND_PAGE + j, ahead);
            fetch(from + j, ahead);
        }
        if (depth < ATTEND_PAGE)
            from = memcpy(left, from, depth * sizeof(*left));
        most = vec16_largest(vec16_max(vec16_load(from), vec16_load(from + LANES)));
        factor = vec16_all(most > 0 ? WORD_MOST / most : 0);
        for (size_t j = 0; j < ATTEND_PAGE; j += LANES)
            vec16_store(s->share[b] + j, vec16_mul(vec16_load(from + j), factor));
        s->unit[b] = most / WORD_MOST;
    }
}

/* --- products ------------------------------------------------------------------------- */

/* acc[r][.] = a[r * lda + 2 k, + 1] * b[k * ldb + ., + 1] over pairs k < n */
INLINE void multiply_pairs(const int16_t *a, size_t lda, const int8_t *b, size_t ldb, size_t n,
                           ptrdiff_t ahead, size_t rows, size_t vecs,
                           vec16i acc[TILE_ROWS][TILE_VECS])
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            acc[r][i] = vec16i_zero();
    }
    /* Rolled up, the compiler copies all sums in each round. */
#pragma GCC unroll 8
    for (size_t k = 0; k < n; k++, b += ldb) {
        vec16_pairs v[TILE_VECS];

        fetch(b, ahead);
        for (size_t i = 0; i < vecs; i++)
            v[i] = vec16_pairs_load(b + i * 2 * LANES);
        for (size_t r = 0; r < rows; r++) {
            vec16_pair x = vec16_pair_load(a + r * lda + 2 * k);

            for (size_t i = 0; i < vecs; i++)
                acc[r][i] = vec16i_dot(acc[r][i], v[i], x);
        }
    }
}

INLINE void byte_scores(const struct tile *t, const struct attend_q8 *p, size_t rows)
{
    for (size_t j = 0; j < ATTEND_PAGE; j += TILE_VECS * LANES) {
        for (size_t b = 0; b < p->blocks; b++) {
            size_t from = b * ATTEND_BLOCK, n = attend_q8_length(t->width, from);
            const float *scales = p->key_scales + b * ATTEND_PAGE + j;
            vec16i acc[TILE_ROWS][TILE_VECS];

            multiply_pairs(t->q16 + from, t->width, p->keys + attend_q8_key(j, from),
                           2 * ATTEND_PAGE, n / 2, t->ahead, rows, TILE_VECS, acc);
            for (size_t r = 0; r < rows; r++) {
                for (size_t i = 0; i < TILE_VECS; i++) {
                    float *s = t->p[r] + j + i * LANES;
                    vec16 factor =
                        vec16_mul(vec16_load(scales + i * LANES), vec16_all(t->q_scale[r]));
                    vec16 v = vec16_of(acc[r][i]);

                    vec16_store(s, b == 0 ? vec16_mul(v, factor)
                                          : vec16_fma(v, factor, vec16_load(s)));
                }
            }
        }
    }
}

/* Bytes of positions behind t->depth count as well: their weights are 0. */
INLINE void byte_values(const struct tile *t, const struct attend_q8 *p,
                        const int16_t (*words)[ATTEND_PAGE], size_t b, size_t c, size_t rows,
                        size_t vecs)
{
    vec16i acc[TILE_ROWS][TILE_VECS];

    multiply_pairs(words[0], ATTEND_PAGE, p->values + 2 * c, 2 * t->width, ATTEND_PAGE / 2,
                   t->ahead, rows, vecs, acc);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            add_to_out(t, r, c + i * LANES, vec16_of(acc[r][i]),
                       t->weight[r] * t->shares[r]->unit[b]);
    }
}

INLINE void byte_sums(const struct tile *t, const struct attend_q8 *p, size_t rows)
{
    int16_t words[TILE_ROWS][ATTEND_PAGE];

    for (size_t b = 0; b < p->blocks; b++) {
        size_t c = b * ATTEND_BLOCK, end = c + attend_q8_length(t->width, c);

        for (size_t r = 0; r < rows; r++) {
            for (size_t j = 0; j < ATTEND_PAGE; j += LANES)
                vec16_store_words(
                    words[r] + j,
                    vec16_mul(vec16_load(t->p[r] + j), vec16_load(t->shares[r]->share[b] + j)));
        }
        for (; c + TILE_VECS * LANES <= end; c += TILE_VECS * LANES)
            byte_values(t, p, (const int16_t(*)[ATTEND_PAGE])words, b, c, rows, TILE_VECS);
        for (; c < end; c += LANES)
            byte_values(t, p, (const int16_t(*)[ATTEND_PAGE])words, b, c, rows, 1);
    }
}

#endif
