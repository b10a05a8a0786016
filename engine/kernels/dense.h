/* Kernels of the encoder: products with dense matrices, and what stands between them.
 *
 * A matrix W (rows x cols: outputs x inputs) is packed in blocks of DENSE_ROWS rows, so
 * that one vector holds the same inputs of neighbouring outputs:
 *
 *     int8:  [row block][col / 4][row in block][col % 4]
 *     f32:   [row block][col][row in block]
 *
 * int8 products are exact integers in every kernel set, so all sets give the same
 * result to the last bit; dense_ref.c says what it is. Pure; any thread. */
#ifndef ENGINE_KERNELS_DENSE_H
#define ENGINE_KERNELS_DENSE_H

#include <stddef.h>
#include <stdint.h>

#define DENSE_ROWS 16 /* a block; rows are a multiple of it */
#define DENSE_COLS 64 /* cols are a multiple of it */

struct dense_i8 {
    size_t rows, cols;
    int8_t *weights;  /* packed, owned; aligned to 64 */
    float *scales;    /* [rows], owned: W = weights * scale */
    int32_t *offsets; /* [rows], owned: 128 * sum of the row's weights, for kernels that
                         take activations as unsigned bytes (value + 128) */
    float *bias;      /* [rows], owned */
};

struct dense_f32 {
    size_t rows, cols;
    float *weights; /* packed, owned; aligned to 64 */
    float *bias;    /* [rows], owned */
};

struct dense_kernels {
    /* x[n][cols] -> q[n][cols] = round(x / scale) + 128, scale[n] = max |x| / 127 */
    void (*quantize)(const float *x, size_t n, size_t cols, uint8_t *q, float *scale);
    /* y[n][rows] = W x + bias; x as quantize() left it */
    void (*matmul_i8)(const struct dense_i8 *w, const uint8_t *q, const float *scale, size_t n,
                      float *y);
    /* y[n][rows] = W x + bias */
    void (*matmul_f32)(const struct dense_f32 *w, const float *x, size_t n, float *y);
    /* x[n][d] = LN(x + r) * weight + bias (Ba et al. 2016); r may be NULL */
    void (*layer_norm)(float *x, const float *r, const float *weight, const float *bias,
                       float eps, size_t n, size_t d);
    /* x = x/2 (1 + erf(x / sqrt 2)), Hendrycks and Gimpel 2016 */
    void (*gelu)(float *x, size_t n);
    /* qkv[n][3*d] -> out[n][d]: softmax(q k^T / sqrt(d/heads)) v within the n tokens.
     * scratch: n * (d/heads) + n floats */
    void (*attention)(const float *qkv, size_t n, size_t d, size_t heads, float *scratch,
                      float *out);
};

extern const struct dense_kernels dense_ref;
extern const struct dense_kernels dense_avx2;
extern const struct dense_kernels dense_avxvnni;
extern const struct dense_kernels dense_avx512vnni;

/* Those of the level in force. */
const struct dense_kernels *dense_kernels(void);

#endif
