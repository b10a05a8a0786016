/* 256 bits: half a strip. Products of four unsigned codes and four inputs are added up in 32
 * bits from the first, so that bytes are made unsigned. */
#define BYTE_ZERO 128

#include "engine/kernels/quant_body.h"

static inline ints sum_begin(ints start)
{
    return start;
}

static inline ints sum_more(ints sum, ints codes, ints x)
{
    return _mm256_dpbusd_avx_epi32(sum, codes, x);
}

static inline ints sum_signed(ints sum, ints codes, ints x)
{
    return sum_more(sum, codes, x);
}

static inline ints sum_end(ints start, ints sum)
{
    (void)start;
    return sum;
}

const struct quant_kernels quant_avxvnni = QUANT_TABLE;
