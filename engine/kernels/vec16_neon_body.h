/* Sixteen floats, or whole numbers of 32 bits, in four registers (vec16_body.h, which includes
 * this file for aarch64). */
#ifndef ENGINE_KERNELS_VEC16_NEON_BODY_H
#define ENGINE_KERNELS_VEC16_NEON_BODY_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float32x4_t a, b, c, d;
} vec16;

typedef struct {
    int32x4_t a, b, c, d;
} vec16i;

#define VEC16_1(f, x)    ((vec16){f(x.a), f(x.b), f(x.c), f(x.d)})
#define VEC16_2(f, x, y) ((vec16){f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)})

static inline vec16 vec16_all(float x)
{
    float32x4_t v = vdupq_n_f32(x);

    return (vec16){v, v, v, v};
}

static inline vec16 vec16_load(const float *p)
{
    return (vec16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

static inline void vec16_store(float *p, vec16 a)
{
    vst1q_f32(p, a.a);
    vst1q_f32(p + 4, a.b);
    vst1q_f32(p + 8, a.c);
    vst1q_f32(p + 12, a.d);
}

static inline vec16 vec16_add(vec16 a, vec16 b)
{
    return VEC16_2(vaddq_f32, a, b);
}

static inline vec16 vec16_sub(vec16 a, vec16 b)
{
    return VEC16_2(vsubq_f32, a, b);
}

static inline vec16 vec16_mul(vec16 a, vec16 b)
{
    return VEC16_2(vmulq_f32, a, b);
}

static inline vec16 vec16_div(vec16 a, vec16 b)
{
    return VEC16_2(vdivq_f32, a, b);
}

static inline vec16 vec16_fma(vec16 a, vec16 b, vec16 c)
{
    return (vec16){vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b), vfmaq_f32(c.c, a.c, b.c),
                   vfmaq_f32(c.d, a.d, b.d)};
}

/* FMIN and FMAX would give NaN where one of them is. */
static inline float32x4_t vec16_min_quarter(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

static inline float32x4_t vec16_max_quarter(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vec16 vec16_min(vec16 a, vec16 b)
{
    return VEC16_2(vec16_min_quarter, a, b);
}

static inline vec16 vec16_max(vec16 a, vec16 b)
{
    return VEC16_2(vec16_max_quarter, a, b);
}

static inline float32x4_t vec16_with_quarter(float32x4_t a, uint32_t i, float x)
{
    static const uint32_t lanes[4] = {0, 1, 2, 3};

    return vbslq_f32(vceqq_u32(vld1q_u32(lanes), vdupq_n_u32(i)), vdupq_n_f32(x), a);
}

static inline vec16 vec16_with(vec16 a, size_t i, float x)
{
    uint32_t at = (uint32_t)i;

    return (vec16){vec16_with_quarter(a.a, at, x), vec16_with_quarter(a.b, at - 4, x),
                   vec16_with_quarter(a.c, at - 8, x), vec16_with_quarter(a.d, at - 12, x)};
}

static inline vec16 vec16_round(vec16 a)
{
    return VEC16_1(vrndnq_f32, a);
}

static inline float32x4_t vec16_exp2_quarter(float32x4_t n)
{
    int32x4_t i = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));

    return vreinterpretq_f32_s32(vshlq_n_s32(i, 23));
}

static inline vec16 vec16_exp2(vec16 n)
{
    return VEC16_1(vec16_exp2_quarter, n);
}

static inline vec16 vec16_abs(vec16 a)
{
    return VEC16_1(vabsq_f32, a);
}

static inline float32x4_t vec16_with_sign_quarter(float32x4_t a, float32x4_t s)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), s, a);
}

static inline vec16 vec16_with_sign(vec16 a, vec16 s)
{
    return VEC16_2(vec16_with_sign_quarter, a, s);
}

static inline vec16i vec16_whole(vec16 a)
{
    return (vec16i){vcvtnq_s32_f32(a.a), vcvtnq_s32_f32(a.b), vcvtnq_s32_f32(a.c),
                    vcvtnq_s32_f32(a.d)};
}

static inline void vec16_store_bytes(uint8_t *p, vec16 a)
{
    vec16i i = vec16_whole(a);
    int16x8_t low = vcombine_s16(vmovn_s32(i.a), vmovn_s32(i.b));
    int16x8_t high = vcombine_s16(vmovn_s32(i.c), vmovn_s32(i.d));

    vst1q_u8(p, vreinterpretq_u8_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high))));
}

static inline void vec16_store_signed(int8_t *p, vec16 a)
{
    vec16_store_bytes((uint8_t *)p, a);
}

static inline int16x8_t vec16_words_half(int32x4_t a, int32x4_t b)
{
    return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
}

static inline void vec16_store_words(int16_t *p, vec16 a)
{
    vec16i i = vec16_whole(a);

    vst1q_s16(p, vec16_words_half(i.a, i.b));
    vst1q_s16(p + 8, vec16_words_half(i.c, i.d));
}

static inline float32x4_t vec16_turned(float32x4_t v, uint32x4_t sign)
{
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(v), sign));
}

