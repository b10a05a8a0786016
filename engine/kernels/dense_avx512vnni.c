/* AVX-512 with VNNI: one register is a whole block of 16 outputs. Two blocks against
 * eight tokens keep 16 sums in registers. */
#include "engine/kernels/dense_body.h"

#include <string.h>

#define TOKENS 8
#define BLOCKS 2
#define AHEAD  4096 /* bytes; the hardware's own reading ahead ends with the page */

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, __m512i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;
    size_t stride = DENSE_ROWS * w->cols;

    for (size_t t = 0; t < n; t++) {
        for (size_t b = 0; b < blocks; b++)
            acc[t][b] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m512i v[BLOCKS];

        for (size_t b = 0; b < blocks; b++) {
            v[b] = _mm512_load_si512(p + b * stride);
            _mm_prefetch((const char *)p + b * stride + AHEAD, _MM_HINT_T0);
        }
        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m512i in;

            memcpy(&four, x + t * w->cols + i, sizeof(four));
            in = _mm512_set1_epi32(four);
            for (size_t b = 0; b < blocks; b++)
                acc[t][b] = _mm512_dpbusd_epi32(acc[t][b], in, v[b]);
        }
    }
}

static inline void tokens(const struct dense_i8 *w, size_t row, size_t blocks,
                          const struct dense_bytes *x, size_t t, size_t n, float *y)
{
    __m512i acc[TOKENS][BLOCKS];

    tile(w, row, blocks, x->bytes + t * w->cols, n, acc);
    for (size_t k = 0; k < n; k++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t at = row + b * DENSE_ROWS;
            __m512i none = _mm512_mullo_epi32(_mm512_set1_epi32(x->zero[t + k]),
                                              _mm512_loadu_si512(w->sums + at));
            vec16 total = {_mm512_cvtepi32_ps(_mm512_sub_epi32(acc[k][b], none))};

            body_store_i8(w, at, total, x->scale[t + k], y + (t + k) * w->rows + at);
        }
    }
}

static inline void rows(const struct dense_i8 *w, size_t row, size_t blocks,
                        const struct dense_bytes *x, size_t n, float *y)
{
    size_t t = 0;

    for (; t + TOKENS <= n; t += TOKENS)
        tokens(w, row, blocks, x, t, TOKENS, y);
    for (; t + 4 <= n; t += 4)
        tokens(w, row, blocks, x, t, 4, y);
    for (; t < n; t++)
        tokens(w, row, blocks, x, t, 1, y);
}

static void matmul_i8(const struct dense_i8 *w, const struct dense_bytes *x, size_t n,
                      size_t from, size_t to, float *y)
{
    size_t row = from;

    for (; row + BLOCKS * DENSE_ROWS <= to; row += BLOCKS * DENSE_ROWS)
        rows(w, row, BLOCKS, x, n, y);
    if (row < to)
        rows(w, row, 1, x, n, y);
}

BODY_KERNELS(dense_avx512vnni);
