/* AVX-VNNI: unsigned bytes times signed bytes, four at a time, into 32 bits. */
#define TOKENS 6
#define BLOCKS 1
#define FEWER  2
#define LESS   0

#include <string.h>

#include "engine/kernels/dense_i8_body.h"

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;

    (void)blocks;
    for (size_t t = 0; t < n; t++)
        acc[t][0] = vec16i_zero();
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m256i w0 = _mm256_load_si256((const __m256i *)(const void *)p);
        __m256i w1 = _mm256_load_si256((const __m256i *)(const void *)(p + 32));

        __builtin_prefetch(p + AHEAD_BYTES);
        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m256i v;

            memcpy(&four, x + t * w->cols + i, sizeof(four));
            v = _mm256_set1_epi32(four);
            acc[t][0].a = _mm256_dpbusd_avx_epi32(acc[t][0].a, v, w0);
            acc[t][0].b = _mm256_dpbusd_avx_epi32(acc[t][0].b, v, w1);
        }
    }
}

BODY_KERNELS(dense_avxvnni);