static inline float32x4_t vec16_hadamard_quarter(float32x4_t v)
{
    static const uint32_t one[4] = {0, 0x80000000u, 0, 0x80000000u};
    static const uint32_t two[4] = {0, 0, 0x80000000u, 0x80000000u};

    v = vaddq_f32(vrev64q_f32(v), vec16_turned(v, vld1q_u32(one)));
    return vaddq_f32(vextq_f32(v, v, 2), vec16_turned(v, vld1q_u32(two)));
}

static inline vec16 vec16_hadamard(vec16 v)
{
    vec16 q = VEC16_1(vec16_hadamard_quarter, v);
    float32x4_t a = vaddq_f32(q.a, q.b), b = vsubq_f32(q.a, q.b);
    float32x4_t c = vaddq_f32(q.c, q.d), d = vsubq_f32(q.c, q.d);

    return (vec16){vaddq_f32(a, c), vaddq_f32(b, d), vsubq_f32(a, c), vsubq_f32(b, d)};
}

static inline void vec16_store_halves(uint16_t *p, vec16 a)
{
    vst1q_u16(p, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a.a), a.b)));
    vst1q_u16(p + 8, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a.c), a.d)));
}

static inline vec16 vec16_halves(const void *p)
{
    const uint8_t *from = p;
    float16x8_t low = vreinterpretq_f16_u8(vld1q_u8(from));
    float16x8_t high = vreinterpretq_f16_u8(vld1q_u8(from + 16));

    return (vec16){vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low),
                   vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)};
}

static inline vec16 vec16_bf16(const void *p)
{
    const uint8_t *from = p;
    uint16x8_t low = vreinterpretq_u16_u8(vld1q_u8(from));
    uint16x8_t high = vreinterpretq_u16_u8(vld1q_u8(from + 16));

    return (vec16){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(low), 16)),
                   vreinterpretq_f32_u32(vshll_high_n_u16(low, 16)),
                   vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(high), 16)),
                   vreinterpretq_f32_u32(vshll_high_n_u16(high, 16))};
}

static inline float vec16_half_rounded(float x)
{
    return (float)(float16_t)x;
}

static inline vec16i vec16i_zero(void)
{
    int32x4_t v = vdupq_n_s32(0);

    return (vec16i){v, v, v, v};
}

static inline vec16i vec16i_less_times(vec16i a, const int32_t *p, int32_t x)
{
    return (vec16i){vmlsq_n_s32(a.a, vld1q_s32(p), x), vmlsq_n_s32(a.b, vld1q_s32(p + 4), x),
                    vmlsq_n_s32(a.c, vld1q_s32(p + 8), x),
                    vmlsq_n_s32(a.d, vld1q_s32(p + 12), x)};
}

static inline vec16 vec16_of(vec16i a)
{
    return (vec16){vcvtq_f32_s32(a.a), vcvtq_f32_s32(a.b), vcvtq_f32_s32(a.c),
                   vcvtq_f32_s32(a.d)};
}

/* The first of each pair, and the second. */
typedef struct {
    int16x8_t first[2], second[2];
} vec16_pairs;

typedef int16x4_t vec16_pair;

static inline vec16_pairs vec16_pairs_load(const int8_t *p)
{
    int8x16x2_t v = vld2q_s8(p);

    return (vec16_pairs){{vmovl_s8(vget_low_s8(v.val[0])), vmovl_high_s8(v.val[0])},
                         {vmovl_s8(vget_low_s8(v.val[1])), vmovl_high_s8(v.val[1])}};
}

static inline vec16_pair vec16_pair_load(const int16_t *p)
{
    int32_t pair;

    memcpy(&pair, p, sizeof(pair));
    return vreinterpret_s16_s32(vdup_n_s32(pair));
}

static inline vec16i vec16i_dot(vec16i acc, vec16_pairs a, vec16_pair b)
{
    acc.a = vmlal_lane_s16(acc.a, vget_low_s16(a.first[0]), b, 0);
    acc.b = vmlal_high_lane_s16(acc.b, a.first[0], b, 0);
    acc.c = vmlal_lane_s16(acc.c, vget_low_s16(a.first[1]), b, 0);
    acc.d = vmlal_high_lane_s16(acc.d, a.first[1], b, 0);
    acc.a = vmlal_lane_s16(acc.a, vget_low_s16(a.second[0]), b, 1);
    acc.b = vmlal_high_lane_s16(acc.b, a.second[0], b, 1);
    acc.c = vmlal_lane_s16(acc.c, vget_low_s16(a.second[1]), b, 1);
    acc.d = vmlal_high_lane_s16(acc.d, a.second[1], b, 1);
    return acc;
}

static inline float vec16_sum(vec16 a)
{
    float32x4_t q = vaddq_f32(vaddq_f32(a.a, a.c), vaddq_f32(a.b, a.d));
    float32x2_t two = vadd_f32(vget_low_f32(q), vget_high_f32(q));

    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float vec16_largest(vec16 a)
{
    return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a.a, a.c), vmaxnmq_f32(a.b, a.d)));
}

#endif
