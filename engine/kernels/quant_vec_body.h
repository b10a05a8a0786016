/* Vectors of the widest kind that the file is compiled for, as the decoder's kernels use them:
 * each lane is a row of a strip. One width after the other: 512 bits are all sixteen rows of a
 * strip, 256 bits a half of them, 128 bits a quarter. Included by quant_strip_body.h. */
#ifndef ENGINE_KERNELS_QUANT_VEC_BODY_H
#define ENGINE_KERNELS_QUANT_VEC_BODY_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(__aarch64__)

#include "engine/kernels/quant_vec_neon_body.h"

#else

#include <immintrin.h>

/* What sixteen codes stand for. */
typedef __m128i table16;

INLINE __m128i vec_16_bytes(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

INLINE table16 table_load(const int8_t *p)
{
    return vec_16_bytes(p);
}

INLINE __m128i vec_8_bytes(const void *p)
{
    return _mm_loadl_epi64((const __m128i *)p);
}

#if defined(__AVX512F__)

#define LANES 16

typedef __m512i ints;
typedef __m512 floats;

/* Compilers differ in what the intrinsics take. */
#if defined(__clang__)
typedef unsigned shift_count;
#else
typedef int shift_count;
#endif

INLINE ints ints_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void ints_store(void *p, ints v)
{
    _mm512_storeu_si512(p, v);
}

INLINE ints ints_zero(void)
{
    return _mm512_setzero_si512();
}

/* In every byte, or in every lane. */
INLINE ints ints_bytes(int v)
{
    return _mm512_set1_epi8((char)v);
}

INLINE ints ints_all(int v)
{
    return _mm512_set1_epi32(v);
}

INLINE ints ints_and(ints a, ints b)
{
    return _mm512_and_si512(a, b);
}

INLINE ints ints_or(ints a, ints b)
{
    return _mm512_or_si512(a, b);
}

INLINE ints ints_xor(ints a, ints b)
{
    return _mm512_xor_si512(a, b);
}

/* Shifts of 16-bit words: what crosses into the other byte is to be masked. */
INLINE ints ints_right(ints a, unsigned n)
{
    return _mm512_srli_epi16(a, (shift_count)n);
}

INLINE ints ints_left(ints a, unsigned n)
{
    return _mm512_slli_epi16(a, (shift_count)n);
}

INLINE ints ints_sub_bytes(ints a, ints b)
{
    return _mm512_sub_epi8(a, b);
}

/* Sums of products of two 16-bit numbers a lane. */
INLINE ints ints_madd(ints a, ints b)
{
    return _mm512_madd_epi16(a, b);
}

INLINE ints ints_look_up(table16 table, ints at)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), at);
}

/* A signed byte, or an unsigned one, a lane. */
INLINE ints ints_of_signed(const void *p)
{
    return _mm512_cvtepi8_epi32(vec_16_bytes(p));
}

INLINE ints ints_of_unsigned(const void *p)
{
    return _mm512_cvtepu8_epi32(vec_16_bytes(p));
}

/* 2^(e - 128) of unsigned bytes e, as bits of a float: subnormal for the smallest two. */
INLINE ints ints_power(ints e)
{
    ints small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000),
                                   _mm512_min_epi32(e, _mm512_set1_epi32(1)));

    return _mm512_max_epi32(_mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23),
                            small);
}

INLINE floats floats_as(ints bits)
{
    return _mm512_castsi512_ps(bits);
}

INLINE floats floats_of(ints v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE floats floats_halves(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE floats floats_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void floats_store(float *p, floats v)
{
    _mm512_storeu_ps(p, v);
}

INLINE floats floats_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE floats floats_all(float v)
{
    return _mm512_set1_ps(v);
}

INLINE floats floats_add(floats a, floats b)
{
    return _mm512_add_ps(a, b);
}

INLINE floats floats_mul(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

/* a * b + c, rounded once */
INLINE floats floats_fma(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#else

#define LANES 8

typedef __m256i ints;
typedef __m256 floats;

INLINE ints ints_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE void ints_store(void *p, ints v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

INLINE ints ints_zero(void)
{
    return _mm256_setzero_si256();
}

INLINE ints ints_bytes(int v)
{
    return _mm256_set1_epi8((char)v);
}

INLINE ints ints_all(int v)
{
    return _mm256_set1_epi32(v);
}

INLINE ints ints_and(ints a, ints b)
{
    return _mm256_and_si256(a, b);
}

INLINE ints ints_or(ints a, ints b)
{
    return _mm256_or_si256(a, b);
}

INLINE ints ints_xor(ints a, ints b)
{
    return _mm256_xor_si256(a, b);
}

INLINE ints ints_right(ints a, unsigned n)
{
    return _mm256_srli_epi16(a, (int)n);
}

INLINE ints ints_left(ints a, unsigned n)
{
    return _mm256_slli_epi16(a, (int)n);
}

INLINE ints ints_sub_bytes(ints a, ints b)
{
    return _mm256_sub_epi8(a, b);
}

INLINE ints ints_madd(ints a, ints b)
{
    return _mm256_madd_epi16(a, b);
}

INLINE ints ints_look_up(table16 table, ints at)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), at);
}

INLINE ints ints_of_signed(const void *p)
{
    return _mm256_cvtepi8_epi32(vec_8_bytes(p));
}

INLINE ints ints_of_unsigned(const void *p)
{
    return _mm256_cvtepu8_epi32(vec_8_bytes(p));
}

INLINE ints ints_power(ints e)
{
    ints small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000),
                                   _mm256_min_epi32(e, _mm256_set1_epi32(1)));

    return _mm256_max_epi32(_mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23),
                            small);
}

INLINE floats floats_as(ints bits)
{
    return _mm256_castsi256_ps(bits);
}

INLINE floats floats_of(ints v)
{
    return _mm256_cvtepi32_ps(v);
}

INLINE floats floats_halves(const void *p)
{
    return _mm256_cvtph_ps(vec_16_bytes(p));
}

INLINE floats floats_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

INLINE void floats_store(float *p, floats v)
{
    _mm256_storeu_ps(p, v);
}

INLINE floats floats_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE floats floats_all(float v)
{
    return _mm256_set1_ps(v);
}

INLINE floats floats_add(floats a, floats b)
{
    return _mm256_add_ps(a, b);
}

INLINE floats floats_mul(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

INLINE floats floats_fma(floats a, floats b, floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#endif
#endif

/* Four inputs, or what else four bytes hold, in all lanes. */
INLINE ints ints_spread(const void *p)
{
    int four;

    memcpy(&four, p, sizeof(four));
    return ints_all(four);
}

#endif
