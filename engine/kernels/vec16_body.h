/* Sixteen floats at a time: one register with AVX-512, two with AVX2, four with NEON. Every
 * operation is done lane by lane in the same way in all, and sums over lanes go in one order,
 * so that a function written with these gives the same bits everywhere. Included by each
 * kernel file for its own instruction set. */
#ifndef ENGINE_KERNELS_VEC16_BODY_H
#define ENGINE_KERNELS_VEC16_BODY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)

#include "engine/kernels/vec16_neon_body.h"

#else

#include <immintrin.h>

#if defined(__AVX512F__)

typedef struct {
    __m512 v;
} vec16;

#define VEC16_1(expr) ((vec16){(expr)})

static inline vec16 vec16_all(float x)
{
    return VEC16_1(_mm512_set1_ps(x));
}

static inline vec16 vec16_load(const float *p)
{
    return VEC16_1(_mm512_loadu_ps(p));
}

static inline void vec16_store(float *p, vec16 a)
{
    _mm512_storeu_ps(p, a.v);
}

static inline vec16 vec16_add(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_add_ps(a.v, b.v));
}

static inline vec16 vec16_sub(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_sub_ps(a.v, b.v));
}

static inline vec16 vec16_mul(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_mul_ps(a.v, b.v));
}

static inline vec16 vec16_div(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_div_ps(a.v, b.v));
}

/* a * b + c, rounded once */
static inline vec16 vec16_fma(vec16 a, vec16 b, vec16 c)
{
    return VEC16_1(_mm512_fmadd_ps(a.v, b.v, c.v));
}

/* b where a is NaN, as in vec16_max. */
static inline vec16 vec16_min(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_min_ps(a.v, b.v));
}

static inline vec16 vec16_max(vec16 a, vec16 b)
{
    return VEC16_1(_mm512_max_ps(a.v, b.v));
}

/* a, but x in lane i. */
static inline vec16 vec16_with(vec16 a, size_t i, float x)
{
    return VEC16_1(_mm512_mask_broadcastss_ps(a.v, (__mmask16)(1u << i), _mm_set_ss(x)));
}

/* To the nearest whole number, ties to even. */
static inline vec16 vec16_round(vec16 a)
{
    return VEC16_1(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* 2^n of whole numbers -126..127 */
static inline vec16 vec16_exp2(vec16 n)
{
    __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));

    return VEC16_1(_mm512_castsi512_ps(_mm512_slli_epi32(i, 23)));
}

/* |a|, and a with the sign of s */
static inline vec16 vec16_abs(vec16 a)
{
    return VEC16_1(_mm512_abs_ps(a.v));
}

static inline vec16 vec16_with_sign(vec16 a, vec16 s)
{
    return VEC16_1(_mm512_or_ps(
        a.v, _mm512_and_ps(s.v, _mm512_castsi512_ps(_mm512_set1_epi32(INT32_MIN)))));
}

/* Whole numbers 0..255 as bytes. */
static inline void vec16_store_bytes(uint8_t *p, vec16 a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

/* Whole numbers, cut to 16 bits. */
static inline void vec16_store_words(int16_t *p, vec16 a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a.v)));
}

/* H a, of Sylvester's matrix of 16. */
static inline vec16 vec16_hadamard(vec16 a)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    __m512 v = a.v;

#define STAGE(mask, turned)                                                                    \
    v = _mm512_add_ps(                                                                         \
        turned, _mm512_castsi512_ps(_mm512_mask_xor_epi32(_mm512_castps_si512(v), mask,        \
                                                          _mm512_castps_si512(v), sign)))
    STAGE(0xaaaa, _mm512_permute_ps(v, 0xb1));
    STAGE(0xcccc, _mm512_permute_ps(v, 0x4e));
    STAGE(0xf0f0, _mm512_shuffle_f32x4(v, v, 0xb1));
    STAGE(0xff00, _mm512_shuffle_f32x4(v, v, 0x4e));
#undef STAGE
    return VEC16_1(v);
}

/* Whole numbers -128..127 as bytes. */
static inline void vec16_store_signed(int8_t *p, vec16 a)
{
    vec16_store_bytes((uint8_t *)p, a);
}

/* Of a file or a cache: 16-bit floats of either kind, not aligned. */
static inline vec16 vec16_halves(const void *p)
{
    return VEC16_1(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)));
}

static inline vec16 vec16_bf16(const void *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));

    return VEC16_1(_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
}

static inline void vec16_store_halves(uint16_t *p, vec16 a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a.v, 0));
}

/* Sixteen whole numbers of 32 bits. */
typedef struct {
    __m512i v;
} vec16i;

/* Sixteen pairs of words; one pair for all of them. */
typedef vec16i vec16_pairs;
typedef vec16i vec16_pair;

/* Pairs of bytes, as words. */
static inline vec16_pairs vec16_pairs_load(const int8_t *p)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);

    return (vec16_pairs){_mm512_cvtepi8_epi16(bytes)};
}

