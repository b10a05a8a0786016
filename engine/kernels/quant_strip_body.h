/* Strips (quant_pack.h) taken apart: codes as bytes, scales and offsets as floats, of the rows
 * that a vector has lanes for. `slice` says which of them, from 0 on where
 * several vectors make a strip. Codes of types whose offset is a multiple of their scale stay
 * unsigned; sums_of() says what is to be taken off. `type` is a constant at each call. Included
 * by quant_decode_body.h. */
#ifndef ENGINE_KERNELS_QUANT_STRIP_BODY_H
#define ENGINE_KERNELS_QUANT_STRIP_BODY_H

#include <stdbool.h>

#include "engine/format.h"
#include "engine/kernels/quant.h"
#include "engine/kernels/quant_pack.h"
#include "engine/kernels/quant_vec_body.h"

#define ROWS   QUANT_PACK_ROWS
#define SLICES (ROWS / LANES)
#define FOURS  (QUANT_PACK_CODES / 4) /* vectors of codes of a group */

/* From the kernel file. SIGNED_CODES: 1 where products take signed codes, so that the code for
 * zero is taken off the codes; else it is taken off the sums. BYTE_ZERO: 128 where bytes are
 * multiplied unsigned, the code 128 for zero; 0 where they are signed. COLUMNS: how many meet
 * vectors of codes at a time, and ABREAST: of how many slices; their sums have to stay in
 * registers. PANELS_SOON: 1 where putting a code together of several parts twice is slower than
 * a panel (quant_body.h). A sum of products of four codes and four inputs a lane goes from its
 * start through sum_more()s, as many as its kind of sum holds, to its end. */
static inline partial sum_begin(ints start);
static inline partial sum_more(partial sum, ints codes, ints x);
/* Of `bytes`, one at a time. */
static inline partial sum_signed(partial sum, ints codes, ints x);
static inline ints sum_end(ints start, partial sum);

/* How a type is summed up. */
struct sums {
    bool halves;  /* a scale for each 16, or for each 32 */
    bool offsets; /* that are no multiple of the scale */
    bool bytes;   /* codes of eight bits, see BYTE_ZERO */
    int zero;     /* the code that stands for zero, where sums are to make up for it */
    size_t depth; /* sum_more()s of 16 bits: 32767 / (2 * 127 * largest code) or less */
};

/* The code that stands for zero, of types whose codes are fewer than eight bits. */
INLINE int zero_of(uint32_t type)
{
    switch (type) {
    case FORMAT_TQ2_0:
        return 1;
    case FORMAT_Q4_0:
        return 8;
    case FORMAT_Q5_0:
        return 16;
    case FORMAT_Q3_K:
        return 4;
    case FORMAT_Q6_K:
        return 32;
    default:
        return 0;
    }
}

INLINE struct sums sums_of(uint32_t type)
{
    const int zero = SIGNED_CODES ? 0 : zero_of(type);

    switch (type) {
    case FORMAT_Q4_0:
    case FORMAT_TQ2_0:
        return (struct sums){.zero = zero, .depth = 8};
    case FORMAT_Q4_1:
    case FORMAT_Q4_K:
        return (struct sums){.offsets = true, .depth = 8};
    case FORMAT_Q5_0:
        return (struct sums){.zero = zero, .depth = 4};
    case FORMAT_Q5_1:
    case FORMAT_Q5_K:
        return (struct sums){.offsets = true, .depth = 4};
    case FORMAT_Q2_K:
        return (struct sums){.halves = true, .offsets = true, .depth = 4};
    case FORMAT_Q3_K:
        return (struct sums){.halves = true, .zero = zero, .depth = 4};
    case FORMAT_Q6_K:
        return (struct sums){.halves = true, .zero = zero, .depth = 2};
    default: /* Q8_0, IQ4_NL, IQ4_XS, MXFP4 */
        return (struct sums){.bytes = true, .zero = BYTE_ZERO, .depth = 1};
    }
}

/* --- codes ---------------------------------------------------------------------------- */

/* What four bits stand for in types with a table. */
INLINE bool has_table(uint32_t type)
{
    return type == FORMAT_IQ4_NL || type == FORMAT_IQ4_XS || type == FORMAT_MXFP4;
}

#define B(v) ((int8_t)((v) ^ BYTE_ZERO))

INLINE table16 table_of(uint32_t type)
{
    static const int8_t mxfp4[16] = {B(0), B(1),  B(2),  B(3),  B(4),  B(6),  B(8),  B(12),
                                     B(0), B(-1), B(-2), B(-3), B(-4), B(-6), B(-8), B(-12)};
    static const int8_t iq4[16] = {B(-127), B(-104), B(-83), B(-65), B(-49), B(-35),
                                   B(-22),  B(-10),  B(1),   B(13),  B(25),  B(38),
                                   B(53),   B(69),   B(89),  B(113)};

    return table_load(type == FORMAT_MXFP4 ? mxfp4 : iq4);
}

