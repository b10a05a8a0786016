/* The decoder's kernels with 256-bit vectors; included by each kernel file, which gives
 * dot4(): acc + products of 32 unsigned codes with 32 signed bytes, four to a lane.
 *
 * Many columns (a prompt): a row's codes are unpacked once and meet all columns. One
 * column (decoding): four rows at a time, straight from the file's blocks, fetched
 * ahead, because the hardware's own fetching stops at each page. */
#ifndef ENGINE_KERNELS_QUANT_BODY_H
#define ENGINE_KERNELS_QUANT_BODY_H

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/gguf.h"
#include "engine/kernels/float_fast.h"
#include "engine/kernels/quant.h"

#define AHEAD_BYTES 4096
#define ROWS        4
#define COLUMNS     4

static inline __m256i dot4(__m256i acc, __m256i codes, __m256i q);

static inline float half_at(const uint8_t *p)
{
    uint16_t bits;

    memcpy(&bits, p, sizeof(bits));
    return _cvtsh_ss(bits);
}

static inline float add_lanes(__m256 v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

static inline __m256i load32(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* 32 codes of a 4-bit block: low halves first. */
static inline __m256i codes4(const uint8_t *p)
{
    __m128i raw = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(raw), _mm_srli_epi16(raw, 4), 1);

    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* Sum of products of signed bytes; both within -127..127. */
static inline __m256i dot_signed(__m256i w, __m256i q)
{
    return dot4(_mm256_setzero_si256(), _mm256_sign_epi8(w, w), _mm256_sign_epi8(q, w));
}

static inline __m256 block_products(uint32_t type, const uint8_t *p, __m256i q)
{
    __m256i sum;

    if (type == GGUF_Q8_0)
        sum = dot_signed(load32(p + 2), q);
    else
        sum = dot4(_mm256_setzero_si256(), codes4(p + (type == GGUF_Q4_1 ? 4 : 2)), q);
    return _mm256_cvtepi32_ps(sum);
}

static inline float offset_of(uint32_t type, const uint8_t *p)
{
    return type == GGUF_Q4_1 ? half_at(p + 2) : type == GGUF_Q4_0 ? -8 * half_at(p) : 0;
}

/* One column, `n` rows (ROWS, or the rest). `type` is a constant at each call, so the
 * compiler makes one loop a type. */
static inline __attribute__((always_inline)) void decode_rows(uint32_t type, size_t bytes,
                                                              const struct quant_matrix *w,
                                                              const struct quant_input *in,
                                                              size_t row, size_t n, float *y)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    size_t blocks = w->cols / QUANT_BLOCK;
    __m256 acc[ROWS];
    float rest[ROWS];

    for (size_t r = 0; r < n; r++) {
        acc[r] = _mm256_setzero_ps();
        rest[r] = 0;
    }
    for (size_t b = 0; b < blocks; b++) {
        __m256i q = load32(in->q + b * QUANT_BLOCK);

        for (size_t r = 0; r < n; r++) {
            const uint8_t *block = p + r * w->row_bytes + b * bytes;
            __m256 d = _mm256_set1_ps(half_at(block) * in->d[b]);

            _mm_prefetch((const char *)block + AHEAD_BYTES, _MM_HINT_T0);
            acc[r] = _mm256_fmadd_ps(d, block_products(type, block, q), acc[r]);
            if (type != GGUF_Q8_0)
                rest[r] += offset_of(type, block) * in->s[b];
        }
    }
    for (size_t r = 0; r < n; r++)
        y[row + r] = add_lanes(acc[r]) + rest[r];
}

static inline __attribute__((always_inline)) void decode(uint32_t type, size_t bytes,
                                                         const struct quant_matrix *w,
                                                         const struct quant_input *in,
                                                         size_t from, size_t to, float *y)
{
    size_t row = from;

    for (; row + ROWS <= to; row += ROWS)
        decode_rows(type, bytes, w, in, row, ROWS, y);
    for (; row < to; row++)
        decode_rows(type, bytes, w, in, row, 1, y);
}

/* A row made ready for many columns. */
struct unpacked {
    _Alignas(32) int8_t codes[QUANT_COLS_MAX];
    float d[QUANT_COLS_MAX / QUANT_BLOCK], m[QUANT_COLS_MAX / QUANT_BLOCK];
};

static void unpack(const struct quant_matrix *w, size_t row, struct unpacked *u)
{
    const uint8_t *p = w->data + row * w->row_bytes;
    size_t bytes = gguf_block_bytes(w->type);

    for (size_t b = 0; b < w->cols / QUANT_BLOCK; b++, p += bytes) {
        __m256i codes =
            w->type == GGUF_Q8_0 ? load32(p + 2) : codes4(p + (w->type == GGUF_Q4_1 ? 4 : 2));

        _mm256_store_si256((__m256i *)(void *)(u->codes + b * QUANT_BLOCK), codes);
        u->d[b] = half_at(p);
        u->m[b] = offset_of(w->type, p);
    }
}

static inline __attribute__((always_inline)) void
columns(bool is_signed, const struct unpacked *u, const struct quant_input *in, size_t cols,
        size_t t, size_t n, float *y, size_t ldy)
{
    size_t blocks = cols / QUANT_BLOCK;
    __m256 acc[COLUMNS];

    for (size_t k = 0; k < n; k++)
        acc[k] = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        __m256i w = load32(u->codes + b * QUANT_BLOCK);

        for (size_t k = 0; k < n; k++) {
            __m256i q = load32(in->q + (t + k) * cols + b * QUANT_BLOCK);
            __m256i sum = is_signed ? dot_signed(w, q) : dot4(_mm256_setzero_si256(), w, q);
            __m256 d = _mm256_set1_ps(u->d[b] * in->d[(t + k) * blocks + b]);

            acc[k] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(sum), acc[k]);
        }
    }
    for (size_t k = 0; k < n; k++) {
        const float *s = in->s + (t + k) * blocks;
        float rest = 0;

        for (size_t b = 0; !is_signed && b < blocks; b++)
            rest += u->m[b] * s[b];
        y[(t + k) * ldy] = add_lanes(acc[k]) + rest;
    }
}

