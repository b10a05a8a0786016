/* Blocks of the types that people have, taken apart with 256-bit vectors: 32 codes a vector,
 * and the scales of 256 weights at once. Codes of types whose offset is a multiple of their
 * scale (Q4_0, Q5_0, Q3_K, Q6_K) stay unsigned here; block_zero() says what is to be taken
 * off. Included by quant_decode_body.h. */
#ifndef ENGINE_KERNELS_QUANT_BLOCK_BODY_H
#define ENGINE_KERNELS_QUANT_BLOCK_BODY_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/format.h"

#define INLINE static inline __attribute__((always_inline))
#define SLICES 8 /* of 32 codes: a block of 256 */

INLINE float block_half(const uint8_t *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof(bits));
    return _cvtsh_ss(bits);
}

INLINE __m256i load32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE uint32_t block_u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The code that stands for zero. */
INLINE int block_zero(uint32_t type)
{
    return type == FORMAT_Q4_0   ? 8
           : type == FORMAT_Q5_0 ? 16
           : type == FORMAT_Q3_K ? 4
           : type == FORMAT_Q6_K ? 32
                                 : 0;
}

INLINE bool block_is_signed(uint32_t type)
{
    return type == FORMAT_Q8_0 || type == FORMAT_IQ4_NL || type == FORMAT_IQ4_XS ||
           type == FORMAT_MXFP4;
}

/* Offsets that are no multiple of the scale. */
INLINE bool block_has_offsets(uint32_t type)
{
    return type == FORMAT_Q4_1 || type == FORMAT_Q5_1 || type == FORMAT_Q2_K ||
           type == FORMAT_Q4_K || type == FORMAT_Q5_K;
}

/* Bytes of a block; format.c's, as constants. */
INLINE size_t block_size(uint32_t type)
{
    switch (type) {
    case FORMAT_Q4_1:
        return 20;
    case FORMAT_Q5_0:
        return 22;
    case FORMAT_Q5_1:
        return 24;
    case FORMAT_Q8_0:
        return 34;
    case FORMAT_MXFP4:
        return 17;
    case FORMAT_Q2_K:
        return 84;
    case FORMAT_Q3_K:
        return 110;
    case FORMAT_Q4_K:
        return 144;
    case FORMAT_Q5_K:
        return 176;
    case FORMAT_Q6_K:
        return 210;
    case FORMAT_IQ4_XS:
        return 136;
    default: /* Q4_0, IQ4_NL */
        return 18;
    }
}

INLINE bool block_is_256(uint32_t type)
{
    return type == FORMAT_Q2_K || type == FORMAT_Q3_K || type == FORMAT_Q4_K ||
           type == FORMAT_Q5_K || type == FORMAT_Q6_K || type == FORMAT_IQ4_XS;
}

/* --- blocks of 32 --------------------------------------------------------------------- */

/* 16 bytes: low halves first. */
INLINE __m256i block_codes4(const uint8_t *p)
{
    __m128i raw = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(raw), _mm_srli_epi16(raw, 4), 1);

    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* The same, as numbers of a table of 16. */
INLINE __m256i block_table(const uint8_t *p, __m128i table)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), block_codes4(p));
}

INLINE __m128i table_nl(void)
{
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89,
                         113);
}

INLINE __m128i table_mxfp4(void)
{
    return _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
}

/* 16 where a bit is set: bit i of the 32 becomes byte i. */
INLINE __m256i block_fifth(const uint8_t *p)
{
    const __m256i bytes =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bits = _mm256_set1_epi64x((long long)0x8040201008040201u);
    __m256i all = _mm256_shuffle_epi8(_mm256_set1_epi32((int)block_u32(p)), bytes);

    all = _mm256_cmpeq_epi8(_mm256_and_si256(all, bits), bits);
    return _mm256_and_si256(all, _mm256_set1_epi8(16));
}

/* 32 codes of a block of 32. */
INLINE __m256i block_codes(uint32_t type, const uint8_t *p)
{
    switch (type) {
    case FORMAT_Q4_1:
        return block_codes4(p + 4);
    case FORMAT_Q5_0:
        return _mm256_or_si256(block_codes4(p + 6), block_fifth(p + 2));
    case FORMAT_Q5_1:
        return _mm256_or_si256(block_codes4(p + 8), block_fifth(p + 4));
    case FORMAT_Q8_0:
        return load32(p + 2);
    case FORMAT_IQ4_NL:
        return block_table(p + 2, table_nl());
    case FORMAT_MXFP4:
        return block_table(p + 1, table_mxfp4());
    default: /* Q4_0 */
        return block_codes4(p + 2);
    }
}

