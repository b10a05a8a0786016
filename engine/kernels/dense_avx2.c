/* AVX2 and FMA. Bytes times bytes: |x| as unsigned, the weight with the sign of x, pairs
 * added in 16 bits (127 * 127 * 2 fits), then in 32. */
#include <immintrin.h>
#include <string.h>

#include "engine/kernels/dense.h"
#include "engine/kernels/float_fast.h"

#define TOKENS 4

/* acc += four products of each of eight outputs. */
static inline __m256i madd4(__m256i acc, __m256i w, __m256i x, __m256i ax, __m256i ones)
{
    __m256i pairs = _mm256_maddubs_epi16(ax, _mm256_sign_epi8(w, x));

    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, ones));
}

/* `n` (1..TOKENS) tokens against one block of rows. */
static inline void tile(const struct dense_i8 *w, size_t block, const uint8_t *q, size_t n,
                        __m256i acc[TOKENS][2])
{
    const int8_t *p = w->weights + block * DENSE_ROWS * w->cols;
    const __m256i ones = _mm256_set1_epi16(1), flip = _mm256_set1_epi8((char)0x80);

    for (size_t t = 0; t < n; t++)
        acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m256i w0 = _mm256_load_si256((const __m256i *)(const void *)p);
        __m256i w1 = _mm256_load_si256((const __m256i *)(const void *)(p + 32));

        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m256i x, ax;

            memcpy(&four, q + t * w->cols + i, sizeof(four));
            x = _mm256_xor_si256(_mm256_set1_epi32(four), flip); /* back to signed */
            ax = _mm256_abs_epi8(x);
            acc[t][0] = madd4(acc[t][0], w0, x, ax, ones);
            acc[t][1] = madd4(acc[t][1], w1, x, ax, ones);
        }
    }
}

static inline void store(const struct dense_i8 *w, size_t block, float scale, __m256i sum0,
                         __m256i sum1, float *y)
{
    const float *s = w->scales + block * DENSE_ROWS, *b = w->bias + block * DENSE_ROWS;
    __m256 f = _mm256_set1_ps(scale);

    _mm256_storeu_ps(y, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum0),
                                                    _mm256_mul_ps(f, _mm256_loadu_ps(s))),
                                      _mm256_loadu_ps(b)));
    _mm256_storeu_ps(y + 8,
                     _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum1),
                                                 _mm256_mul_ps(f, _mm256_loadu_ps(s + 8))),
                                   _mm256_loadu_ps(b + 8)));
}

static void matmul_i8(const struct dense_i8 *w, const uint8_t *q, const float *scale, size_t n,
                      float *y)
{
    for (size_t block = 0; block < w->rows / DENSE_ROWS; block++) {
        for (size_t t = 0; t < n; t += TOKENS) {
            size_t m = n - t < TOKENS ? n - t : TOKENS;
            __m256i acc[TOKENS][2];

            if (m == TOKENS)
                tile(w, block, q + t * w->cols, TOKENS, acc);
            else
                tile(w, block, q + t * w->cols, m, acc);
            for (size_t k = 0; k < m; k++)
                store(w, block, scale[t + k], acc[k][0], acc[k][1],
                      y + (t + k) * w->rows + block * DENSE_ROWS);
        }
    }
}

static inline void tile_f32(const struct dense_f32 *w, size_t block, const float *x, size_t n,
                            float *y)
{
    const float *p = w->weights + block * DENSE_ROWS * w->cols,
                *b = w->bias + block * DENSE_ROWS;
    __m256 acc[TOKENS][2];

    for (size_t t = 0; t < n; t++) {
        acc[t][0] = _mm256_loadu_ps(b);
        acc[t][1] = _mm256_loadu_ps(b + 8);
    }
    for (size_t i = 0; i < w->cols; i++, p += DENSE_ROWS) {
        __m256 w0 = _mm256_load_ps(p), w1 = _mm256_load_ps(p + 8);

        for (size_t t = 0; t < n; t++) {
            __m256 v = _mm256_broadcast_ss(x + t * w->cols + i);

            acc[t][0] = _mm256_fmadd_ps(w0, v, acc[t][0]);
            acc[t][1] = _mm256_fmadd_ps(w1, v, acc[t][1]);
        }
    }
    for (size_t t = 0; t < n; t++) {
        _mm256_storeu_ps(y + t * w->rows + block * DENSE_ROWS, acc[t][0]);
        _mm256_storeu_ps(y + t * w->rows + block * DENSE_ROWS + 8, acc[t][1]);
    }
}

static void matmul_f32(const struct dense_f32 *w, const float *x, size_t n, float *y)
{
    for (size_t block = 0; block < w->rows / DENSE_ROWS; block++) {
        for (size_t t = 0; t < n; t += TOKENS) {
            if (n - t >= TOKENS)
                tile_f32(w, block, x + t * w->cols, TOKENS, y + t * w->rows);
            else
                tile_f32(w, block, x + t * w->cols, n - t, y + t * w->rows);
        }
    }
}

const struct dense_kernels dense_avx2 = {
    .quantize = fast_quantize,
    .matmul_i8 = matmul_i8,
    .matmul_f32 = matmul_f32,
    .layer_norm = fast_layer_norm,
    .gelu = fast_gelu,
    .attention = fast_attention,
};
