/* The decoder's kernels with 256-bit vectors; included by each kernel file, which gives
 * dot4(): acc + products of 32 unsigned codes with 32 signed bytes, four to a lane. */
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

/* Eight weights of a type without codes. */
INLINE __m256 floats_at(uint32_t type, const uint8_t *p)
{
    if (type == FORMAT_F32)
        return _mm256_castsi256_ps(load32(p));
    if (type == FORMAT_F16)
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16));
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
        size_t done = n == 1 ? decode(w, in, from, to, y) : from;

        prompt(w, in, n, done, to, y, ldy);
    }
}

static void fast_quantize32(const float *x, size_t cols, int8_t *q, float *d, float *s)
{
    for (size_t b = 0; b < cols / QUANT_BLOCK; b++) {
        const float *from = x + b * QUANT_BLOCK;
        int8_t *to = q + b * QUANT_BLOCK;
        float part[8] = {0}, most = 0, scale, factor;
        int sum = 0;

        for (size_t i = 0; i < QUANT_BLOCK; i += 8) {
            for (size_t j = 0; j < 8; j++) {
                float a = fabsf(from[i + j]);

                part[j] = a > part[j] ? a : part[j];
            }
        }
        for (size_t j = 0; j < 8; j++)
            most = part[j] > most ? part[j] : most;
        scale = most / 127.0f;
        factor = most > QUANT_TINY ? 127.0f / most : 0;
        for (size_t i = 0; i < QUANT_BLOCK; i++) {
            float f = from[i] * factor;
            int v;

            /* In this order what is no number becomes -127. */
            f = f > -127.0f ? f : -127.0f;
            f = f < 127.0f ? f : 127.0f;
            v = (int)(f + 12582912.0f - 12582912.0f);
            to[i] = (int8_t)v;
            sum += v;
        }
        d[b] = _cvtsh_ss((unsigned short)_cvtss_sh(scale, 0));
        s[b] = (float)sum * d[b];
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