/* 2^(e - 128), a subnormal for the smallest two. */
INLINE float block_power(uint8_t e)
{
    uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

INLINE float block_scale(uint32_t type, const uint8_t *p)
{
    return type == FORMAT_MXFP4 ? block_power(p[0]) : block_half(p);
}

INLINE float block_offset(uint32_t type, const uint8_t *p)
{
    return block_has_offsets(type) ? block_half(p + 2) : 0;
}

INLINE short block_u16(const uint8_t *p)
{
    short v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* A half of each of eight blocks. */
INLINE __m256 block_halves(const uint8_t *p, size_t bytes)
{
    return _mm256_cvtph_ps(_mm_setr_epi16(block_u16(p), block_u16(p + bytes),
                                          block_u16(p + 2 * bytes), block_u16(p + 3 * bytes),
                                          block_u16(p + 4 * bytes), block_u16(p + 5 * bytes),
                                          block_u16(p + 6 * bytes), block_u16(p + 7 * bytes)));
}

INLINE __m256 block_powers(const uint8_t *p, size_t bytes)
{
    float d[SLICES];

    for (size_t j = 0; j < SLICES; j++)
        d[j] = block_power(p[j * bytes]);
    return _mm256_loadu_ps(d);
}

/* --- blocks of 256 -------------------------------------------------------------------- */

INLINE void block_codes_q4_k(const uint8_t *p, __m256i out[SLICES])
{
    const __m256i low = _mm256_set1_epi8(15);

    for (size_t c = 0; c < SLICES / 2; c++) {
        __m256i raw = load32(p + 16 + 32 * c);

        out[2 * c] = _mm256_and_si256(raw, low);
        out[2 * c + 1] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), low);
    }
}

/* `value` in each byte of which that bit is set. */
INLINE __m256i block_bit(__m256i bytes, int bit, char value)
{
    __m256i mask = _mm256_set1_epi8((char)(1 << bit));

    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, mask), mask),
                            _mm256_set1_epi8(value));
}

INLINE void block_codes_q5_k(const uint8_t *p, __m256i out[SLICES])
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i high = load32(p + 16);

    for (size_t c = 0; c < SLICES / 2; c++) {
        __m256i raw = load32(p + 48 + 32 * c);

        out[2 * c] =
            _mm256_or_si256(_mm256_and_si256(raw, low), block_bit(high, (int)(2 * c), 16));
        out[2 * c + 1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(raw, 4), low),
                                         block_bit(high, (int)(2 * c + 1), 16));
    }
}

INLINE void block_codes_q6_k(const uint8_t *p, __m256i out[SLICES])
{
    const __m256i low = _mm256_set1_epi8(15), high = _mm256_set1_epi8(48);

    for (size_t h = 0; h < 2; h++) {
        __m256i a = load32(p + 64 * h), b = load32(p + 64 * h + 32);
        __m256i two = load32(p + 128 + 32 * h), *to = out + 4 * h;

        to[0] = _mm256_or_si256(_mm256_and_si256(a, low),
                                _mm256_and_si256(_mm256_slli_epi16(two, 4), high));
        to[1] = _mm256_or_si256(_mm256_and_si256(b, low),
                                _mm256_and_si256(_mm256_slli_epi16(two, 2), high));
        to[2] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 4), low),
                                _mm256_and_si256(two, high));
        to[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b, 4), low),
                                _mm256_and_si256(_mm256_srli_epi16(two, 2), high));
    }
}

/* Two bits a code: 64 bytes. */
INLINE void block_codes_two(const uint8_t *p, __m256i out[SLICES])
{
    const __m256i low = _mm256_set1_epi8(3);

    for (size_t h = 0; h < 2; h++) {
        __m256i raw = load32(p + 32 * h), *to = out + 4 * h;

        to[0] = _mm256_and_si256(raw, low);
        to[1] = _mm256_and_si256(_mm256_srli_epi16(raw, 2), low);
        to[2] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), low);
        to[3] = _mm256_and_si256(_mm256_srli_epi16(raw, 6), low);
    }
}

INLINE void block_codes_q3_k(const uint8_t *p, __m256i out[SLICES])
{
    __m256i third = load32(p);

    block_codes_two(p + 32, out);
    for (size_t j = 0; j < SLICES; j++)
        out[j] = _mm256_or_si256(out[j], block_bit(third, (int)j, 4));
}

/* 256 codes: of a block of 256, or of eight blocks of 32. */
INLINE void block_codes_256(uint32_t type, const uint8_t *p, __m256i out[SLICES])
{
    switch (type) {
    case FORMAT_Q2_K:
        block_codes_two(p + 16, out);
        break;
    case FORMAT_Q3_K:
        block_codes_q3_k(p, out);
        break;
    case FORMAT_Q4_K:
        block_codes_q4_k(p, out);
        break;
    case FORMAT_Q5_K:
        block_codes_q5_k(p, out);
        break;
    case FORMAT_Q6_K:
        block_codes_q6_k(p, out);
        break;
    case FORMAT_IQ4_XS:
        for (size_t j = 0; j < SLICES; j++)
            out[j] = block_table(p + 8 + 16 * j, table_nl());
        break;
    default:
        for (size_t j = 0; j < SLICES; j++)
            out[j] = block_codes(type, p + j * block_size(type));
    }
}

