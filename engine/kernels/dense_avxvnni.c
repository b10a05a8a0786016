/* AVX-VNNI: unsigned bytes times signed bytes, four at a time, into 32 bits. */
#include "engine/kernels/dense_body.h"

#include <string.h>

#define TOKENS 6
#define AHEAD  4096 /* bytes; the hardware's own reading ahead ends with the page */

static inline void tile(const struct dense_i8 *w, size_t row, const uint8_t *x, size_t n,
                        __m256i acc[TOKENS][2])
{
    const int8_t *p = w->weights + row * w->cols;

    for (size_t t = 0; t < n; t++)
        acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m256i w0 = _mm256_load_si256((const __m256i *)(const void *)p);
        __m256i w1 = _mm256_load_si256((const __m256i *)(const void *)(p + 32));

        _mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m256i v;

            memcpy(&four, x + t * w->cols + i, sizeof(four));
            v = _mm256_set1_epi32(four);
            acc[t][0] = _mm256_dpbusd_avx_epi32(acc[t][0], v, w0);
            acc[t][1] = _mm256_dpbusd_avx_epi32(acc[t][1], v, w1);
        }
    }
}

#include "engine/kernels/dense_half_body.h"

BODY_KERNELS(dense_avxvnni);