#undef B

/* Signed bytes as the kernels of this file multiply them. */
INLINE ints from_signed(ints codes)
{
    return BYTE_ZERO != 0 ? ints_xor(codes, ints_bytes(BYTE_ZERO)) : codes;
}

INLINE ints line_at(const uint8_t *group, size_t line, size_t slice)
{
    return ints_load(group + QUANT_PACK_LINE * line + sizeof(ints) * slice);
}

/* Bits of v that lie at `from` of each byte, `mask` of them (in their place at `to`). */
INLINE ints bits_at(ints v, unsigned from, unsigned to, int mask)
{
    ints moved = from > to ? ints_right(v, from - to) : from < to ? ints_left(v, to - from) : v;

    return ints_and(moved, ints_bytes(mask << to));
}

/* Of the 32 codes of each row of a group, four from 4 g on. */
INLINE ints strip_codes(uint32_t type, const uint8_t *group, size_t slice, size_t g)
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    const size_t two = l.bit != QUANT_PACK_NO_BIT, low = two + 2 * (size_t)l.two;
    ints out = ints_zero();

    if (l.low == QUANT_PACK_BYTES)
        out = from_signed(line_at(group, low + g, slice));
    else if (l.low != QUANT_PACK_NONE)
        out = bits_at(line_at(group, low + g % 4, slice), g < 4 ? 0 : 4, 0, 15);
    if (has_table(type))
        out = ints_look_up(table_of(type), out);
    if (l.two)
        out = ints_or(out, bits_at(line_at(group, two + g / 4, slice), (unsigned)(2 * (g % 4)),
                                   l.two_shift, 3));
    if (l.bit != QUANT_PACK_NO_BIT)
        out = ints_or(out, bits_at(line_at(group, 0, slice), (unsigned)g, l.bit_shift, 1));
    if (SIGNED_CODES && zero_of(type) != 0)
        out = ints_sub_bytes(out, ints_bytes(zero_of(type)));
    return out;
}

/* --- scales --------------------------------------------------------------------------- */

/* A block of a strip, its scales ready to be had one group after the other. */
struct strip_block {
    /* d and m of a block of 32 are loaded from its head when they are needed: sums of products
     * leave them no registers. */
    const uint8_t *head, *codes;
    floats d[SLICES], m[SLICES];     /* of the block, for types of 256 */
    const uint8_t *scales, *offsets; /* [group][16], for types of 256 */
    _Alignas(64) uint8_t room[2][FORMAT_GROUPS_MAX * ROWS];
};

/* Q4_K, Q5_K: six bits in twelve bytes (format_k_scales()). */
INLINE void open_scales_k(const uint8_t *p, struct strip_block *b)
{
    for (size_t i = 0; i < 4 * ROWS; i += sizeof(ints)) {
        ints x = ints_load(p + i), y = ints_load(p + 64 + i), z = ints_load(p + 128 + i);

        ints_store(b->room[0] + i, bits_at(x, 0, 0, 63));
        ints_store(b->room[1] + i, bits_at(y, 0, 0, 63));
        ints_store(b->room[0] + 64 + i, ints_or(bits_at(z, 0, 0, 15), bits_at(x, 6, 4, 3)));
        ints_store(b->room[1] + 64 + i, ints_or(bits_at(z, 4, 0, 15), bits_at(y, 6, 4, 3)));
    }
    b->scales = b->room[0];
    b->offsets = b->room[1];
}

/* Q2_K: half bytes. */
INLINE void open_scales_q2(const uint8_t *p, struct strip_block *b)
{
    for (size_t i = 0; i < FORMAT_GROUPS_MAX * ROWS; i += sizeof(ints)) {
        ints both = ints_load(p + i);

        ints_store(b->room[0] + i, bits_at(both, 0, 0, 15));
        ints_store(b->room[1] + i, bits_at(both, 4, 0, 15));
    }
    b->scales = b->room[0];
    b->offsets = b->room[1];
}

/* Q3_K: low bits in eight bytes, high ones in four, around 32 (format_k_q3()). */
INLINE void open_scales_q3(const uint8_t *p, struct strip_block *b)
{
    const ints around = ints_bytes(32);

    for (size_t i = 0; i < 4 * ROWS; i += sizeof(ints)) {
        ints low[2] = {ints_load(p + i), ints_load(p + 64 + i)}, high = ints_load(p + 128 + i);

        for (unsigned k = 0; k < 4; k++) {
            ints six =
                ints_or(bits_at(low[k % 2], k / 2 * 4, 0, 15), bits_at(high, 2 * k, 4, 3));

            ints_store(b->room[0] + 64 * k + i, ints_sub_bytes(six, around));
        }
    }
    b->scales = b->room[0];
}

