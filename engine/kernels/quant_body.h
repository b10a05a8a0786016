/* The decoder's kernels for vectors; included by each kernel file, which says how products are
 * added up (quant_strip_body.h). */
#ifndef ENGINE_KERNELS_QUANT_BODY_H
#define ENGINE_KERNELS_QUANT_BODY_H

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/format.h"
#include "engine/kernels/float_fast.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_prompt_body.h"

/* So many columns meet the bits of a strip, COLUMNS at a time, which is fastest as long as the
 * codes stay in registers; more meet panels. */
#define FEW (LANES == 16 ? QUANT_TOKENS : 2 * COLUMNS)

/* Eight weights of a type without codes. */
INLINE __m256 floats_at(uint32_t type, const uint8_t *p)
{
    if (type == FORMAT_F32)
        return _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
    if (type == FORMAT_F16)
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16));
}

INLINE float add_lanes(__m256 v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

INLINE float dot_float(uint32_t type, const uint8_t *p, const float *x, size_t n)
{
    size_t bytes = type == FORMAT_F32 ? 4 : 2;
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};

    for (size_t i = 0; i < n; i += 32) {
        for (size_t k = 0; k < 4; k++)
            acc[k] = _mm256_fmadd_ps(floats_at(type, p + bytes * (i + 8 * k)),
                                     _mm256_loadu_ps(x + i + 8 * k), acc[k]);
    }
    return add_lanes(
        _mm256_add_ps(_mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3])));
}

static float dot_any_float(uint32_t type, const uint8_t *p, const float *x, size_t n)
{
    if (type == FORMAT_F32)
        return dot_float(FORMAT_F32, p, x, n);
    return type == FORMAT_F16 ? dot_float(FORMAT_F16, p, x, n)
                              : dot_float(FORMAT_BF16, p, x, n);
}

static void fast_matmul(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                        size_t from, size_t to, float *y, size_t ldy)
{
    if (format_of(w->type)->unpack == NULL) {
        for (size_t r = from; r < to; r++) {
            for (size_t t = 0; t < n; t++)
                y[t * ldy + r] = dot_any_float(w->type, w->data + r * w->row_bytes,
                                               in->x + t * w->cols, w->cols);
        }
    } else {
        size_t packed = to < w->packed ? to : w->packed;

        if (n <= FEW && from < packed) {
            decode(w, in, n, from, packed, y, ldy);
            from = packed;
        }
        prompt(w, in, n, from, to, y, ldy);
    }
}

/* Sums of the first and the last sixteen of 32 bytes. */
INLINE void sum_halves(__m256i q, int16_t out[2])
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), ones);
    __m128i low = _mm256_castsi256_si128(fours), high = _mm256_extracti128_si256(fours, 1);
    __m128i both = _mm_hadd_epi32(low, high);

    both = _mm_hadd_epi32(both, both);
    out[0] = (int16_t)_mm_extract_epi32(both, 0);
    out[1] = (int16_t)_mm_extract_epi32(both, 1);
}

/* Rounded to -127..127; in this order what is no number becomes -127. */
INLINE __m256i to_whole(__m256 x, __m256 factor)
{
    __m256 v = _mm256_max_ps(_mm256_mul_ps(x, factor), _mm256_set1_ps(-127));

    return _mm256_cvtps_epi32(_mm256_min_ps(v, _mm256_set1_ps(127)));
}

INLINE float largest(__m256 v)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

static void fast_quantize32(const float *x, size_t cols, const struct quant_input *in, size_t t)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);

    for (size_t b = t * (cols / QUANT_BLOCK); b < (t + 1) * (cols / QUANT_BLOCK); b++) {
        __m256 v[4], most = _mm256_setzero_ps(), factor;
        __m256i q[4];
        float top, scale;

        for (size_t i = 0; i < 4; i++, x += 8) {
            v[i] = _mm256_loadu_ps(x);
            /* What is no number is passed over: the second is taken then. */
            most = _mm256_max_ps(_mm256_andnot_ps(sign, v[i]), most);
        }
        top = largest(most);
        scale = _cvtsh_ss((unsigned short)_cvtss_sh(top / 127.0f, 0));
        factor = _mm256_set1_ps(top > QUANT_TINY ? 127.0f / top : 0);
        for (size_t i = 0; i < 4; i++)
            q[i] = to_whole(v[i], factor);
        q[0] =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        q[0] = _mm256_permutevar8x32_epi32(q[0], order);
        _mm256_storeu_si256((__m256i *)(void *)(in->q + b * QUANT_BLOCK), q[0]);
        sum_halves(q[0], in->sums + 2 * b);
        in->d[b] = scale;
        in->s[b] = (float)(in->sums[2 * b] + in->sums[2 * b + 1]) * scale;
    }
}

static void fast_rms_norm(const float *x, const float *w, float eps, size_t n, float *y)
{
    float part[16] = {0}, sum = 0, scale;

    for (size_t i = 0; i < n; i += 16) {
        for (size_t j = 0; j < 16; j++)
            part[j] += x[i + j] * x[i + j];
    }
    for (size_t j = 0; j < 16; j++)
        sum += part[j];
    scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static void fast_silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + fast_exp(-gate[i])) * up[i];
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
static void fast_gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float z = gate[i], u = 0.79788456f * (z + 0.044715f * z * z * z);

        gate[i] = z / (1.0f + fast_exp(-2.0f * u)) * up[i];
    }
}

static void fast_relu2_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float z = gate[i] > 0 ? gate[i] : 0;

        gate[i] = z * z * up[i];
    }
}

#define QUANT_TABLE                                                                            \
    {                                                                                          \
        .quantize = fast_quantize32, .matmul = fast_matmul, .rms_norm = fast_rms_norm,         \
        .silu_mul = fast_silu_mul, .gelu_mul = fast_gelu_mul, .relu2_mul = fast_relu2_mul,     \
    }

#endif
