/* Products of bytes: what is around tile(). The kernel file says how many TOKENS meet how many
 * BLOCKS of rows at a time (their sums have to stay in registers), how many are tried when
 * those are too many (FEWER), and what its tile() takes off the inputs (LESS): 128 where bytes
 * are multiplied signed. */
#ifndef ENGINE_KERNELS_DENSE_I8_BODY_H
#define ENGINE_KERNELS_DENSE_I8_BODY_H

#include "engine/kernels/dense_body.h"

#define AHEAD_BYTES 4096 /* the hardware's own reading ahead ends with the page */

/* acc[t][b] = products of n (1..TOKENS) tokens, one behind the other at x, with `blocks`
 * (1..BLOCKS) blocks of rows from `row` on. */
static inline void tile(const struct dense_i8 *w, size_t row, size_t blocks, const uint8_t *x,
                        size_t n, vec16i acc[TOKENS][BLOCKS]);

static inline void i8_tokens(const struct dense_i8 *w, size_t row, size_t blocks,
                             const struct dense_bytes *x, size_t t, size_t n, float *y)
{
    vec16i acc[TOKENS][BLOCKS];

    tile(w, row, blocks, x->bytes + t * w->cols, n, acc);
    for (size_t k = 0; k < n; k++) {
        for (size_t b = 0; b < blocks; b++) {
            size_t at = row + b * DENSE_ROWS;
            vec16 total =
                vec16_of(vec16i_less_times(acc[k][b], w->sums + at, x->zero[t + k] - LESS));

            body_store_i8(w, at, total, x->scale[t + k], y + (t + k) * w->rows + at);
        }
    }
}

static inline void i8_rows(const struct dense_i8 *w, size_t row, size_t blocks,
                           const struct dense_bytes *x, size_t n, float *y)
{
    size_t t = 0;

    for (; t + TOKENS <= n; t += TOKENS)
        i8_tokens(w, row, blocks, x, t, TOKENS, y);
    for (; t + FEWER <= n; t += FEWER)
        i8_tokens(w, row, blocks, x, t, FEWER, y);
    for (; t < n; t++)
        i8_tokens(w, row, blocks, x, t, 1, y);
}

static void matmul_i8(const struct dense_i8 *w, const struct dense_bytes *x, size_t n,
                      size_t from, size_t to, float *y)
{
    size_t row = from;

    for (; row + BLOCKS * DENSE_ROWS <= to; row += BLOCKS * DENSE_ROWS)
        i8_rows(w, row, BLOCKS, x, n, y);
    if (row < to)
        i8_rows(w, row, 1, x, n, y);
}

#endif
