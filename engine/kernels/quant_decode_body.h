/* Few columns (decoding): a strip after the other, straight from their bits, fetched ahead,
 * because the hardware's own fetching stops at each page. `type` is a constant at each call,
 * so the compiler makes one loop a type and a number of columns. Included by quant_body.h. */
#ifndef ENGINE_KERNELS_QUANT_DECODE_BODY_H
#define ENGINE_KERNELS_QUANT_DECODE_BODY_H

#include "engine/kernels/quant_strip_body.h"

#define AHEAD_BYTES 4096
#define LINE_BYTES  64

/* The types that are packed. */
#define PACKED_MAP(X)                                                                          \
    X(FORMAT_Q4_0)                                                                             \
    X(FORMAT_Q4_1)                                                                             \
    X(FORMAT_Q5_0)                                                                             \
    X(FORMAT_Q5_1)                                                                             \
    X(FORMAT_Q8_0)                                                                             \
    X(FORMAT_IQ4_NL)                                                                           \
    X(FORMAT_MXFP4)                                                                            \
    X(FORMAT_Q2_K)                                                                             \
    X(FORMAT_Q3_K)                                                                             \
    X(FORMAT_Q4_K)                                                                             \
    X(FORMAT_Q5_K)                                                                             \
    X(FORMAT_Q6_K)                                                                             \
    X(FORMAT_IQ4_XS)                                                                           \
    X(FORMAT_TQ2_0)

INLINE void fetch_ahead(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE_BYTES)
        __builtin_prefetch(p + AHEAD_BYTES + i);
}

/* Some columns of the inputs: where each has its codes and its blocks' scales. */
struct columns {
    const struct quant_input *in;
    const int8_t *q[COLUMNS];
    size_t blocks[COLUMNS];
};

/* Column t and on: n of them, and the last again for the rest. */
INLINE struct columns columns_from(const struct quant_input *in, size_t cols, size_t t,
                                   size_t n)
{
    struct columns c = {.in = in};

    for (size_t k = 0; k < COLUMNS; k++) {
        size_t column = t + (k < n ? k : n - 1);

        c.q[k] = in->q + column * cols;
        c.blocks[k] = column * (cols / QUANT_BLOCK);
    }
    return c;
}

/* What scale i of group j makes of the sums of a slice. */
INLINE void add_scaled(uint32_t type, const struct strip_block *b, size_t j, size_t i,
                       size_t slice, const struct columns *c, size_t n, size_t at,
                       const ints *sum, floats *acc)
{
    const struct sums s = sums_of(type);
    const size_t group = (1 + (size_t)s.halves) * j + i;
    floats d = strip_scale(type, b, slice, group);

    for (size_t k = 0; k < n; k++) {
        size_t block = c->blocks[k] + at;
        floats dx = floats_all(c->in->d[block]);

        acc[k] = floats_fma(floats_mul(d, dx), floats_of(sum[k]), acc[k]);
        if (s.offsets)
            acc[k] = floats_fma(
                strip_offset(type, b, slice, group),
                s.halves ? floats_mul(dx, floats_all((float)c->in->sums[2 * block + i]))
                         : floats_all(c->in->s[block]),
                acc[k]);
    }
}

/* Group j of a block with block `at` of n columns, `slices` slices from `slice` on. In the
 * order of panel_product(), or an answer would depend on the number of columns beside its own.
 */
