/* What every other set of quant kernels must compute, in the plainest way. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/format.h"
#include "engine/half.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_pack.h"

/* Rounds to -127..127; what is no number becomes -127. */
static int to_byte(float v)
{
    v = v > -127.0f ? v : -127.0f;
    return (int)lrintf(v < 127.0f ? v : 127.0f);
}

static void quantize(const float *x, size_t cols, const struct quant_input *in, size_t t)
{
    size_t blocks = cols / QUANT_BLOCK;

    for (size_t b = 0; b < blocks; b++) {
        const float *from = x + b * QUANT_BLOCK;
        int8_t *q = in->q + t * cols + b * QUANT_BLOCK;
        int sum[2] = {0, 0};
        float most = 0, scale, factor;

        for (size_t i = 0; i < QUANT_BLOCK; i++)
            most = fabsf(from[i]) > most ? fabsf(from[i]) : most;
        scale = most / 127.0f;
        factor = most > QUANT_TINY ? 127.0f / most : 0;
        for (size_t i = 0; i < QUANT_BLOCK; i++) {
            int v = to_byte(from[i] * factor);

            q[i] = (int8_t)v;
            sum[i / 16] += v;
        }
        scale = half_to_float(half_from_float(scale));
        in->d[t * blocks + b] = scale;
        in->s[t * blocks + b] = (float)(sum[0] + sum[1]) * scale;
        in->sums[2 * (t * blocks + b)] = (int16_t)sum[0];
        in->sums[2 * (t * blocks + b) + 1] = (int16_t)sum[1];
    }
}

/* n codes with n inputs, all with one scale each. */
static float dot_group(const int8_t *codes, const int8_t *q, size_t n, float d, float m)
{
    int part = 0, sum = 0;

    for (size_t j = 0; j < n; j++) {
        part += codes[j] * q[j];
        sum += q[j];
    }
    return d * (float)part + m * (float)sum;
}

/* A row in the file's bytes. */
static float dot(const struct quant_matrix *w, const uint8_t *p, const struct quant_input *in,
                 size_t t)
{
    const struct format *f = format_of(w->type);
    const int8_t *q = in->q + t * w->cols;
    const float *scales = in->d + t * (w->cols / QUANT_BLOCK);
    int8_t codes[FORMAT_VALUES_MAX];
    float d[FORMAT_GROUPS_MAX], m[FORMAT_GROUPS_MAX], sum = 0;

    for (size_t i = 0; i < w->cols; i += f->values, p += f->bytes) {
        f->unpack(p, codes, d, m);
        for (size_t j = 0; j < f->values; j += f->group)
            sum += scales[(i + j) / QUANT_BLOCK] * dot_group(codes + j, q + i + j, f->group,
                                                             d[j / f->group],
                                                             f->offsets ? m[j / f->group] : 0);
    }
    return sum;
}

static float dot_float(const struct quant_matrix *w, size_t row, const float *x)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    size_t bytes = format_of(w->type)->bytes;
    double sum = 0;

    for (size_t i = 0; i < w->cols; i++) {
        float v;

        format_row(w->type, p + i * bytes, 1, &v);
        sum += (double)v * (double)x[i];
    }
    return (float)sum;
}

static void matmul(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    bool floats = format_of(w->type)->unpack == NULL;
    uint8_t row[QUANT_PACK_ROW_MAX];

    for (size_t r = from; r < to; r++) {
        const uint8_t *p = r < w->packed ? row : w->data + r * w->row_bytes;

        if (r < w->packed)
            quant_pack_row(w, r, row);
        for (size_t t = 0; t < n; t++)
            y[t * ldy + r] = floats ? dot_float(w, r, in->x + t * w->cols) : dot(w, p, in, t);
    }
}

static void rms_norm(const float *x, const float *w, float eps, size_t n, float *y)
{
    double sum = 0;
    float scale;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    scale = 1.0f / sqrtf((float)(sum / (double)n) + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static void gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float z = gate[i], u = 0.79788456f * (z + 0.044715f * z * z * z);

        gate[i] = 0.5f * z * (1.0f + tanhf(u)) * up[i];
    }
}

static void relu2_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float z = gate[i] > 0 ? gate[i] : 0;

        gate[i] = z * z * up[i];
    }
}

const struct quant_kernels quant_ref = {
    .quantize = quantize,
    .matmul = matmul,
    .rms_norm = rms_norm,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .relu2_mul = relu2_mul,
};
