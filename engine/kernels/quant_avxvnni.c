#include "engine/kernels/quant_body.h"

static inline __m256i dot4(__m256i acc, __m256i codes, __m256i q)
{
    return _mm256_dpbusd_avx_epi32(acc, codes, q);
}

const struct quant_kernels quant_avxvnni = QUANT_TABLE;
