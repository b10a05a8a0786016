/* AVX2 and FMA. Bytes times bytes: pairs are added in 16 bits by the instruction, two of
 * those by us (the weights are rounded so that they fit), then all in 32. */
#include "engine/kernels/dense_body.h"

#include <string.h>

#define TOKENS 4
#define AHEAD  4096 /* bytes; the hardware's own reading ahead ends with the page */

static inline __m256i load(const int8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

static inline __m256i four_inputs(const uint8_t *p)
{
    int32_t four;

    memcpy(&four, p, sizeof(four));
    return _mm256_set1_epi32(four);
}

/* `n` (1..TOKENS) tokens against one block of rows. */
static inline void tile(const struct dense_i8 *w, size_t row, const uint8_t *x, size_t n,
                        __m256i acc[TOKENS][2])
{
    const int8_t *p = w->weights + row * w->cols;
    const __m256i ones = _mm256_set1_epi16(1);

    for (size_t t = 0; t < n; t++)
        acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < w->cols; i += 8, p += 128) {
        _mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)p + AHEAD + 64, _MM_HINT_T0);
        for (size_t t = 0; t < n; t++) {
            __m256i a = four_inputs(x + t * w->cols + i),
                    b = four_inputs(x + t * w->cols + i + 4);
            __m256i low = _mm256_add_epi16(_mm256_maddubs_epi16(a, load(p)),
                                           _mm256_maddubs_epi16(b, load(p + 64)));
            __m256i high = _mm256_add_epi16(_mm256_maddubs_epi16(a, load(p + 32)),
                                            _mm256_maddubs_epi16(b, load(p + 96)));

            acc[t][0] = _mm256_add_epi32(acc[t][0], _mm256_madd_epi16(low, ones));
            acc[t][1] = _mm256_add_epi32(acc[t][1], _mm256_madd_epi16(high, ones));
        }
    }
}

#include "engine/kernels/dense_half_body.h"

BODY_KERNELS(dense_avx2);
