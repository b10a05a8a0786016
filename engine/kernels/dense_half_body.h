/* Products of bytes where a block of rows is two registers: what is around tile(). */
#ifndef ENGINE_KERNELS_DENSE_HALF_BODY_H
#define ENGINE_KERNELS_DENSE_HALF_BODY_H

#include "engine/kernels/dense_body.h"

/* acc - zero * sums, as floats */
static inline __m256 half_total(__m256i acc, int32_t zero, const int32_t *sums)
{
    __m256i s = _mm256_loadu_si256((const __m256i *)(const void *)sums);

    return _mm256_cvtepi32_ps(
        _mm256_sub_epi32(acc, _mm256_mullo_epi32(_mm256_set1_epi32(zero), s)));
}

static inline void half_tokens(const struct dense_i8 *w, size_t row,
                               const struct dense_bytes *x, size_t t, size_t n, float *y)
{
    __m256i acc[TOKENS][2];

    tile(w, row, x->bytes + t * w->cols, n, acc);
    for (size_t k = 0; k < n; k++) {
        vec16 total = {half_total(acc[k][0], x->zero[t + k], w->sums + row),
                       half_total(acc[k][1], x->zero[t + k], w->sums + row + 8)};

        body_store_i8(w, row, total, x->scale[t + k], y + (t + k) * w->rows + row);
    }
}

static void matmul_i8(const struct dense_i8 *w, const struct dense_bytes *x, size_t n,
                      size_t from, size_t to, float *y)
{
    for (size_t row = from; row < to; row += DENSE_ROWS) {
        size_t t = 0;

        for (; t + TOKENS <= n; t += TOKENS)
            half_tokens(w, row, x, t, TOKENS, y);
        for (; t + 2 <= n; t += 2)
            half_tokens(w, row, x, t, 2, y);
        if (t < n)
            half_tokens(w, row, x, t, 1, y);
    }
}

#endif