static void prompt(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    struct unpacked u;

    for (size_t row = from; row < to; row++) {
        bool is_signed = w->type == GGUF_Q8_0;
        size_t t = 0;

        unpack(w, row, &u);
        for (; t + COLUMNS <= n; t += COLUMNS) {
            if (is_signed)
                columns(true, &u, in, w->cols, t, COLUMNS, y + row, ldy);
            else
                columns(false, &u, in, w->cols, t, COLUMNS, y + row, ldy);
        }
        for (; t < n; t++)
            columns(is_signed, &u, in, w->cols, t, 1, y + row, ldy);
    }
}

static float dot_half(const uint8_t *p, const float *x, size_t n)
{
    __m256 acc = _mm256_setzero_ps();

    for (size_t i = 0; i < n; i += 8)
        acc = _mm256_fmadd_ps(
            _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * i))),
            _mm256_loadu_ps(x + i), acc);
    return add_lanes(acc);
}

static float dot_float(const uint8_t *p, const float *x, size_t n)
{
    __m256 acc = _mm256_setzero_ps();

    for (size_t i = 0; i < n; i += 8)
        acc = _mm256_fmadd_ps(_mm256_castsi256_ps(load32(p + 4 * i)), _mm256_loadu_ps(x + i),
                              acc);
    return add_lanes(acc);
}

static void fast_matmul(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                        size_t from, size_t to, float *y, size_t ldy)
{
    if (w->type == GGUF_F16 || w->type == GGUF_F32) {
        for (size_t r = from; r < to; r++) {
            const uint8_t *p = w->data + r * w->row_bytes;

            for (size_t t = 0; t < n; t++)
                y[t * ldy + r] = w->type == GGUF_F16
                                     ? dot_half(p, in->x + t * w->cols, w->cols)
                                     : dot_float(p, in->x + t * w->cols, w->cols);
        }
    } else if (n > 1) {
        prompt(w, in, n, from, to, y, ldy);
    } else if (w->type == GGUF_Q4_1) {
        decode(GGUF_Q4_1, 20, w, in, from, to, y);
    } else if (w->type == GGUF_Q8_0) {
        decode(GGUF_Q8_0, 34, w, in, from, to, y);
    } else {
        decode(GGUF_Q4_0, 18, w, in, from, to, y);
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

static void fast_attend(const float *q, const float *keys, size_t stride, const float *values,
                        size_t vstride, size_t n, size_t width, float *scratch, float *out)
{
    float factor = 1.0f / sqrtf((float)width), acc[FAST_HEAD_MAX] = {0};

    for (size_t j = 0; j < n; j++)
        scratch[j] = 0;
    for (size_t c = 0; c < width; c++) {
        const float *row = keys + c * stride;
        float x = q[c] * factor;

        for (size_t j = 0; j < n; j++)
            scratch[j] += x * row[j];
    }
    fast_softmax(scratch, n);
    for (size_t j = 0; j < n; j++) {
        const float *row = values + j * vstride;
        float p = scratch[j];

        for (size_t c = 0; c < width; c++)
            acc[c] += p * row[c];
    }
    for (size_t c = 0; c < width; c++)
        out[c] = acc[c];
}

#define QUANT_TABLE                                                                            \
    {                                                                                          \
        .quantize = fast_quantize32, .matmul = fast_matmul, .rms_norm = fast_rms_norm,         \
        .silu_mul = fast_silu_mul, .attend = fast_attend,                                      \
    }

#endif