INLINE __m256 block_bytes(uint32_t low, uint32_t high)
{
    __m128i both = _mm_cvtsi64_si128((long long)(low | (uint64_t)high << 32));

    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(both));
}

/* d and m of the eight groups of Q4_K and Q5_K. */
INLINE void block_scales_k(const uint8_t *p, __m256 *d, __m256 *m)
{
    uint32_t a = block_u32(p + 4), b = block_u32(p + 8), c = block_u32(p + 12);
    __m256 scales = block_bytes(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4);
    __m256 offsets =
        block_bytes(b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4);

    *d = _mm256_mul_ps(_mm256_set1_ps(block_half(p)), scales);
    *m = _mm256_mul_ps(_mm256_set1_ps(-block_half(p + 2)), offsets);
}

/* Numbers of six bits around 32, times a block's scale. */
INLINE __m256 block_around(float d, __m256 six)
{
    return _mm256_mul_ps(_mm256_set1_ps(d), _mm256_sub_ps(six, _mm256_set1_ps(32)));
}

INLINE __m256 block_scales_iq4_xs(const uint8_t *p)
{
    const __m256i four = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i two = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    __m256i low = _mm256_srlv_epi32(_mm256_set1_epi32((int)block_u32(p + 4)), four);
    __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(block_u16(p + 2)), two);

    low = _mm256_and_si256(low, _mm256_set1_epi32(15));
    high = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
    return block_around(block_half(p), _mm256_cvtepi32_ps(_mm256_or_si256(low, high)));
}

/* d and, where there are any, m of the groups of 256 codes with a scale for each 32. */
INLINE void block_scales(uint32_t type, const uint8_t *p, __m256 *d, __m256 *m)
{
    size_t bytes = block_size(type);

    *m = _mm256_setzero_ps();
    if (type == FORMAT_IQ4_XS) {
        *d = block_scales_iq4_xs(p);
    } else if (block_is_256(type)) {
        block_scales_k(p, d, m);
    } else {
        *d = type == FORMAT_MXFP4 ? block_powers(p, bytes) : block_halves(p, bytes);
        if (block_has_offsets(type))
            *m = block_halves(p + 2, bytes);
    }
}

INLINE __m256 block_eight(__m128i bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

INLINE void block_scales_q2_k(const uint8_t *p, __m256 d[2], __m256 m[2])
{
    __m128i raw = _mm_loadu_si128((const __m128i *)(const void *)p), low = _mm_set1_epi8(15);
    __m128i scales = _mm_and_si128(raw, low);
    __m128i offsets = _mm_and_si128(_mm_srli_epi16(raw, 4), low);
    __m256 scale = _mm256_set1_ps(block_half(p + 80));
    __m256 offset = _mm256_set1_ps(-block_half(p + 82));

    d[0] = _mm256_mul_ps(scale, block_eight(scales));
    d[1] = _mm256_mul_ps(scale, block_eight(_mm_srli_si128(scales, 8)));
    m[0] = _mm256_mul_ps(offset, block_eight(offsets));
    m[1] = _mm256_mul_ps(offset, block_eight(_mm_srli_si128(offsets, 8)));
}

INLINE void block_scales_q3_k(const uint8_t *p, __m256 d[2])
{
    uint32_t a = block_u32(p + 96), b = block_u32(p + 100), c = block_u32(p + 104);
    const uint32_t low = 0x0f0f0f0f, high = 0x03030303;
    float scale = block_half(p + 108);

    d[0] = block_around(
        scale, block_bytes((a & low) | (c & high) << 4, (b & low) | (c >> 2 & high) << 4));
    d[1] = block_around(scale, block_bytes((a >> 4 & low) | (c >> 4 & high) << 4,
                                           (b >> 4 & low) | (c >> 6 & high) << 4));
}

INLINE void block_scales_q6_k(const uint8_t *p, __m256 d[2])
{
    __m256 scale = _mm256_set1_ps(block_half(p + 208));

    for (size_t h = 0; h < 2; h++) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(p + 192 + 8 * h));

        d[h] = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
    }
}

/* The same where each 16 have a scale. */
INLINE void block_scales_16(uint32_t type, const uint8_t *p, __m256 d[2], __m256 m[2])
{
    m[0] = m[1] = _mm256_setzero_ps();
    if (type == FORMAT_Q2_K)
        block_scales_q2_k(p, d, m);
    else if (type == FORMAT_Q3_K)
        block_scales_q3_k(p, d);
    else
        block_scales_q6_k(p, d);
}

#endif
