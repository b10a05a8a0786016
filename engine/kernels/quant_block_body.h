/* Blocks of the types that people have, taken apart with 256-bit vectors: 32 codes a vector,
 * and the whole numbers by which the scales of blocks of 256 are multiplied. Codes of two
 * values' offset (Q4_0, Q5_0, Q6_K) stay unsigned here; block_zero() says what is to be taken
 * off. Included by quant_body.h. */
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
    return type == FORMAT_Q4_0 ? 8 : type == FORMAT_Q5_0 ? 16 : type == FORMAT_Q6_K ? 32 : 0;
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
    default: /* Q4_0 */
        return block_codes4(p + 2);
    }
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

/* 16 in each byte of which that bit is set. */
INLINE __m256i block_bit(__m256i bytes, int bit)
{
    __m256i mask = _mm256_set1_epi8((char)(1 << bit));

    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bytes, mask), mask),
                            _mm256_set1_epi8(16));
}

INLINE void block_codes_q5_k(const uint8_t *p, __m256i out[SLICES])
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i high = load32(p + 16);

    for (size_t c = 0; c < SLICES / 2; c++) {
        __m256i raw = load32(p + 48 + 32 * c);

        out[2 * c] = _mm256_or_si256(_mm256_and_si256(raw, low), block_bit(high, (int)(2 * c)));
        out[2 * c + 1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(raw, 4), low),
                                         block_bit(high, (int)(2 * c + 1)));
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

/* 256 codes of a block of 256. */
INLINE void block_codes_k(uint32_t type, const uint8_t *p, __m256i out[SLICES])
{
    if (type == FORMAT_Q4_K)
        block_codes_q4_k(p, out);
    else if (type == FORMAT_Q5_K)
        block_codes_q5_k(p, out);
    else
        block_codes_q6_k(p, out);
}

INLINE __m256 block_bytes(uint32_t low, uint32_t high)
{
    __m128i both = _mm_cvtsi64_si128((long long)(low | (uint64_t)high << 32));

    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(both));
}

/* d and m of the eight groups of Q4_K and Q5_K. */
INLINE void block_scales(const uint8_t *p, __m256 *d, __m256 *m)
{
    uint32_t a = block_u32(p + 4), b = block_u32(p + 8), c = block_u32(p + 12);
    __m256 scales = block_bytes(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4);
    __m256 offsets =
        block_bytes(b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 6 & 0x03030303) << 4);

    *d = _mm256_mul_ps(_mm256_set1_ps(block_half(p)), scales);
    *m = _mm256_mul_ps(_mm256_set1_ps(-block_half(p + 2)), offsets);
}

/* d of the sixteen groups of Q6_K. */
INLINE void block_scales_q6_k(const uint8_t *p, __m256 out[2])
{
    __m256 d = _mm256_set1_ps(block_half(p + 208));

    for (size_t h = 0; h < 2; h++) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(p + 192 + 8 * h));

        out[h] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
    }
}

#endif