/* Sixteen bytes as compilers know them by themselves. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));

INLINE bytes16 bytes16_load(const uint8_t *p)
{
    bytes16 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* IQ4_XS: low bits in four bytes, high ones in a 16-bit word, around 32. */
INLINE void open_scales_xs(const uint8_t *words, const uint8_t *p, struct strip_block *b)
{
    const bytes16 w0 = bytes16_load(words), w1 = bytes16_load(words + 16);
    const bytes16 high[2] = {__builtin_shufflevector(w0, w1, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                                     20, 22, 24, 26, 28, 30),
                             __builtin_shufflevector(w0, w1, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19,
                                                     21, 23, 25, 27, 29, 31)};

    for (size_t g = 0; g < 8; g++) {
        bytes16 low = bytes16_load(p + g / 2 * ROWS) >> (uint8_t)(g % 2 * 4) & 15;
        bytes16 six = low | (high[g / 4] >> (uint8_t)(g % 4 * 2) & 3) << 4;

        six -= 32;
        memcpy(b->room[0] + g * ROWS, &six, sizeof(six));
    }
    b->scales = b->room[0];
}

INLINE void strip_open(uint32_t type, const uint8_t *p, struct strip_block *b)
{
    const struct quant_pack_layout l = quant_pack_layout(type);
    const uint8_t *scales = p + 2 * ROWS * (size_t)l.halves;

    b->head = p;
    b->codes = p + quant_pack_head(l);
    b->scales = b->offsets = scales;
    for (size_t h = 0; l.groups > 1 && h < SLICES; h++) {
        b->d[h] = floats_halves(p + 2 * LANES * h);
        /* Types of 256 subtract. */
        b->m[h] = sums_of(type).offsets
                      ? floats_mul(floats_halves(p + 2 * (ROWS + LANES * h)), floats_all(-1))
                      : floats_zero();
    }
    if (type == FORMAT_Q4_K || type == FORMAT_Q5_K)
        open_scales_k(scales, b);
    else if (type == FORMAT_Q2_K)
        open_scales_q2(scales, b);
    else if (type == FORMAT_Q3_K)
        open_scales_q3(scales, b);
    else if (type == FORMAT_IQ4_XS)
        open_scales_xs(p + 2 * ROWS, scales, b);
}

/* d of group i: of 32 weights, or of 16. */
INLINE floats strip_scale(uint32_t type, const struct strip_block *b, size_t slice, size_t i)
{
    const struct quant_pack_layout l = quant_pack_layout(type);

    if (type == FORMAT_MXFP4)
        return floats_as(ints_power(ints_of_unsigned(b->head + LANES * slice)));
    if (l.groups == 1)
        return floats_halves(b->head + 2 * LANES * slice);
    if (l.scales == 0)
        return b->d[slice];
    return floats_mul(b->d[slice],
                      floats_of(ints_of_signed(b->scales + ROWS * i + LANES * slice)));
}

/* m of group i. */
INLINE floats strip_offset(uint32_t type, const struct strip_block *b, size_t slice, size_t i)
{
    if (quant_pack_layout(type).groups == 1)
        return floats_halves(b->head + 2 * (ROWS + LANES * slice));
    return floats_mul(b->m[slice],
                      floats_of(ints_of_signed(b->offsets + ROWS * i + LANES * slice)));
}

/* --- sums ----------------------------------------------------------------------------- */

/* Where sums of a block's halves begin, so that the code `zero` counts nothing: `sums` are the
 * sums of the inputs of both halves. */
INLINE ints start_of(const int16_t sums[2], int first, int second)
{
    return ints_madd(ints_spread(sums), ints_all((int)((unsigned)-first & 0xffff) |
                                                 (int)((unsigned)-second << 16)));
}

/* Sums of some slices' products with some columns, on their way. */
struct products {
    ints sum[ABREAST][COLUMNS];
    partial part[ABREAST][COLUMNS];
};

/* Vector g of the codes of each slice meets four inputs of each of n columns, those at q[k].
 * Told of every g in turn, from 0 to a multiple of s.depth. */
INLINE void add_products(struct sums s, size_t g, const ints codes[ABREAST], size_t slices,
                         const int8_t *const *q, size_t at, size_t n, struct products *p)
{
    for (size_t k = 0; g % s.depth == 0 && k < slices * n; k++)
        p->part[k % slices][k / slices] = sum_begin(p->sum[k % slices][k / slices]);
    for (size_t k = 0; k < n; k++) {
        ints x = ints_spread(q[k] + at);

        for (size_t h = 0; h < slices; h++)
            p->part[h][k] = s.bytes ? sum_signed(p->part[h][k], codes[h], x)
                                    : sum_more(p->part[h][k], codes[h], x);
    }
    for (size_t k = 0; (g + 1) % s.depth == 0 && k < slices * n; k++)
        p->sum[k % slices][k / slices] =
            sum_end(p->sum[k % slices][k / slices], p->part[k % slices][k / slices]);
}

#endif
