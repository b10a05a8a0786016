/* The parts between the products, and products of floats, sixteen lanes at a time:
 * included by each kernel file, so that each gets them for its own instruction set.
 * Deviations from dense_ref.c are below 1e-6 relative; tests hold them to that. */
#ifndef ENGINE_KERNELS_DENSE_BODY_H
#define ENGINE_KERNELS_DENSE_BODY_H

#include <math.h>

#include "engine/kernels/dense.h"
#include "engine/kernels/vec16_body.h"

/* Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
static inline vec16 body_erf(vec16 x)
{
    const vec16 one = vec16_all(1.0f);
    vec16 a = vec16_abs(x), t, p;

    t = vec16_div(one, vec16_fma(a, vec16_all(0.3275911f), one));
    p = vec16_fma(vec16_all(1.061405429f), t, vec16_all(-1.453152027f));
    p = vec16_fma(p, t, vec16_all(1.421413741f));
    p = vec16_fma(p, t, vec16_all(-0.284496736f));
    p = vec16_fma(p, t, vec16_all(0.254829592f));
    p = vec16_mul(vec16_mul(p, t), vec16_exp(vec16_mul(vec16_sub(vec16_all(0), a), a)));
    return vec16_with_sign(vec16_sub(one, p), x);
}

static inline void body_gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vec16 v = vec16_load(x + i), half = vec16_mul(v, vec16_all(0.5f));

        vec16_store(x + i,
                    vec16_fma(half, body_erf(vec16_mul(v, vec16_all(0.70710678f))), half));
    }
}

static inline void body_swiglu(const float *x, size_t n, float *out)
{
    const vec16 zero = vec16_all(0), one = vec16_all(1.0f);

    for (size_t i = 0; i < n; i += 16) {
        vec16 up = vec16_load(x + i), gate = vec16_load(x + n + i);
        vec16 below = vec16_add(one, vec16_exp(vec16_sub(zero, gate)));

        vec16_store(out + i, vec16_mul(up, vec16_div(gate, below)));
    }
}

static inline vec16 body_scaled(const float *x, const float *factor, size_t i)
{
    vec16 v = vec16_load(x + i);

    return factor != NULL ? vec16_mul(v, vec16_load(factor + i)) : v;
}

static inline float body_clamp(float v)
{
    v = v > 0 ? v : 0;
    return v < 255 ? v : 255;
}

static inline void body_quantize(const float *x, size_t n, size_t cols, const float *factor,
                                 struct dense_bytes *out)
{
    for (size_t t = 0; t < n; t++) {
        const float *row = x + t * cols;
        uint8_t *bytes = out->bytes + t * cols;
        vec16 low = vec16_all(0), high = vec16_all(0);
        float least, most, inverse, zero;

        for (size_t i = 0; i < cols; i += 16) {
            vec16 v = body_scaled(row, factor, i);

            low = vec16_max(vec16_sub(vec16_all(0), v), low);
            high = vec16_max(v, high);
        }
        least = -vec16_largest(low);
        most = vec16_largest(high);
        inverse = most > least ? 255.0f / (most - least) : 0;
        zero = body_clamp(rintf(-least * inverse));
        out->scale[t] = (most - least) / 255.0f;
        out->zero[t] = (int32_t)zero;
        for (size_t i = 0; i < cols; i += 16) {
            vec16 v = vec16_round(vec16_mul(body_scaled(row, factor, i), vec16_all(inverse)));

            v = vec16_max(vec16_add(v, vec16_all(zero)), vec16_all(0));
            vec16_store_bytes(bytes + i, vec16_min(v, vec16_all(255)));
        }
    }
}

static inline void body_layer_norm(float *x, const float *r, const float *weight,
                                   const float *bias, float eps, size_t n, size_t d)
{
    for (size_t t = 0; t < n; t++) {
        float *row = x + t * d;
        vec16 sum = vec16_all(0), squares = vec16_all(0), mean, inverse;

        for (size_t i = 0; i < d; i += 16) {
            vec16 v = vec16_load(row + i);

            if (r != NULL) {
                v = vec16_add(v, vec16_load(r + t * d + i));
                vec16_store(row + i, v);
            }
            sum = vec16_add(sum, v);
        }
        mean = vec16_all(vec16_sum(sum) / (float)d);
        for (size_t i = 0; i < d; i += 16) {
            vec16 v = vec16_sub(vec16_load(row + i), mean);

            squares = vec16_fma(v, v, squares);
        }
        inverse = vec16_all(1.0f / sqrtf(vec16_sum(squares) / (float)d + eps));
        for (size_t i = 0; i < d; i += 16) {
            vec16 v = vec16_mul(vec16_sub(vec16_load(row + i), mean), inverse);

            vec16_store(row + i, vec16_fma(v, vec16_load(weight + i), vec16_load(bias + i)));
        }
    }
}

/* One head's keys turned (kt[head][wide]) and values side by side (v[n][head]). */
static inline void body_gather(const float *k, size_t n, size_t head, size_t ld, size_t wide,
                               float *kt, float *v)
{
    const float *from = k + ld / 3;

    for (size_t j = 0; j < n; j++) {
        for (size_t c = 0; c < head; c++)
            kt[c * wide + j] = k[j * ld + c];
        for (size_t c = 0; c < head; c += 16)
            vec16_store(v + j * head + c, vec16_load(from + j * ld + c));
    }
    for (size_t c = 0; c < head; c++) {
        for (size_t j = n; j < wide; j++)
            kt[c * wide + j] = 0;
    }
}

