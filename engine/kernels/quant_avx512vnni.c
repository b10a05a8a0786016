/* 512 bits: a strip. Products of four unsigned codes and four inputs are added up in 32 bits
 * from the first, so that bytes are made unsigned. */
#define BYTE_ZERO 128

#include "engine/kernels/quant_body.h"

static inline ints sum_begin(ints start)
{
    return start;
}

static inline ints sum_more(ints sum, ints codes, ints x)
{
    return _mm512_dpbusd_epi32(sum, codes, x);
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

const struct quant_kernels quant_avx512vnni = QUANT_TABLE;
