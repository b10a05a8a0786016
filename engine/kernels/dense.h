/* Kernels of the encoder: products with dense matrices, and what stands between them.
 *
 * A matrix W (rows x cols: outputs x inputs) is packed in blocks of DENSE_ROWS rows, so
 * that one vector holds the same inputs of neighbouring outputs:
 *
 *     int8:  [row block][col / 4][row in block][col % 4]
 *     f32:   [row block][col][row in block]
 *
 * int8 products are exact integers in every kernel set: where a set has no instruction
 * that adds four products in 32 bits, it adds four in 16, and the weights are rounded so
 * that these cannot overflow (dense_pack.c). So all sets but for the reference, which
 * computes the parts between the products more plainly, give the same vector to the last
 * bit. dense_ref.c says what is right. Pure; any thread. */
#ifndef ENGINE_KERNELS_DENSE_H
#define ENGINE_KERNELS_DENSE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cpu.h"

#define DENSE_ROWS 16 /* a block; rows are a multiple of it */
#define DENSE_COLS 64 /* cols are a multiple of it */

struct dense_i8 {
    size_t rows, cols;
    int8_t *weights; /* packed, owned; aligned to 64 */
    float *scales;   /* [rows], owned: W / factor = weights * scale */
    int32_t *sums;   /* [rows], owned: of a row's weights */
    float *bias;     /* [rows], owned */
    float *factor;   /* [cols], owned: inputs are multiplied by it before they are rounded;
                        NULL: by one */
};

struct dense_f32 {
    size_t rows, cols;
    float *weights; /* packed, owned; aligned to 64 */
    float *bias;    /* [rows], owned */
};

/* n rows of inputs as bytes: x[t][i] * factor[i] = (bytes[t][i] - zero[t]) * scale[t]. */
struct dense_bytes {
    uint8_t *bytes; /* owned */
    float *scale;   /* [n], owned */
    int32_t *zero;  /* [n], owned */
};

struct dense_kernels {
    /* Rounds each row of x[n][cols] into the range it has, zero included. */
    void (*quantize)(const float *x, size_t n, size_t cols, const float *factor,
                     struct dense_bytes *out);
    /* y[n][from..to) = W x + bias of these rows, both multiples of DENSE_ROWS, y's lines
     * being `rows` long; x as quantize() left it */
    void (*matmul_i8)(const struct dense_i8 *w, const struct dense_bytes *x, size_t n,
                      size_t from, size_t to, float *y);
    /* the same of floats */
    void (*matmul_f32)(const struct dense_f32 *w, const float *x, size_t n, size_t from,
                       size_t to, float *y);
    /* x[n][d] = LN(x + r) * weight + bias (Ba et al. 2016); r may be NULL */
    void (*layer_norm)(float *x, const float *r, const float *weight, const float *bias,
                       float eps, size_t n, size_t d);
    /* x = x/2 (1 + erf(x / sqrt 2)), Hendrycks and Gimpel 2016; n a multiple of 16 */
    void (*gelu)(float *x, size_t n);
    /* out[i] = x[i] * silu(x[n + i]), silu(v) = v / (1 + e^-v) (Shazeer 2020, SwiGLU); n a
     * multiple of 16; out is x or lies before it */
    void (*swiglu)(const float *x, size_t n, float *out);
    /* qkv[n][3*d] -> out[n][d], the part of one head of `heads`:
     * softmax(q k^T / sqrt(d/heads)) v within the n tokens; d/heads a multiple of 16. scratch:
     * dense_attention_scratch() floats, aligned to 64 */
    void (*attention)(const float *qkv, size_t n, size_t d, size_t heads, size_t head,
                      float *scratch, float *out);
};

/* Queries that attention computes together. */
#define DENSE_QUERIES 4

/* Keys turned, values, and the scores of some queries, for n tokens. */
static inline size_t dense_attention_scratch(size_t n, size_t head)
{
    return ((n + 15) & ~(size_t)15) * (2 * head + DENSE_QUERIES);
}

extern const struct dense_kernels dense_ref;
extern const struct dense_kernels dense_avx2;
extern const struct dense_kernels dense_avxvnni;
extern const struct dense_kernels dense_avx512vnni;
extern const struct dense_kernels dense_neon;
extern const struct dense_kernels dense_neondot;
/* By level; NULL: not compiled in. */
extern const struct dense_kernels *const dense_sets[CPU_LEVELS];

/* Those of the level in force. */
const struct dense_kernels *dense_kernels(void);

#endif
