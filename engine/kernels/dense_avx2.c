/* AVX2: products of unsigned and signed bytes: pairs are added in 16 bits by the instruction,
 * two of those by us (the weights are rounded so that they fit), then all in 32. */
#define TOKENS 4
#define BLOCKS 1
#define FEWER  2
#define LESS   0

#include <string.h>

#include "engine/kernels/dense_i8_body.h"

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

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;
    const __m256i ones = _mm256_set1_epi16(1);

    (void)blocks;
    for (size_t t = 0; t < n; t++)
        acc[t][0] = vec16i_zero();
    for (size_t i = 0; i < w->cols; i += 8, p += 128) {
        __builtin_prefetch(p + AHEAD_BYTES);
        __builtin_prefetch(p + AHEAD_BYTES + 64);
        for (size_t t = 0; t < n; t++) {
            __m256i a = four_inputs(x + t * w->cols + i),
                    b = four_inputs(x + t * w->cols + i + 4);
            __m256i low = _mm256_add_epi16(_mm256_maddubs_epi16(a, load(p)),
                                           _mm256_maddubs_epi16(b, load(p + 64)));
            __m256i high = _mm256_add_epi16(_mm256_maddubs_epi16(a, load(p + 32)),
                                            _mm256_maddubs_epi16(b, load(p + 96)));

            acc[t][0].a = _mm256_add_epi32(acc[t][0].a, _mm256_madd_epi16(low, ones));
            acc[t][0].b = _mm256_add_epi32(acc[t][0].b, _mm256_madd_epi16(high, ones));
        }
    }
}

BODY_KERNELS(dense_avx2);
