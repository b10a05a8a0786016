/* AVX-512 with VNNI: one vector is a whole block of 16 outputs. Two blocks against
 * eight tokens keep 16 sums in registers. */
#include <immintrin.h>
#include <string.h>

#include "engine/kernels/dense.h"
#include "engine/kernels/float_fast.h"

#define TOKENS 8
#define BLOCKS 2

static inline __attribute__((always_inline)) void tile(const struct dense_i8 *w, size_t block,
                                                       size_t blocks, const uint8_t *q,
                                                       size_t n, __m512i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + block * DENSE_ROWS * w->cols;
    size_t stride = DENSE_ROWS * w->cols;

    for (size_t t = 0; t < n; t++) {
        for (size_t b = 0; b < blocks; b++)
            acc[t][b] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m512i wv[BLOCKS];

        for (size_t b = 0; b < blocks; b++)
            wv[b] = _mm512_load_si512(p + b * stride);
        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m512i x;

            memcpy(&four, q + t * w->cols + i, sizeof(four));
            x = _mm512_set1_epi32(four);
            for (size_t b = 0; b < blocks; b++)
                acc[t][b] = _mm512_dpbusd_epi32(acc[t][b], x, wv[b]);
        }
    }
}

static inline void store16(const struct dense_i8 *w, size_t row, float scale, __m512i sum,
                           float *y)
{
    __m512i off = _mm512_loadu_si512(w->offsets + row);
    __m512 s = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(w->scales + row));
    __m512 v = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, off));

    _mm512_storeu_ps(y, _mm512_add_ps(_mm512_mul_ps(v, s), _mm512_loadu_ps(w->bias + row)));
}

static inline void store(const struct dense_i8 *w, size_t block, size_t blocks,
                         const float *scale, size_t n, __m512i acc[TOKENS][BLOCKS], float *y)
{
    for (size_t t = 0; t < n; t++) {
        for (size_t b = 0; b < blocks; b++)
            store16(w, (block + b) * DENSE_ROWS, scale[t], acc[t][b],
                    y + t * w->rows + (block + b) * DENSE_ROWS);
    }
}

static void matmul_i8(const struct dense_i8 *w, const uint8_t *q, const float *scale, size_t n,
                      float *y)
{
    size_t blocks = w->rows / DENSE_ROWS;

    for (size_t block = 0; block < blocks; block += BLOCKS) {
        size_t have = blocks - block < BLOCKS ? blocks - block : BLOCKS;

        for (size_t t = 0; t < n; t += TOKENS) {
            size_t m = n - t < TOKENS ? n - t : TOKENS;
            const uint8_t *from = q + t * w->cols;
            __m512i acc[TOKENS][BLOCKS];

            if (m == TOKENS && have == BLOCKS)
                tile(w, block, BLOCKS, from, TOKENS, acc);
            else
                tile(w, block, have, from, m, acc);
            store(w, block, have, scale + t, m, acc, y + t * w->rows);
        }
    }
}

static void matmul_f32(const struct dense_f32 *w, const float *x, size_t n, float *y)
{
    dense_avx2.matmul_f32(w, x, n, y);
}

const struct dense_kernels dense_avx512vnni = {
    .quantize = fast_quantize,
    .matmul_i8 = matmul_i8,
    .matmul_f32 = matmul_f32,
    .layer_norm = fast_layer_norm,
    .gelu = fast_gelu,
    .attention = fast_attention,
};
