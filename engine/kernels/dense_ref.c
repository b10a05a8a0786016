/* What every other set of dense kernels must compute, in the plainest way. */
#include <math.h>

#include "engine/kernels/dense.h"

static uint8_t to_byte(float v)
{
    v = v > 0 ? v : 0; /* a NaN too becomes zero */
    return (uint8_t)(v < 255 ? v : 255);
}

static void quantize(const float *x, size_t n, size_t cols, const float *factor,
                     struct dense_bytes *out)
{
    for (size_t t = 0; t < n; t++) {
        const float *row = x + t * cols;
        uint8_t *bytes = out->bytes + t * cols;
        float least = 0, most = 0, inverse, zero;

        for (size_t i = 0; i < cols; i++) {
            float v = factor != NULL ? row[i] * factor[i] : row[i];

            least = v < least ? v : least;
            most = v > most ? v : most;
        }
        inverse = most > least ? 255.0f / (most - least) : 0;
        zero = to_byte(rintf(-least * inverse));
        out->scale[t] = (most - least) / 255.0f;
        out->zero[t] = (int32_t)zero;
        for (size_t i = 0; i < cols; i++) {
            float v = factor != NULL ? row[i] * factor[i] : row[i];

            bytes[i] = to_byte(rintf(v * inverse) + zero);
        }
    }
}

static int32_t dot(const struct dense_i8 *w, size_t row, const uint8_t *x, int32_t zero)
{
    const int8_t *block = w->weights + row / DENSE_ROWS * DENSE_ROWS * w->cols;
    int32_t sum = 0;

    for (size_t i = 0; i < w->cols; i++)
        sum += block[i / 4 * 4 * DENSE_ROWS + row % DENSE_ROWS * 4 + i % 4] *
               ((int32_t)x[i] - zero);
    return sum;
}

static void matmul_i8(const struct dense_i8 *w, const struct dense_bytes *x, size_t n,
                      size_t from, size_t to, float *y)
{
    for (size_t t = 0; t < n; t++) {
        for (size_t r = from; r < to; r++)
            y[t * w->rows + r] = (float)dot(w, r, x->bytes + t * w->cols, x->zero[t]) *
                                     (x->scale[t] * w->scales[r]) +
                                 w->bias[r];
    }
}

static void matmul_f32(const struct dense_f32 *w, const float *x, size_t n, size_t from,
                       size_t to, float *y)
{
    for (size_t t = 0; t < n; t++) {
        for (size_t r = from; r < to; r++) {
            const float *block = w->weights + r / DENSE_ROWS * DENSE_ROWS * w->cols;
            double sum = 0;

            for (size_t i = 0; i < w->cols; i++)
                sum +=
                    (double)block[i * DENSE_ROWS + r % DENSE_ROWS] * (double)x[t * w->cols + i];
            y[t * w->rows + r] = (float)sum + w->bias[r];
        }
    }
}

static void layer_norm(float *x, const float *r, const float *weight, const float *bias,
                       float eps, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        float *row = x + t * d;
        double mean = 0, var = 0;

        for (size_t i = 0; i < d; i++) {
            row[i] += r != NULL ? r[t * d + i] : 0;
            mean += (double)row[i];
        }
        mean /= (double)d;
        for (size_t i = 0; i < d; i++)
            var += ((double)row[i] - mean) * ((double)row[i] - mean);
        var /= (double)d;
        for (size_t i = 0; i < d; i++)
            row[i] = (float)(((double)row[i] - mean) / sqrt(var + (double)eps)) * weight[i] +
                     bias[i];
    }
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
}

static void swiglu(const float *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * (x[n + i] / (1.0f + expf(-x[n + i])));
}

static void softmax(float *s, size_t n)
{
    float most = s[0], sum = 0;

    for (size_t i = 1; i < n; i++)
        most = s[i] > most ? s[i] : most;
    for (size_t i = 0; i < n; i++) {
        s[i] = expf(s[i] - most);
        sum += s[i];
    }
    for (size_t i = 0; i < n; i++)
        s[i] /= sum;
}

static void attention(const float *qkv, size_t n, size_t d, size_t heads, size_t head,
                      float *scratch, float *out)
{
    size_t hd = d / heads, ld = 3 * d;
    const float *q = qkv + head * hd, *k = q + d, *v = k + d;
    float factor = 1.0f / sqrtf((float)hd);

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            float sum = 0;

            for (size_t c = 0; c < hd; c++)
                sum += q[i * ld + c] * k[j * ld + c];
            scratch[j] = sum * factor;
        }
        softmax(scratch, n);
        for (size_t c = 0; c < hd; c++) {
            float sum = 0;

            for (size_t j = 0; j < n; j++)
                sum += scratch[j] * v[j * ld + c];
            out[i * d + head * hd + c] = sum;
        }
    }
}

const struct dense_kernels dense_ref = {
    .quantize = quantize,
    .matmul_i8 = matmul_i8,
    .matmul_f32 = matmul_f32,
    .layer_norm = layer_norm,
    .gelu = gelu,
    .swiglu = swiglu,
    .attention = attention,
};
