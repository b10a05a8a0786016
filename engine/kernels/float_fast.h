/* The parts between the products in C that compilers turn into vectors: included by
 * each kernel file, so that each gets them for its own instruction set. Deviations
 * from dense_ref.c are below 1e-6 relative; tests hold them to that. */
#ifndef ENGINE_KERNELS_FLOAT_FAST_H
#define ENGINE_KERNELS_FLOAT_FAST_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* e^x: 2^n with n = round(x / ln 2) and a polynomial for the rest (Cephes' expf). */
static inline float fast_exp(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float n, r, p;
    union {
        int32_t i;
        float f;
    } power;

    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    n = x * 1.44269504f + magic;
    n -= magic;
    r = x - n * 0.693359375f + n * 2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    power.i = ((int32_t)n + 127) * (1 << 23);
    return p * power.f;
}

/* Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
static inline float fast_erf(float x)
{
    float a = fabsf(x), t = 1.0f / (1.0f + 0.3275911f * a), p;

    p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    p = 1.0f - p * t * fast_exp(-a * a);
    return x < 0 ? -p : p;
}

static inline void fast_gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1.0f + fast_erf(x[i] * 0.70710678f));
}

static inline void fast_quantize(const float *x, size_t n, size_t cols, uint8_t *q,
                                 float *scale)
{
    for (size_t t = 0; t < n; t++) {
        const float *row = x + t * cols;
        uint8_t *to = q + t * cols;
        float part[16] = {0}, most = 0, factor;

        for (size_t i = 0; i < cols; i += 16) {
            for (size_t j = 0; j < 16; j++) {
                float a = fabsf(row[i + j]);

                part[j] = a > part[j] ? a : part[j];
            }
        }
        for (size_t j = 0; j < 16; j++)
            most = part[j] > most ? part[j] : most;
        scale[t] = most / 127.0f;
        factor = most > 0 ? 127.0f / most : 0;
        for (size_t i = 0; i < cols; i++) {
            /* rounds to even like lrintf */
            float v = row[i] * factor + 12582912.0f;

            to[i] = (uint8_t)((int32_t)(v - 12582912.0f) + 128);
        }
    }
}

static inline void fast_layer_norm(float *x, const float *r, const float *weight,
                                   const float *bias, float eps, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        float *row = x + t * d;
        float part[16] = {0}, mean = 0, var = 0, inv;

        if (r != NULL) {
            for (size_t i = 0; i < d; i++)
                row[i] += r[t * d + i];
        }
        for (size_t i = 0; i < d; i += 16) {
            for (size_t j = 0; j < 16; j++)
                part[j] += row[i + j];
        }
        for (size_t j = 0; j < 16; j++) {
            mean += part[j];
            part[j] = 0;
        }
        mean /= (float)d;
        for (size_t i = 0; i < d; i += 16) {
            for (size_t j = 0; j < 16; j++)
                part[j] += (row[i + j] - mean) * (row[i + j] - mean);
        }
        for (size_t j = 0; j < 16; j++)
            var += part[j];
        inv = 1.0f / sqrtf(var / (float)d + eps);
        for (size_t i = 0; i < d; i++)
            row[i] = (row[i] - mean) * inv * weight[i] + bias[i];
    }
}

static inline void fast_softmax(float *s, size_t n)
{
    float most = s[0], sum = 0, inv;

    for (size_t i = 1; i < n; i++)
        most = s[i] > most ? s[i] : most;
    for (size_t i = 0; i < n; i++)
        s[i] = fast_exp(s[i] - most);
    for (size_t i = 0; i < n; i++)
        sum += s[i];
    inv = 1.0f / sum;
    for (size_t i = 0; i < n; i++)
        s[i] *= inv;
}

/* Keys are turned, so that the scores of one query are a run of additions of rows;
 * heads are at most this wide. */
#define FAST_HEAD_MAX 128

static inline void fast_attention(const float *qkv, size_t n, size_t d, size_t heads,
                                  float *scratch, float *out)
{
    size_t hd = d / heads, ld = 3 * d;
    float factor = 1.0f / sqrtf((float)hd);
    float *kt = scratch, *s = scratch + n * hd;

    for (size_t h = 0; h < heads; h++) {
        const float *q = qkv + h * hd, *k = q + d, *v = k + d;

        for (size_t j = 0; j < n; j++) {
            for (size_t c = 0; c < hd; c++)
                kt[c * n + j] = k[j * ld + c];
        }
        for (size_t i = 0; i < n; i++) {
            float acc[FAST_HEAD_MAX] = {0};

            for (size_t j = 0; j < n; j++)
                s[j] = 0;
            for (size_t c = 0; c < hd; c++) {
                float x = q[i * ld + c] * factor;
                const float *row = kt + c * n;

                for (size_t j = 0; j < n; j++)
                    s[j] += x * row[j];
            }
            fast_softmax(s, n);
            for (size_t j = 0; j < n; j++) {
                const float *row = v + j * ld;
                float p = s[j];

                for (size_t c = 0; c < hd; c++)
                    acc[c] += p * row[c];
            }
            for (size_t c = 0; c < hd; c++)
                out[i * d + h * hd + c] = acc[c];
        }
    }
}

#endif