/* s[i][j] = q[i] k[j] of `m` queries */
static inline void body_scores(const float *q, size_t m, size_t ld, const float *kt,
                               size_t head, size_t wide, float *s)
{
    for (size_t j = 0; j < wide; j += 16) {
        vec16 acc[DENSE_QUERIES];

        for (size_t i = 0; i < m; i++)
            acc[i] = vec16_all(0);
        for (size_t c = 0; c < head; c++) {
            vec16 k = vec16_load(kt + c * wide + j);

            for (size_t i = 0; i < m; i++)
                acc[i] = vec16_fma(vec16_all(q[i * ld + c]), k, acc[i]);
        }
        for (size_t i = 0; i < m; i++)
            vec16_store(s + i * wide + j, acc[i]);
    }
}

/* s[0..n) = e^(factor (s - max)), zero up to `wide`; the sum of it is returned. */
static inline float body_exponents(float *s, size_t n, size_t wide, float factor)
{
    vec16 most, sum = vec16_all(0), f = vec16_all(factor);

    for (size_t j = n; j < wide; j++)
        s[j] = s[0];
    most = vec16_load(s);
    for (size_t j = 16; j < wide; j += 16)
        most = vec16_max(vec16_load(s + j), most);
    most = vec16_all(vec16_largest(most));
    for (size_t j = 0; j < wide; j += 16)
        vec16_store(s + j, vec16_exp(vec16_mul(vec16_sub(vec16_load(s + j), most), f)));
    for (size_t j = n; j < wide; j++)
        s[j] = 0;
    for (size_t j = 0; j < wide; j += 16)
        sum = vec16_add(sum, vec16_load(s + j));
    return vec16_sum(sum);
}

/* out[i] = sum of s[i][j] v[j], times inverse[i], of `m` queries */
static inline void body_mix(const float *s, size_t m, const float *v, size_t n, size_t head,
                            size_t wide, const float *inverse, size_t d, float *out)
{
    for (size_t c = 0; c < head; c += 16) {
        vec16 acc[DENSE_QUERIES];

        for (size_t i = 0; i < m; i++)
            acc[i] = vec16_all(0);
        for (size_t j = 0; j < n; j++) {
            vec16 row = vec16_load(v + j * head + c);

            for (size_t i = 0; i < m; i++)
                acc[i] = vec16_fma(vec16_all(s[i * wide + j]), row, acc[i]);
        }
        for (size_t i = 0; i < m; i++)
            vec16_store(out + i * d + c, vec16_mul(acc[i], vec16_all(inverse[i])));
    }
}

