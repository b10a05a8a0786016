/* 16-bit floats, in plain C: IEEE 754 binary16 and bfloat16. */
#ifndef ENGINE_HALF_H
#define ENGINE_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float half_from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t half_to_bits(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, frac = h & 0x3ff;

    if (exp == 31)
        return half_from_bits(sign | 0x7f800000u | frac << 13);
    if (exp != 0)
        return half_from_bits(sign | (exp + 112) << 23 | frac << 13);
    /* zero or subnormal: frac * 2^-24 */
    return half_from_bits(sign | half_to_bits((float)frac * 5.9604644775390625e-8f));
}

/* Rounds to nearest even, as hardware does. */
static inline uint16_t half_from_float(float f)
{
    uint32_t bits = half_to_bits(f), sign = bits >> 16 & 0x8000, a = bits & 0x7fffffff;

    if (a >= 0x7f800000u)
        return (uint16_t)(sign | 0x7c00 | (a > 0x7f800000u ? 0x200 : 0));
    if (a >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000u) /* subnormal: adding 0.5 shifts the value into place, rounded */
        return (uint16_t)(sign | (half_to_bits(half_from_bits(a) + 0.5f) - 0x3f000000u));
    a += 0xc8000fffu + (a >> 13 & 1);
    return (uint16_t)(sign | (a >> 13 & 0x7fff));
}

static inline float half_bf16_to_float(uint16_t h)
{
    return half_from_bits((uint32_t)h << 16);
}

/* Of a file: not aligned. */
static inline float half_at(const uint8_t *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof(bits));
    return half_to_float(bits);
}

static inline float half_bf16_at(const uint8_t *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof(bits));
    return half_bf16_to_float(bits);
}

static inline bool half_all_finite(const float *v, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++)
        bad |= (half_to_bits(v[i]) & 0x7f800000u) == 0x7f800000u;
    return bad == 0;
}

#endif
