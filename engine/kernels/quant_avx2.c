#include "engine/kernels/quant_body.h"

/* Pairs add up in 16 bits: 15 * 127 * 2 and 127 * 127 * 2 both fit. */
static inline __m256i dot4(__m256i acc, __m256i codes, __m256i q)
{
    __m256i pairs = _mm256_maddubs_epi16(codes, q);

    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* In 16 bits as long as they fit: two instructions for what takes three otherwise. */
static inline __m256i sum_more(__m256i acc, __m256i codes, __m256i q)
{
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(codes, q));
}

static inline __m256i sum_up(__m256i total, __m256i acc)
{
    return _mm256_add_epi32(total, _mm256_madd_epi16(acc, _mm256_set1_epi16(1)));
}

const struct quant_kernels quant_avx2 = QUANT_TABLE;
