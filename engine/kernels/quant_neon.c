/* NEON without SDOT: products of signed bytes are added up in 16 bits as long as they fit, each
 * in a lane of its own, and the four of a row at the end. */
#define BYTE_ZERO    0
#define SIGNED_CODES 1
#define COLUMNS      4
#define ABREAST      1
#define PANELS_SOON  0

#include "engine/kernels/quant_vec_body.h"

typedef struct {
    int16x8_t low, high;
} partial;

#include "engine/kernels/quant_body.h"

static inline partial sum_begin(ints start)
{
    const int16x8_t zero = vdupq_n_s16(0);

    (void)start;
    return (partial){zero, zero};
}

static inline partial sum_more(partial sum, ints codes, ints x)
{
    int8x16_t a = vreinterpretq_s8_u8(codes), b = vreinterpretq_s8_u8(x);

    return (partial){vmlal_s8(sum.low, vget_low_s8(a), vget_low_s8(b)),
                     vmlal_high_s8(sum.high, a, b)};
}

static inline partial sum_signed(partial sum, ints codes, ints x)
{
    return sum_more(sum, codes, x);
}

/* Two products are 32512 at most: 128 * 127 each. Two lanes of sums of `depth` products are
 * less than that. */
static inline ints sum_end(ints start, partial sum)
{
    return vreinterpretq_u8_s32(
        vpadalq_s16(vreinterpretq_s32_u8(start), vpaddq_s16(sum.low, sum.high)));
}

const struct quant_kernels quant_neon = QUANT_TABLE;