/* What attention has at hand for one head. */
struct body_head {
    size_t n, wide, width, d; /* tokens; rounded up to 16; of the head; of all heads */
    float *kt, *v, *s;
    float factor;
};

static inline void body_queries(const struct body_head *h, const float *q, size_t m, float *out)
{
    float inverse[DENSE_QUERIES];

    body_scores(q, m, 3 * h->d, h->kt, h->width, h->wide, h->s);
    for (size_t i = 0; i < m; i++)
        inverse[i] = 1.0f / body_exponents(h->s + i * h->wide, h->n, h->wide, h->factor);
    body_mix(h->s, m, h->v, h->n, h->width, h->wide, inverse, h->d, out);
}

static inline void body_attention(const float *qkv, size_t n, size_t d, size_t heads,
                                  size_t head, float *scratch, float *out)
{
    struct body_head h = {.n = n, .wide = (n + 15) & ~(size_t)15, .width = d / heads, .d = d};
    const float *q = qkv + head * h.width;
    float *to = out + head * h.width;
    size_t t = 0;

    h.kt = scratch;
    h.v = h.kt + h.width * h.wide;
    h.s = h.v + h.width * h.wide;
    h.factor = 1.0f / sqrtf((float)h.width);
    body_gather(q + d, n, h.width, 3 * d, h.wide, h.kt, h.v);
    for (; t + DENSE_QUERIES <= n; t += DENSE_QUERIES)
        body_queries(&h, q + t * 3 * d, DENSE_QUERIES, to + t * d);
    for (; t < n; t++)
        body_queries(&h, q + t * 3 * d, 1, to + t * d);
}

/* Products of floats: the sums of this many tokens stay in registers, of which AVX-512 and NEON
 * have 32 and the latter takes four each. */
#if defined(__AVX512F__)
#define BODY_TOKENS 12
#else
#define BODY_TOKENS 6
#endif

static inline void body_tile_f32(const struct dense_f32 *w, size_t row, const float *x,
                                 size_t n, float *y)
{
    const float *p = w->weights + row * w->cols;
    vec16 acc[BODY_TOKENS];

    for (size_t t = 0; t < n; t++)
        acc[t] = vec16_load(w->bias + row);
    for (size_t i = 0; i < w->cols; i++) {
        vec16 v = vec16_load(p + i * DENSE_ROWS);

        for (size_t t = 0; t < n; t++)
            acc[t] = vec16_fma(v, vec16_all(x[t * w->cols + i]), acc[t]);
    }
    for (size_t t = 0; t < n; t++)
        vec16_store(y + t * w->rows + row, acc[t]);
}

static inline void body_matmul_f32(const struct dense_f32 *w, const float *x, size_t n,
                                   size_t from, size_t to, float *y)
{
    for (size_t row = from; row < to; row += DENSE_ROWS) {
        size_t t = 0;

        for (; t + BODY_TOKENS <= n; t += BODY_TOKENS)
            body_tile_f32(w, row, x + t * w->cols, BODY_TOKENS, y + t * w->rows);
        for (; t + 2 <= n; t += 2)
            body_tile_f32(w, row, x + t * w->cols, 2, y + t * w->rows);
        if (t < n)
            body_tile_f32(w, row, x + t * w->cols, 1, y + t * w->rows);
    }
}

/* y = (sums - zero * sums of weights) * scales + bias, of one token and one block */
static inline void body_store_i8(const struct dense_i8 *w, size_t row, vec16 total, float scale,
                                 float *y)
{
    vec16 s = vec16_mul(vec16_all(scale), vec16_load(w->scales + row));

    vec16_store(y, vec16_add(vec16_mul(total, s), vec16_load(w->bias + row)));
}

#define BODY_KERNELS(name)                                                                     \
    const struct dense_kernels name = {                                                        \
        .quantize = body_quantize,                                                             \
        .matmul_i8 = matmul_i8,                                                                \
        .matmul_f32 = body_matmul_f32,                                                         \
        .layer_norm = body_layer_norm,                                                         \
        .gelu = body_gelu,                                                                     \
        .swiglu = body_swiglu,                                                                 \
        .attention = body_attention,                                                           \
    }

#endif
