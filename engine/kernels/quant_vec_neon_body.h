/* Vectors of 128 bits: a quarter of a strip (quant_vec_body.h, which includes this file for
 * aarch64). */
#ifndef ENGINE_KERNELS_QUANT_VEC_NEON_BODY_H
#define ENGINE_KERNELS_QUANT_VEC_NEON_BODY_H

#include <arm_neon.h>

#define LANES 4

typedef uint8x16_t ints;
typedef float32x4_t floats;
typedef uint8x16_t table16;

INLINE table16 table_load(const int8_t *p)
{
    return vreinterpretq_u8_s8(vld1q_s8(p));
}

INLINE ints ints_load(const void *p)
{
    return vld1q_u8(p);
}

INLINE void ints_store(void *p, ints v)
{
    vst1q_u8(p, v);
}

INLINE ints ints_zero(void)
{
    return vdupq_n_u8(0);
}

INLINE ints ints_bytes(int v)
{
    return vdupq_n_u8((uint8_t)v);
}

INLINE ints ints_all(int v)
{
    return vreinterpretq_u8_s32(vdupq_n_s32(v));
}

INLINE ints ints_and(ints a, ints b)
{
    return vandq_u8(a, b);
}

INLINE ints ints_or(ints a, ints b)
{
    return vorrq_u8(a, b);
}

INLINE ints ints_xor(ints a, ints b)
{
    return veorq_u8(a, b);
}

/* The intrinsics with a constant want one that is written out. */
INLINE ints ints_right(ints a, unsigned n)
{
    return vreinterpretq_u8_u16(vreinterpretq_u16_u8(a) >> (uint16_t)n);
}

INLINE ints ints_left(ints a, unsigned n)
{
    return vreinterpretq_u8_u16(vreinterpretq_u16_u8(a) << (uint16_t)n);
}

INLINE ints ints_sub_bytes(ints a, ints b)
{
    return vsubq_u8(a, b);
}

INLINE ints ints_madd(ints a, ints b)
{
    int16x8_t x = vreinterpretq_s16_u8(a), y = vreinterpretq_s16_u8(b);
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));

    return vreinterpretq_u8_s32(vpaddq_s32(low, vmull_high_s16(x, y)));
}

INLINE ints ints_look_up(table16 table, ints at)
{
    return vqtbl1q_u8(table, at);
}

INLINE ints ints_of_unsigned(const void *p)
{
    uint32_t four;

    memcpy(&four, p, sizeof(four));
    return vreinterpretq_u8_u32(
        vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four))))));
}

INLINE ints ints_of_signed(const void *p)
{
    uint32_t four;

    memcpy(&four, p, sizeof(four));
    return vreinterpretq_u8_s32(
        vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four))))));
}

INLINE ints ints_power(ints e)
{
    const int32x4_t one = vdupq_n_s32(1);
    int32x4_t n = vreinterpretq_s32_u8(e);
    int32x4_t small = vshlq_s32(vdupq_n_s32(0x00200000), vminq_s32(n, one));

    return vreinterpretq_u8_s32(vmaxq_s32(vshlq_n_s32(vsubq_s32(n, one), 23), small));
}

INLINE floats floats_as(ints bits)
{
    return vreinterpretq_f32_u8(bits);
}

INLINE floats floats_of(ints v)
{
    return vcvtq_f32_s32(vreinterpretq_s32_u8(v));
}

INLINE floats floats_halves(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE floats floats_load(const float *p)
{
    return vld1q_f32(p);
}

INLINE void floats_store(float *p, floats v)
{
    vst1q_f32(p, v);
}

INLINE floats floats_zero(void)
{
    return vdupq_n_f32(0);
}

INLINE floats floats_all(float v)
{
    return vdupq_n_f32(v);
}

INLINE floats floats_add(floats a, floats b)
{
    return vaddq_f32(a, b);
}

INLINE floats floats_mul(floats a, floats b)
{
    return vmulq_f32(a, b);
}

INLINE floats floats_fma(floats a, floats b, floats c)
{
    return vfmaq_f32(c, a, b);
}

#endif
