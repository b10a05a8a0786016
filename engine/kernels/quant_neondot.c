/* SDOT: products of four signed codes and four inputs are added up in 32 bits. */
#define BYTE_ZERO    0
#define SIGNED_CODES 1
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
    return vreinterpretq_u8_s32(vdotq_s32(vreinterpretq_s32_u8(sum), vreinterpretq_s8_u8(codes),
                                          vreinterpretq_s8_u8(x)));
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

const struct quant_kernels quant_neondot = QUANT_TABLE;
