/* Many columns (a prompt): the codes of a strip are taken apart once, one byte a code, into a
 * panel that stays in the first cache, and meet all columns, some at a time. Wide matrices go
 * through several panels, their sums kept between. Rows that are not packed are made panels of
 * by the type's own function. Included by quant_rows_body.h. */
#ifndef ENGINE_KERNELS_QUANT_PROMPT_BODY_H
#define ENGINE_KERNELS_QUANT_PROMPT_BODY_H

#include "engine/kernels/quant_decode_body.h"

#define PANEL_COLS   1024 /* whole blocks of any type */
#define PANEL_GROUPS (PANEL_COLS / 16)

struct panel {
    _Alignas(64) int8_t codes[SLICES][PANEL_COLS / 4][LANES][4];
    _Alignas(64) float d[SLICES][PANEL_GROUPS][LANES];
    _Alignas(64) float m[SLICES][PANEL_GROUPS][LANES];
};

/* --- panels --------------------------------------------------------------------------- */

/* Blocks from..from + count of a strip. */
INLINE void fill_type(uint32_t type, const uint8_t *p, size_t from, size_t count,
                      struct panel *to)
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    const struct sums s = sums_of(type);
    const size_t bytes = ROWS * (size_t)l.bytes, scales = 1 + (size_t)s.halves;
    struct strip_block b;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *block = p + (from + i) * bytes;

        fetch_ahead(block, bytes);
        strip_open(type, block, &b);
        for (size_t j = 0; j < SLICES * (size_t)l.groups; j++) {
            size_t h = j % SLICES, k = j / SLICES, at = i * l.groups + k;

            for (size_t g = 0; g < FOURS; g++)
                ints_store(to->codes[h][FOURS * at + g],
                           strip_codes(type, b.codes + quant_pack_group(l) * k, h, g));
            for (size_t g = 0; g < scales; g++) {
                floats_store(to->d[h][scales * at + g],
                             strip_scale(type, &b, h, scales * k + g));
                if (s.offsets)
                    floats_store(to->m[h][scales * at + g],
                                 strip_offset(type, &b, h, scales * k + g));
            }
        }
    }
}

static void fill_packed(uint32_t type, const uint8_t *p, size_t from, size_t count,
                        struct panel *to)
{
    switch (type) {
#define X(packed)                                                                              \
    case packed:                                                                               \
        fill_type(packed, p, from, count, to);                                                 \
        break;
        PACKED_MAP(X)
#undef X
    default:
        break;
    }
}

/* A block in the file's bytes, as block `i` of row r of the panel. */
static void fill_block(const struct format *f, const uint8_t *p, size_t i, size_t r,
                       struct panel *to)
{
    int8_t codes[FORMAT_VALUES_MAX];
    float d[FORMAT_GROUPS_MAX], m[FORMAT_GROUPS_MAX];
    size_t h = r / LANES, groups = f->values / f->group;

    r %= LANES;
    f->unpack(p, codes, d, m);
    for (size_t k = 0; k < f->values; k += 4) {
        uint32_t four;

        memcpy(&four, codes + k, sizeof(four));
        four ^= BYTE_ZERO * UINT32_C(0x01010101);
        memcpy(to->codes[h][(i * f->values + k) / 4][r], &four, sizeof(four));
    }
    for (size_t g = 0; g < groups; g++) {
        to->d[h][i * groups + g][r] = d[g];
        to->m[h][i * groups + g][r] = f->offsets ? m[g] : 0;
    }
}

/* Rows row..row + rows, blocks from..from + count; the other rows are zeros. */
static void fill_rows(const struct quant_matrix *w, size_t row, size_t rows, size_t from,
                      size_t count, struct panel *to)
{
    const struct format *f = format_of(w->type);

    memset(to, 0, sizeof(*to));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *p = w->data + (row + r) * w->row_bytes + from * f->bytes;

        for (size_t i = 0; i < count; i++, p += f->bytes)
            fill_block(f, p, i, r, to);
    }
}

/* --- products ------------------------------------------------------------------------- */

/* Some columns of the inputs with as many columns of the panel's rows. */
struct meeting {
    const struct panel *panel;
    const struct quant_input *in;
    size_t cols;         /* of the matrix */
    size_t first, count; /* of its cols, those that are in the panel */
    float (*sums)[ROWS]; /* [column] */
};

/* What group g of a panel makes of the sums of a slice. */
INLINE void add_panel(struct sums s, const struct meeting *m, size_t slice, size_t g, size_t t,
                      size_t n, const ints *sum, floats *acc)
{
    const size_t blocks = m->cols / QUANT_BLOCK, scales = 1 + (size_t)s.halves;
    floats d = floats_load(m->panel->d[slice][g]);

    for (size_t k = 0; k < n; k++) {
        size_t b = (t + k) * blocks + m->first / QUANT_BLOCK + g / scales;
        floats dx = floats_all(m->in->d[b]);

        acc[k] = floats_fma(floats_mul(d, dx), floats_of(sum[k]), acc[k]);
        if (s.offsets)
            acc[k] = floats_fma(
                floats_load(m->panel->m[slice][g]),
                s.halves ? floats_mul(dx, floats_all((float)m->in->sums[2 * b + g % scales]))
                         : floats_all(m->in->s[b]),
                acc[k]);
    }
}