static inline vec16_pair vec16_pair_load(const int16_t *p)
{
    int32_t pair;

    memcpy(&pair, p, sizeof(pair));
    return (vec16_pair){_mm512_set1_epi32(pair)};
}

/* acc + a[0] b[0] + a[1] b[1] in each lane */
static inline vec16i vec16i_dot(vec16i acc, vec16_pairs a, vec16_pair b)
{
    return (vec16i){_mm512_dpwssd_epi32(acc.v, a.v, b.v)};
}

static inline vec16i vec16i_zero(void)
{
    return (vec16i){_mm512_setzero_si512()};
}

/* a - p[.] * x */
static inline vec16i vec16i_less_times(vec16i a, const int32_t *p, int32_t x)
{
    __m512i product = _mm512_mullo_epi32(_mm512_set1_epi32(x), _mm512_loadu_si512(p));

    return (vec16i){_mm512_sub_epi32(a.v, product)};
}

static inline vec16 vec16_of(vec16i a)
{
    return VEC16_1(_mm512_cvtepi32_ps(a.v));
}

static inline __m256 vec16_low(vec16 a)
{
    return _mm512_castps512_ps256(a.v);
}

static inline __m256 vec16_high(vec16 a)
{
    return _mm512_extractf32x8_ps(a.v, 1);
}

#else

typedef struct {
    __m256 a, b;
} vec16;

static inline vec16 vec16_all(float x)
{
    return (vec16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline vec16 vec16_load(const float *p)
{
    return (vec16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline void vec16_store(float *p, vec16 a)
{
    _mm256_storeu_ps(p, a.a);
    _mm256_storeu_ps(p + 8, a.b);
}

static inline vec16 vec16_add(vec16 a, vec16 b)
{
    return (vec16){_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)};
}

static inline vec16 vec16_sub(vec16 a, vec16 b)
{
    return (vec16){_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)};
}

static inline vec16 vec16_mul(vec16 a, vec16 b)
{
    return (vec16){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)};
}

static inline vec16 vec16_div(vec16 a, vec16 b)
{
    return (vec16){_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b)};
}

static inline vec16 vec16_fma(vec16 a, vec16 b, vec16 c)
{
    return (vec16){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}

static inline vec16 vec16_min(vec16 a, vec16 b)
{
    return (vec16){_mm256_min_ps(a.a, b.a), _mm256_min_ps(a.b, b.b)};
}

static inline vec16 vec16_max(vec16 a, vec16 b)
{
    return (vec16){_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)};
}

static inline __m256 vec16_with_half(__m256 a, int i, float x)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i there = _mm256_cmpeq_epi32(lanes, _mm256_set1_epi32(i));

    return _mm256_blendv_ps(a, _mm256_set1_ps(x), _mm256_castsi256_ps(there));
}

static inline vec16 vec16_with(vec16 a, size_t i, float x)
{
    return (vec16){vec16_with_half(a.a, (int)i, x), vec16_with_half(a.b, (int)i - 8, x)};
}

static inline vec16 vec16_round(vec16 a)
{
    return (vec16){_mm256_round_ps(a.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                   _mm256_round_ps(a.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

static inline __m256 vec16_exp2_half(__m256 n)
{
    __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));

    return _mm256_castsi256_ps(_mm256_slli_epi32(i, 23));
}

static inline vec16 vec16_exp2(vec16 n)
{
    return (vec16){vec16_exp2_half(n.a), vec16_exp2_half(n.b)};
}

static inline vec16 vec16_abs(vec16 a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return (vec16){_mm256_andnot_ps(sign, a.a), _mm256_andnot_ps(sign, a.b)};
}

static inline vec16 vec16_with_sign(vec16 a, vec16 s)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return (vec16){_mm256_or_ps(a.a, _mm256_and_ps(s.a, sign)),
                   _mm256_or_ps(a.b, _mm256_and_ps(s.b, sign))};
}

/* Packing works within halves: the order is put right at the end. */
static inline __m256i vec16_words(vec16 a)
{
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.a), _mm256_cvtps_epi32(a.b));

    return _mm256_permute4x64_epi64(words, 0xd8);
}

static inline void vec16_store_bytes(uint8_t *p, vec16 a)
{
    __m256i words = vec16_words(a);

    _mm_storeu_si128(
        (__m128i *)(void *)p,
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

static inline void vec16_store_words(int16_t *p, vec16 a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, vec16_words(a));
}

static inline void vec16_store_signed(int8_t *p, vec16 a)
{
    __m256i words = vec16_words(a);

    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi16(_mm256_castsi256_si128(words),
                                                           _mm256_extracti128_si256(words, 1)));
}

static inline vec16 vec16_halves(const void *p)
{
    const __m128i *from = p;

    return (vec16){_mm256_cvtph_ps(_mm_loadu_si128(from)),
                   _mm256_cvtph_ps(_mm_loadu_si128(from + 1))};
}