INLINE void decode_group(uint32_t type, const struct strip_block *b, size_t j, size_t slice,
                         size_t slices, const struct columns *c, size_t n, size_t at,
                         floats acc[SLICES][COLUMNS])
{
    const struct sums s = sums_of(type);
    const uint8_t *group = b->codes + quant_pack_group(quant_pack_layout(type)) * j;
    const size_t scales = 1 + (size_t)s.halves, count = FOURS / scales;

    for (size_t i = 0; i < scales; i++) {
        struct products p;

        for (size_t k = 0; k < slices * n; k++)
            p.sum[k % slices][k / slices] =
                s.zero == 0 ? ints_zero()
                            : start_of(c->in->sums + 2 * (c->blocks[k / slices] + at),
                                       i == 0 ? s.zero : 0, !s.halves || i == 1 ? s.zero : 0);
#pragma GCC unroll 8
        for (size_t g = 0; g < count; g++) {
            ints codes[ABREAST];

            for (size_t h = 0; h < slices; h++)
                codes[h] = strip_codes(type, group, slice + h, count * i + g);
            add_products(s, g, codes, slices, c->q, QUANT_BLOCK * at + 4 * (count * i + g), n,
                         &p);
        }
        for (size_t h = 0; h < slices; h++)
            add_scaled(type, b, j, i, slice + h, c, n, at, p.sum[h], acc[slice + h]);
    }
}

/* y[k]: of the strip's rows with column k, n of them. */
INLINE void decode_strip(uint32_t type, const struct quant_matrix *w, const uint8_t *p,
                         const struct columns *c, size_t n, float y[COLUMNS][ROWS])
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    const size_t bytes = ROWS * (size_t)l.bytes, blocks = w->row_bytes / l.bytes;
    const size_t slices = n > 2 ? ABREAST : 1;
    floats acc[SLICES][COLUMNS];
    struct strip_block b;

    for (size_t k = 0; k < SLICES * n; k++)
        acc[k % SLICES][k / SLICES] = floats_zero();
    for (size_t i = 0; i < blocks; i++, p += bytes) {
        strip_open(type, p, &b);
        for (size_t j = 0; j < l.groups; j++) {
            fetch_ahead(p + j * (bytes / l.groups), bytes / l.groups);
            for (size_t h = 0; h < SLICES; h += slices)
                decode_group(type, &b, j, h, slices, c, n, i * l.groups + j, acc);
        }
    }
    for (size_t k = 0; k < SLICES * n; k++)
        floats_store(y[k / SLICES] + LANES * (k % SLICES), acc[k % SLICES][k / SLICES]);
}

/* Columns t..t + n of strip `row`: `width` of them are computed, which is a constant where
 * this is called. */
INLINE void decode_columns(uint32_t type, const struct quant_matrix *w,
                           const struct quant_input *in, size_t row, size_t t, size_t n,
                           size_t width, float y[COLUMNS][ROWS])
{
    struct columns c = columns_from(in, w->cols, t, n);

    decode_strip(type, w, w->data + row * w->row_bytes, &c, width, y);
}

/* Packed rows from..to, n columns. */
INLINE void decode_type(uint32_t type, const struct quant_matrix *w,
                        const struct quant_input *in, size_t n, size_t from, size_t to,
                        float *y, size_t ldy)
{
    _Alignas(64) float part[COLUMNS][ROWS];

    for (size_t row = from - from % ROWS; row < to; row += ROWS) {
        size_t first = row < from ? from - row : 0, end = to - row < ROWS ? to - row : ROWS;

        for (size_t t = 0; t < n; t += COLUMNS) {
            size_t m = n - t < COLUMNS ? n - t : COLUMNS;

            if (m == 1)
                decode_columns(type, w, in, row, t, m, 1, part);
            else if (m == 2)
                decode_columns(type, w, in, row, t, m, 2, part);
            else if (m <= 4)
                decode_columns(type, w, in, row, t, m, 4, part);
            else
                decode_columns(type, w, in, row, t, m, COLUMNS, part);
            for (size_t k = 0; end - first == ROWS && k < m; k++)
                memcpy(y + (t + k) * ldy + row, part[k], sizeof(part[k]));
            for (size_t k = 0; end - first < ROWS && k < m; k++)
                memcpy(y + (t + k) * ldy + row + first, part[k] + first,
                       (end - first) * sizeof(*y));
        }
    }
}

/* Packed rows from..to with n columns, fastest where there are few. */
static void decode(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    switch (w->type) {
#define X(type)                                                                                \
    case type:                                                                                 \
        decode_type(type, w, in, n, from, to, y, ldy);                                         \
        break;
        PACKED_MAP(X)
#undef X
    default:
        break;
    }
}

#endif
