/* AVX-512 with VNNI: one register is a whole block of 16 outputs. Two blocks against
 * eight tokens keep 16 sums in registers. */
#define TOKENS 8
#define BLOCKS 2
#define FEWER  4
#define LESS   0

#include <string.h>

#include "engine/kernels/dense_i8_body.h"

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;
    size_t stride = DENSE_ROWS * w->cols;

    for (size_t t = 0; t < n; t++) {
        for (size_t b = 0; b < blocks; b++)
            acc[t][b] = vec16i_zero();
    }
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m512i v[BLOCKS];

        for (size_t b = 0; b < blocks; b++) {
            v[b] = _mm512_load_si512(p + b * stride);
            __builtin_prefetch(p + b * stride + AHEAD_BYTES);
        }
        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m512i in;

            memcpy(&four, x + t * w->cols + i, sizeof(four));
            in = _mm512_set1_epi32(four);
            for (size_t b = 0; b < blocks; b++)
                acc[t][b].v = _mm512_dpbusd_epi32(acc[t][b].v, in, v[b]);
        }
    }
}

BODY_KERNELS(dense_avx512vnni);