static inline __m256 vec16_bf16_half(__m128i v)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

static inline vec16 vec16_bf16(const void *p)
{
    const __m128i *from = p;

    return (vec16){vec16_bf16_half(_mm_loadu_si128(from)),
                   vec16_bf16_half(_mm_loadu_si128(from + 1))};
}

static inline void vec16_store_halves(uint16_t *p, vec16 a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a.a, 0));
    _mm_storeu_si128((__m128i *)(void *)(p + 8), _mm256_cvtps_ph(a.b, 0));
}

typedef struct {
    __m256i a, b;
} vec16i;

typedef vec16i vec16_pairs;

typedef struct {
    __m256i v;
} vec16_pair;

static inline vec16_pairs vec16_pairs_load(const int8_t *p)
{
    const __m128i *from = (const __m128i *)(const void *)p;

    return (vec16_pairs){_mm256_cvtepi8_epi16(_mm_loadu_si128(from)),
                         _mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1))};
}

static inline vec16_pair vec16_pair_load(const int16_t *p)
{
    int32_t pair;

    memcpy(&pair, p, sizeof(pair));
    return (vec16_pair){_mm256_set1_epi32(pair)};
}

static inline vec16i vec16i_dot(vec16i acc, vec16_pairs a, vec16_pair b)
{
    return (vec16i){_mm256_add_epi32(acc.a, _mm256_madd_epi16(a.a, b.v)),
                    _mm256_add_epi32(acc.b, _mm256_madd_epi16(a.b, b.v))};
}

static inline vec16i vec16i_zero(void)
{
    return (vec16i){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline vec16i vec16i_less_times(vec16i a, const int32_t *p, int32_t x)
{
    const __m256i *from = (const __m256i *)(const void *)p, all = _mm256_set1_epi32(x);

    return (vec16i){
        _mm256_sub_epi32(a.a, _mm256_mullo_epi32(all, _mm256_loadu_si256(from))),
        _mm256_sub_epi32(a.b, _mm256_mullo_epi32(all, _mm256_loadu_si256(from + 1)))};
}

static inline vec16 vec16_of(vec16i a)
{
    return (vec16){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)};
}

static inline __m256 vec16_hadamard_half(__m256 v)
{
    const __m256 one = _mm256_setr_ps(0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f);
    const __m256 two = _mm256_setr_ps(0.0f, 0.0f, -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, -0.0f);
    const __m256 four = _mm256_setr_ps(0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, -0.0f, -0.0f);

    v = _mm256_add_ps(_mm256_permute_ps(v, 0xb1), _mm256_xor_ps(v, one));
    v = _mm256_add_ps(_mm256_permute_ps(v, 0x4e), _mm256_xor_ps(v, two));
    return _mm256_add_ps(_mm256_permute2f128_ps(v, v, 1), _mm256_xor_ps(v, four));
}

static inline vec16 vec16_hadamard(vec16 a)
{
    __m256 x = vec16_hadamard_half(a.a), y = vec16_hadamard_half(a.b);

    return (vec16){_mm256_add_ps(x, y), _mm256_sub_ps(x, y)};
}

static inline __m256 vec16_low(vec16 a)
{
    return a.a;
}

static inline __m256 vec16_high(vec16 a)
{
    return a.b;
}

#endif

static inline float vec16_sum(vec16 a)
{
    __m256 half = _mm256_add_ps(vec16_low(a), vec16_high(a));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline float vec16_largest(vec16 a)
{
    __m256 half = _mm256_max_ps(vec16_low(a), vec16_high(a));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

/* x as a 16-bit float can hold it. */
static inline float vec16_half_rounded(float x)
{
    return _cvtsh_ss((unsigned short)_cvtss_sh(x, 0));
}

#endif

/* e^x: 2^n with n = round(x / ln 2) and a polynomial for the rest (Cephes' expf). */
static inline vec16 vec16_exp(vec16 x)
{
    vec16 n, r, p;

    x = vec16_min(vec16_max(x, vec16_all(-87.0f)), vec16_all(88.0f));
    n = vec16_round(vec16_mul(x, vec16_all(1.44269504f)));
    r = vec16_fma(n, vec16_all(-0.693359375f), x);
    r = vec16_fma(n, vec16_all(2.12194440e-4f), r);
    p = vec16_fma(vec16_all(1.9875691500e-4f), r, vec16_all(1.3981999507e-3f));
    p = vec16_fma(p, r, vec16_all(8.3334519073e-3f));
    p = vec16_fma(p, r, vec16_all(4.1665795894e-2f));
    p = vec16_fma(p, r, vec16_all(1.6666665459e-1f));
    p = vec16_fma(p, r, vec16_all(5.0000001201e-1f));
    p = vec16_fma(vec16_mul(p, r), r, vec16_add(r, vec16_all(1.0f)));
    return vec16_mul(p, vec16_exp2(n));
}

#endif
