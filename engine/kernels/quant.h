/* Kernels of the decoder: products of weights in the file's own bits with activations in blocks
 * of 32 bytes, and what stands between them.
 *
 * A weight is code * d + m with d, m of its group of 16 or 32 (engine/format.h), an
 * activation q * d. So a product is a sum over groups of
 *
 *     d_w d_x sum(code q) + m_w s_x,    s_x = d_x sum(q)
 *
 * d_x is rounded to half like ggml's Q8_0 and Q8_1, so that logits can be compared with
 * llama.cpp's; s_x is not, unlike Q8_1's: the two parts of the sum are large and nearly
 * cancel, and it is the same d_x that must. Types with blocks of 256 meet the same blocks of
 * 32, finer than ggml's Q8_K: one form of activations for files that mix types. Rows of F32,
 * F16 and BF16 weights are multiplied as floats. Pure; any thread. */
#ifndef ENGINE_KERNELS_QUANT_H
#define ENGINE_KERNELS_QUANT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cpu.h"

#define QUANT_BLOCK    32
#define QUANT_COLS_MAX 32768
#define QUANT_TOKENS   64 /* columns of one call of matmul */
/* A block without a larger value is zeros: half could not hold its scale, and 127 / x could
 * be infinite. */
#define QUANT_TINY 1e-30f

/* Activations of up to QUANT_TOKENS columns; strides are cols and cols / 32. */
struct quant_input {
    const float *x; /* [n][cols], for float weights */
    int8_t *q;      /* [n][cols] */
    float *d, *s;   /* [n][cols / 32] */
    int16_t *sums;  /* [n][cols / 32][2]: of the q of each half block */
};

/* The experts of a mixture are matrices of their own, each at its place in the tensor. */
struct quant_matrix {
    uint32_t type; /* enum format_id */
    size_t rows, cols;
    const uint8_t *data; /* borrowed: in the file */
    size_t row_bytes;
    size_t packed; /* rows, from the first on, that lie in strips (quant_pack.h) */
};

struct quant_kernels {
    /* Column t of `in`, but for in->x. */
    void (*quantize)(const float *x, size_t cols, const struct quant_input *in, size_t t);
    /* y[t * ldy + r] for rows from..to of w and columns 0..n; fastest where from and to are
     * multiples of 16. */
    void (*matmul)(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy);
    /* y = x / sqrt(mean(x^2) + eps) * w (Zhang and Sennrich 2019) */
    void (*rms_norm)(const float *x, const float *w, float eps, size_t n, float *y);
    /* gate = silu(gate) * up (Shazeer 2020); n of this and the next two is a multiple of 16 */
    void (*silu_mul)(float *gate, const float *up, size_t n);
    /* gate = gelu(gate) * up, gelu in its tanh form (Hendrycks and Gimpel 2016) */
    void (*gelu_mul)(float *gate, const float *up, size_t n);
    /* gate = max(gate, 0)^2 * up (So et al. 2021) */
    void (*relu2_mul)(float *gate, const float *up, size_t n);
};

extern const struct quant_kernels quant_ref;
extern const struct quant_kernels quant_avx2;
extern const struct quant_kernels quant_avxvnni;
extern const struct quant_kernels quant_avx512vnni;
extern const struct quant_kernels quant_neon;
extern const struct quant_kernels quant_neondot;
/* By level; NULL: not compiled in. */
extern const struct quant_kernels *const quant_sets[CPU_LEVELS];

const struct quant_kernels *quant_kernels(void);

/* One row, packed or not, as floats, exactly: for embeddings and tests. */
void quant_row(const struct quant_matrix *w, size_t row, float *out);

#endif
