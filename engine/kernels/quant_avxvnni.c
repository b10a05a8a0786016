#include "engine/kernels/quant_body.h"

static inline __m256i dot4(__m256i acc, __m256i codes, __m256i q)
{
    return _mm256_dpbusd_avx_epi32(acc, codes, q);
}

/* Sums are of 32 bits from the first. */
static inline __m256i sum_more(__m256i acc, __m256i codes, __m256i q)
{
    return dot4(acc, codes, q);
}

static inline __m256i sum_up(__m256i total, __m256i acc)
{
    return _mm256_add_epi32(total, acc);
}

const struct quant_kernels quant_avxvnni = QUANT_TABLE;
