/* The decoder's kernels for vectors; included by each kernel file, which says how products are
 * added up (quant_strip_body.h). */
#ifndef ENGINE_KERNELS_QUANT_BODY_H
#define ENGINE_KERNELS_QUANT_BODY_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/format.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_rows_body.h"
#include "engine/kernels/vec16_body.h"

/* So many columns meet the bits of a strip, COLUMNS at a time, which is fastest as long as the
 * codes stay in registers; more meet panels. */
INLINE size_t few_columns(uint32_t type)
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    bool parted = l.bit != QUANT_PACK_NO_BIT || (l.two && l.low != QUANT_PACK_NONE);

    if (LANES == 16)
        return QUANT_TOKENS;
    return PANELS_SOON && parted ? COLUMNS : 2 * COLUMNS;
}

/* Sixteen weights of a type without codes. */
INLINE vec16 floats_at(uint32_t type, const uint8_t *p)
{
    if (type == FORMAT_F32)
        return vec16_load((const float *)(const void *)p);
    return type == FORMAT_F16 ? vec16_halves(p) : vec16_bf16(p);
}

INLINE float dot_float(uint32_t type, const uint8_t *p, const float *x, size_t n)
{
    size_t bytes = type == FORMAT_F32 ? 4 : 2;
    vec16 acc[2] = {vec16_all(0), vec16_all(0)};

    for (size_t i = 0; i < n; i += 32) {
        for (size_t k = 0; k < 2; k++)
            acc[k] = vec16_fma(floats_at(type, p + bytes * (i + 16 * k)),
                               vec16_load(x + i + 16 * k), acc[k]);
    }
    return vec16_sum(vec16_add(acc[0], acc[1]));
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

        if (n <= few_columns(w->type) && from < packed) {
            decode(w, in, n, from, packed, y, ldy);
            from = packed;
        }
        if (n <= ROW_COLUMNS && from >= w->packed)
            decode_rows(w, in, n, from, to, y, ldy);
        else if (from < to)
            prompt(w, in, n, from, to, y, ldy);
    }
}

/* Rounded to -127..127; in this order what is no number becomes -127. */
INLINE vec16 to_whole(vec16 x, vec16 factor)
{
    vec16 v = vec16_max(vec16_mul(x, factor), vec16_all(-127));

    return vec16_round(vec16_min(v, vec16_all(127)));
}

static void fast_quantize32(const float *x, size_t cols, const struct quant_input *in, size_t t)
{
    for (size_t b = t * (cols / QUANT_BLOCK); b < (t + 1) * (cols / QUANT_BLOCK); b++) {
        vec16 v[2], most = vec16_all(0), factor;
        float top;

        for (size_t i = 0; i < 2; i++, x += 16) {
            v[i] = vec16_load(x);
            /* What is no number is passed over: the second is taken then. */
            most = vec16_max(vec16_abs(v[i]), most);
        }
        top = vec16_largest(most);
        factor = vec16_all(top > QUANT_TINY ? 127.0f / top : 0);
        for (size_t i = 0; i < 2; i++) {
            v[i] = to_whole(v[i], factor);
            vec16_store_signed(in->q + b * QUANT_BLOCK + 16 * i, v[i]);
            in->sums[2 * b + i] = (int16_t)vec16_sum(v[i]);
        }
        in->d[b] = vec16_half_rounded(top / 127.0f);
        in->s[b] = (float)(in->sums[2 * b] + in->sums[2 * b + 1]) * in->d[b];
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

/* z / (1 + e^-u) * up */
INLINE vec16 gated(vec16 z, vec16 u, vec16 up)
{
    vec16 below = vec16_add(vec16_all(1), vec16_exp(vec16_sub(vec16_all(0), u)));

    return vec16_mul(vec16_div(z, below), up);
}

static void fast_silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vec16 z = vec16_load(gate + i);

        vec16_store(gate + i, gated(z, z, vec16_load(up + i)));
    }
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
static void fast_gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vec16 z = vec16_load(gate + i), cube = vec16_mul(vec16_mul(z, z), z);
        vec16 u =
            vec16_mul(vec16_all(2 * 0.79788456f), vec16_fma(vec16_all(0.044715f), cube, z));

        vec16_store(gate + i, gated(z, u, vec16_load(up + i)));
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
