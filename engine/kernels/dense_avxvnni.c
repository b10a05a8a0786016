/* AVX-VNNI: unsigned bytes times signed bytes, four at a time, into 32 bits. The
 * activations' 128 is taken out again by the row's offset. */
#include <immintrin.h>
#include <string.h>

#include "engine/kernels/dense.h"
#include "engine/kernels/float_fast.h"

#define TOKENS 6

static inline void tile(const struct dense_i8 *w, size_t block, const uint8_t *q, size_t n,
                        __m256i acc[TOKENS][2])
{
    const int8_t *p = w->weights + block * DENSE_ROWS * w->cols;

    for (size_t t = 0; t < n; t++)
        acc[t][0] = acc[t][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < w->cols; i += 4, p += 64) {
        __m256i w0 = _mm256_load_si256((const __m256i *)(const void *)p);
        __m256i w1 = _mm256_load_si256((const __m256i *)(const void *)(p + 32));

        for (size_t t = 0; t < n; t++) {
            int32_t four;
            __m256i x;

            memcpy(&four, q + t * w->cols + i, sizeof(four));
            x = _mm256_set1_epi32(four);
            acc[t][0] = _mm256_dpbusd_avx_epi32(acc[t][0], x, w0);
            acc[t][1] = _mm256_dpbusd_avx_epi32(acc[t][1], x, w1);
        }
    }
}

static inline void store8(const struct dense_i8 *w, size_t row, float scale, __m256i sum,
                          float *y)
{
    __m256i off = _mm256_loadu_si256((const __m256i *)(const void *)(w->offsets + row));
    __m256 s = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_loadu_ps(w->scales + row));
    __m256 v = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum, off));

    _mm256_storeu_ps(y, _mm256_add_ps(_mm256_mul_ps(v, s), _mm256_loadu_ps(w->bias + row)));
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
            for (size_t k = 0; k < m; k++) {
                float *to = y + (t + k) * w->rows + block * DENSE_ROWS;

                store8(w, block * DENSE_ROWS, scale[t + k], acc[k][0], to);
                store8(w, block * DENSE_ROWS + 8, scale[t + k], acc[k][1], to + 8);
            }
        }
    }
}

/* Products of floats are those of AVX2. */
static void matmul_f32(const struct dense_f32 *w, const float *x, size_t n, float *y)
{
    dense_avx2.matmul_f32(w, x, n, y);
}

const struct dense_kernels dense_avxvnni = {
    .quantize = fast_quantize,
    .matmul_i8 = matmul_i8,
    .matmul_f32 = matmul_f32,
    .layer_norm = fast_layer_norm,
    .gelu = fast_gelu,
    .attention = fast_attention,
};
