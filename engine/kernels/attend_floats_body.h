/* The two products of attention where keys and values are floats or halves, which become
 * floats in registers. Included by attend_body.h. */
#ifndef ENGINE_KERNELS_ATTEND_FLOATS_BODY_H
#define ENGINE_KERNELS_ATTEND_FLOATS_BODY_H

#include <string.h>

#include "engine/kernels/attend_tile_body.h"

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
    uint16_t *values = slot + ATTEND_PAGE * width + at * width, k[LANES];

    for (size_t c = 0; c < width; c += LANES) {
        vec16_store_halves(k, vec16_load(key + c));
        for (size_t i = 0; i < LANES; i++)
            slot[(c + i) * ATTEND_PAGE + at] = k[i];
        vec16_store_halves(values + c, vec16_load(value + c));
    }
}

/* Numbers i..i + LANES of a slot. */
INLINE vec16 numbers(const void *slot, size_t i, bool half)
{
    return half ? vec16_halves((const uint16_t *)slot + i)
                : vec16_load((const float *)slot + i);
}

/* acc[r][.] = a[r * lda + k] * b[k * ldb + .] over k < depth; b: where in the slot */
INLINE void multiply(const float *a, size_t lda, const void *slot, bool half, size_t b,
                     size_t ldb, size_t depth, ptrdiff_t ahead, size_t rows, size_t vecs,
                     vec16 acc[TILE_ROWS][TILE_VECS])
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            acc[r][i] = vec16_all(0);
    }
    for (size_t k = 0; k < depth; k++, b += ldb) {
        vec16 v[TILE_VECS];

        for (size_t i = 0; i < vecs; i++) {
            if (!half || i % 2 == 0)
                fetch((const char *)slot + (b + i * LANES) * (half ? 2 : 4), ahead);
            v[i] = numbers(slot, b + i * LANES, half);
        }
        for (size_t r = 0; r < rows; r++) {
            vec16 x = vec16_all(a[r * lda + k]);

            for (size_t i = 0; i < vecs; i++)
                acc[r][i] = vec16_fma(x, v[i], acc[r][i]);
        }
    }
}

INLINE void float_scores(const struct tile *t, const void *slot, bool half, size_t rows)
{
    for (size_t j = 0; j < ATTEND_PAGE; j += TILE_VECS * LANES) {
        vec16 acc[TILE_ROWS][TILE_VECS];

        multiply(t->q, t->width, slot, half, j, ATTEND_PAGE, t->width, t->ahead, rows,
                 TILE_VECS, acc);
        for (size_t r = 0; r < rows; r++) {
            for (size_t i = 0; i < TILE_VECS; i++)
                vec16_store(t->p[r] + j + i * LANES, acc[r][i]);
        }
    }
}

INLINE void float_values(const struct tile *t, const void *slot, bool half, size_t c,
                         size_t rows, size_t vecs)
{
    vec16 acc[TILE_ROWS][TILE_VECS];

    multiply(t->p[0], ATTEND_PAGE, slot, half, ATTEND_PAGE * t->width + c, t->width, t->depth,
             t->ahead, rows, vecs, acc);
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < vecs; i++)
            add_to_out(t, r, c + i * LANES, acc[r][i], t->weight[r]);
    }
}

INLINE void float_sums(const struct tile *t, const void *slot, bool half, size_t rows)
{
    size_t c = 0;

    for (; c + TILE_VECS * LANES <= t->width; c += TILE_VECS * LANES)
        float_values(t, slot, half, c, rows, TILE_VECS);
    for (; c < t->width; c += LANES)
        float_values(t, slot, half, c, rows, 1);
}

#endif
