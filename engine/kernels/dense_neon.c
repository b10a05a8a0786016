/* NEON without SDOT: products of signed bytes are added in 16 bits, four at a time, then in 32.
 * The weights of one sign among those four are 128 at most (dense_pack.c), inputs lie between
 * -128 and 127: sums reach 32640. */
#define TOKENS 4
#define BLOCKS 1
#define FEWER  2
#define LESS   128

#include <string.h>

#include "engine/kernels/dense_i8_body.h"

/* Four inputs in all lanes. */
static inline int8x16_t four_inputs(const uint8_t *p)
{
    uint32_t four;

    memcpy(&four, p, sizeof(four));
    return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
}

/* sum + weights of four rows with inputs a, and those of the next four columns with b. */
static inline int32x4_t products(int32x4_t sum, const int8_t *weights, int8x16_t a, int8x16_t b)
{
    int8x16_t v = vld1q_s8(weights), w = vld1q_s8(weights + 64);
    int16x8_t low = vmull_s8(vget_low_s8(v), vget_low_s8(a)), high = vmull_high_s8(v, a);

    low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(b));
    high = vmlal_high_s8(high, w, b);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;

    (void)blocks;
    for (size_t t = 0; t < n; t++)
        acc[t][0] = vec16i_zero();
    for (size_t i = 0; i < w->cols; i += 8, p += 128) {
        __builtin_prefetch(p + AHEAD_BYTES);
        __builtin_prefetch(p + AHEAD_BYTES + 64);
        for (size_t t = 0; t < n; t++) {
            int8x16_t a = four_inputs(x + t * w->cols + i);
            int8x16_t b = four_inputs(x + t * w->cols + i + 4);
            vec16i *to = &acc[t][0];

            to->a = products(to->a, p, a, b);
            to->b = products(to->b, p + 16, a, b);
            to->c = products(to->c, p + 32, a, b);
            to->d = products(to->d, p + 48, a, b);
        }
    }
}

BODY_KERNELS(dense_neon);
