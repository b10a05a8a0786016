/* SDOT: signed bytes, four at a time, into 32 bits, the inputs taken from a register of
 * sixteen. Twenty of 32 registers hold sums. */
#define TOKENS 5
#define BLOCKS 1
#define FEWER  2
#define LESS   128

#include "engine/kernels/dense_i8_body.h"

/* sum + products of four weights a lane with inputs 4 * four... The instruction has the number
 * in it. */
static inline int32x4_t products(int32x4_t sum, const int8_t *weights, int8x16_t in,
                                 size_t four)
{
    int8x16_t v = vld1q_s8(weights);

    switch (four) {
    case 0:
        return vdotq_laneq_s32(sum, v, in, 0);
    case 1:
        return vdotq_laneq_s32(sum, v, in, 1);
    case 2:
        return vdotq_laneq_s32(sum, v, in, 2);
    default:
        return vdotq_laneq_s32(sum, v, in, 3);
    }
}

static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS])
{
    const int8_t *p = w->weights + row * w->cols;
    const uint8x16_t sign = vdupq_n_u8(LESS);

    (void)blocks;
    for (size_t t = 0; t < n; t++)
        acc[t][0] = vec16i_zero();
    for (size_t i = 0; i < w->cols; i += 16) {
        int8x16_t in[TOKENS];

        for (size_t t = 0; t < n; t++)
            in[t] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x + t * w->cols + i), sign));
        for (size_t four = 0; four < 4; four++, p += 64) {
            __builtin_prefetch(p + AHEAD_BYTES);
            for (size_t t = 0; t < n; t++) {
                vec16i *to = &acc[t][0];

                to->a = products(to->a, p, in[t], four);
                to->b = products(to->b, p + 16, in[t], four);
                to->c = products(to->c, p + 32, in[t], four);
                to->d = products(to->d, p + 48, in[t], four);
            }
        }
    }
}

BODY_KERNELS(dense_neondot);
