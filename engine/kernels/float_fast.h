/* The parts between the products in C that compilers turn into vectors: included by
 * each kernel file, so that each gets them for its own instruction set. Deviations
 * from quant_ref.c are below 1e-6 relative; tests hold them to that. */
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

    /* In this order what is no number becomes -87 and stays an integer below. */
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
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

#endif
