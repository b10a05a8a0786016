/* 512 bits: a strip. Products of four unsigned codes and four inputs are added up in 32 bits
 * from the first, so that bytes are made unsigned. */
#define BYTE_ZERO    128
#define SIGNED_CODES 0
#define COLUMNS      8
#define ABREAST      1
#define PANELS_SOON  0

#include "engine/kernels/quant_vec_body.h"

typedef ints partial;

#include "engine/kernels/quant_body.h"

static inline partial sum_begin(ints start)
{
    return start;
}

static inline partial sum_more(partial sum, ints codes, ints x)
{
    return _mm512_dpbusd_epi32(sum, codes, x);
}

static inline partial sum_signed(partial sum, ints codes, ints x)
{
    return sum_more(sum, codes, x);
}

static inline ints sum_end(ints start, partial sum)
{
    (void)start;
    return sum;
}

const struct quant_kernels quant_avx512vnni = QUANT_TABLE;