/* n columns from t on with slices of the panel, from `slice` on. */
INLINE void tile(struct sums s, const struct meeting *m, size_t slice, size_t t, size_t n)
{
    const size_t blocks = m->cols / QUANT_BLOCK, scales = 1 + (size_t)s.halves;
    const size_t count = FOURS / scales;
    const int8_t *q[COLUMNS];
    floats acc[ABREAST][COLUMNS];

    for (size_t k = 0; k < n; k++) {
        q[k] = m->in->q + (t + k) * m->cols + m->first;
        for (size_t h = 0; h < ABREAST; h++)
            acc[h][k] = floats_load(m->sums[t + k] + LANES * (slice + h));
    }
    for (size_t g = 0; g < m->count / QUANT_BLOCK * scales; g++) {
        const size_t at = m->first / QUANT_BLOCK + g / scales, i = g % scales;
        struct products p;

        for (size_t k = 0; k < ABREAST * n; k++)
            p.sum[k % ABREAST][k / ABREAST] =
                s.zero == 0 ? ints_zero()
                            : start_of(m->in->sums + 2 * ((t + k / ABREAST) * blocks + at),
                                       !s.halves || i == 0 ? s.zero : 0,
                                       !s.halves || i == 1 ? s.zero : 0);
#pragma GCC unroll 8
        for (size_t v = 0; v < count; v++) {
            ints codes[ABREAST];

            for (size_t h = 0; h < ABREAST; h++)
                codes[h] = ints_load(m->panel->codes[slice + h][count * g + v]);
            add_products(s, v, codes, ABREAST, q, 4 * (count * g + v), n, &p);
        }
        for (size_t h = 0; h < ABREAST; h++)
            add_panel(s, m, slice + h, g, t, n, p.sum[h], acc[h]);
    }
    for (size_t k = 0; k < ABREAST * n; k++)
        floats_store(m->sums[t + k / ABREAST] + LANES * (slice + k % ABREAST),
                     acc[k % ABREAST][k / ABREAST]);
}

INLINE void all_tiles(struct sums s, const struct meeting *m, size_t n)
{
    for (size_t slice = 0; slice < SLICES; slice += ABREAST) {
        size_t t = 0;

        for (; t + COLUMNS <= n; t += COLUMNS)
            tile(s, m, slice, t, COLUMNS);
        for (; t + 2 <= n; t += 2)
            tile(s, m, slice, t, 2);
        if (t < n)
            tile(s, m, slice, t, 1);
    }
}

/* One loop a kind of sum: the constants below are what the compiler makes them of. */
static void packed_tiles(uint32_t type, const struct meeting *m, size_t n)
{
    switch (type) {
    case FORMAT_Q4_0:
        all_tiles(sums_of(FORMAT_Q4_0), m, n);
        break;
    case FORMAT_Q4_1:
    case FORMAT_Q4_K:
        all_tiles(sums_of(FORMAT_Q4_1), m, n);
        break;
    case FORMAT_Q5_0:
        all_tiles(sums_of(FORMAT_Q5_0), m, n);
        break;
    case FORMAT_Q5_1:
    case FORMAT_Q5_K:
        all_tiles(sums_of(FORMAT_Q5_1), m, n);
        break;
    case FORMAT_Q2_K:
        all_tiles(sums_of(FORMAT_Q2_K), m, n);
        break;
    case FORMAT_Q3_K:
        all_tiles(sums_of(FORMAT_Q3_K), m, n);
        break;
    case FORMAT_Q6_K:
        all_tiles(sums_of(FORMAT_Q6_K), m, n);
        break;
    case FORMAT_TQ2_0:
        all_tiles(sums_of(FORMAT_TQ2_0), m, n);
        break;
    default:
        all_tiles(sums_of(FORMAT_Q8_0), m, n);
    }
}

static void row_tiles(const struct format *f, const struct meeting *m, size_t n)
{
    struct sums s = sums_of(FORMAT_Q8_0);

    if (f->group == QUANT_BLOCK && !f->offsets)
        all_tiles(s, m, n);
    else if (f->group == QUANT_BLOCK)
        all_tiles((struct sums){.offsets = true, .bytes = true, .zero = BYTE_ZERO, .depth = 1},
                  m, n);
    else
        all_tiles(
            (struct sums){
                .halves = true, .offsets = true, .bytes = true, .zero = BYTE_ZERO, .depth = 1},
            m, n);
}

/* Up to ROWS rows from `row` on, packed all or none, with n columns. */
static void panel_product(const struct quant_matrix *w, size_t row, size_t rows, size_t n,
                          struct meeting *m)
{
    const struct format *f = format_of(w->type);
    struct panel p;

    m->panel = &p;
    for (m->first = 0; m->first < w->cols; m->first += PANEL_COLS) {
        size_t from = m->first / f->values;

        m->count = w->cols - m->first < PANEL_COLS ? w->cols - m->first : PANEL_COLS;
        if (row < w->packed) {
            fill_packed(w->type, w->data + row * w->row_bytes, from, m->count / f->values, &p);
            packed_tiles(w->type, m, n);
        } else {
            fill_rows(w, row, rows, from, m->count / f->values, &p);
            row_tiles(f, m, n);
        }
    }
}

static void prompt(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    for (size_t row = from - from % ROWS; row < to; row += ROWS) {
        _Alignas(64) float sums[QUANT_TOKENS][ROWS];
        struct meeting m = {.in = in, .cols = w->cols, .sums = sums};
        size_t rows = w->rows - row < ROWS ? w->rows - row : ROWS;

        memset(sums, 0, n * sizeof(sums[0]));
        panel_product(w, row, rows, n, &m);
        for (size_t t = 0; t < n; t++) {
            for (size_t r = 0; r < rows; r++) {
                if (row + r >= from && row + r < to)
                    y[t * ldy + row + r] = sums[t][r];
            }
        }
    }
}

#endif
