/* Blocks of the grids with two bits a coordinate (format_iq.c) taken apart, four points at
 * once: 32 codes. Included by quant_rows_body.h. */
#ifndef ENGINE_KERNELS_QUANT_GRID_BODY_H
#define ENGINE_KERNELS_QUANT_GRID_BODY_H

#include <immintrin.h>
#include <stdint.h>

#include "engine/format_bits.h"
#include "engine/format_iq.h"
#include "engine/half.h"
#include "engine/kernels/quant_vec_body.h"

#define EACH_LANE(a, b, c, d) a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d
#define EIGHT(a, b)           a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b

/* Which of 32 bytes have a bit of `bits` set: all bits of those. */
INLINE __m256i grid_bytes_with(__m256i v, __m256i bits)
{
    return _mm256_cmpeq_epi8(_mm256_and_si256(v, bits), bits);
}

/* Four points of 16 bits, the first lowest; bit i of `signs`: code i is negative. */
INLINE void grid_codes(uint64_t points, uint32_t signs, int8_t *codes)
{
    const __m256i where = _mm256_setr_epi8(EACH_LANE(0, 1, 2, 3), EACH_LANE(4, 5, 6, 7));
    const __m256i whose = _mm256_setr_epi8(EIGHT(0, 1), EIGHT(2, 3));
    const __m256i low = _mm256_set1_epi32(0x40100401), high = _mm256_slli_epi32(low, 1);
    const __m256i each = _mm256_set1_epi64x((long long)UINT64_C(0x8040201008040201));
    __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi64x((long long)points), where);
    __m256i minus = _mm256_shuffle_epi8(_mm256_set1_epi32((int)signs), whose);
    /* 8 + 17, or 8 + 35. */
    __m256i one = _mm256_and_si256(grid_bytes_with(v, low), _mm256_set1_epi8(17));
    __m256i two = _mm256_and_si256(grid_bytes_with(v, high), _mm256_set1_epi8(35));

    v = _mm256_add_epi8(_mm256_or_si256(one, two), _mm256_set1_epi8(8));
    minus = grid_bytes_with(minus, each);
    v = _mm256_sub_epi8(_mm256_xor_si256(v, minus), minus);
    _mm256_storeu_si256((__m256i *)(void *)codes, v);
}

/* Four times seven signs of 32 bits, and an eighth each, so that their number is even. */
INLINE uint32_t grid_signs(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t all = a | b << 8 | c << 16 | d << 24, odd = all ^ all >> 4;

    odd ^= odd >> 2 & 0x3f3f3f3f;
    odd ^= odd >> 1;
    return all | (odd & 0x01010101) << 7;
}

/* scale (1/2 + x) / 4 for sixteen half bytes x, rounded in this order. */
INLINE void grid_scales(const uint8_t *p, float scale, float *d)
{
    const __m128i bytes = vec_8_bytes(p), four = _mm_set1_epi8(15);
    __m128i x = _mm_unpacklo_epi8(_mm_and_si128(bytes, four),
                                  _mm_and_si128(_mm_srli_epi16(bytes, 4), four));

    for (size_t i = 0; i < 16; i += 8, x = _mm_srli_si128(x, 8)) {
        __m256 v = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x));

        v = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_add_ps(v, _mm256_set1_ps(0.5f)));
        _mm256_storeu_ps(d + i, _mm256_mul_ps(v, _mm256_set1_ps(0.25f)));
    }
}

static void grid_2xs(const uint8_t *p, int8_t *codes, float *d)
{
    grid_scales(p + 66, half_at(p), d);
    p += 2;
    for (size_t k = 0; k < 8; k++, p += 8) {
        unsigned a = u16_at(p), b = u16_at(p + 2), c = u16_at(p + 4), e = u16_at(p + 6);
        const uint16_t *grid = format_iq_grid_2xs;
        uint64_t points = grid[a & 511] | (uint64_t)grid[b & 511] << 16 |
                          (uint64_t)grid[c & 511] << 32 | (uint64_t)grid[e & 511] << 48;

        grid_codes(points, grid_signs(a >> 9, b >> 9, c >> 9, e >> 9), codes + 32 * k);
    }
}

static void grid_2xxs(const uint8_t *p, int8_t *codes, float *d)
{
    format_iq_scales_2xxs(p, d);
    p += 2;
    for (size_t k = 0; k < 8; k++, p += 8) {
        const uint16_t *grid = format_iq_grid_2xxs;
        uint64_t points = grid[p[0]] | (uint64_t)grid[p[1]] << 16 | (uint64_t)grid[p[2]] << 32 |
                          (uint64_t)grid[p[3]] << 48;
        uint32_t rest = u32_at(p + 4);

        grid_codes(points,
                   grid_signs(rest & 127, rest >> 7 & 127, rest >> 14 & 127, rest >> 21 & 127),
                   codes + 32 * k);
    }
}

#undef EACH_LANE
#undef EIGHT

#endif
