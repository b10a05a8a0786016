/* Rows in strips of sixteen, interleaved: what a vector loads is four codes of each of sixteen
 * rows, so that four inputs meet sixteen rows at once and nothing is added across lanes. The
 * bits are the file's own in another order, no more and no fewer, so that a matrix is packed in
 * its place and a row can be had back.
 *
 * Of each block of the type a strip holds, for its sixteen rows: d as a half [16]; m as a half
 * [16]; bytes of scales [count][16]; then for each 32 weights, four of a row side by side:
 *
 *     bit   [16][4]     bit g of a byte is the upper bit of weight 4 g + (the byte's number)
 *     two   [2][16][4]  bits 2 g of vector i: the upper two of weight 16 i + 4 g + ...
 *     low   [4][16][4]  vector g: low half bytes are weights 4 g + ..., high ones 16 + 4 g +
 * ... or [8][16][4]  vector g: bytes, weights 4 g + ...
 *
 * each where the type has it. Types of other kinds (grids, floats) are not packed, nor are the
 * rows behind the last whole strip. */
#ifndef ENGINE_KERNELS_QUANT_PACK_H
#define ENGINE_KERNELS_QUANT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/format.h"
#include "engine/kernels/quant.h"

#define QUANT_PACK_ROWS  16
#define QUANT_PACK_LINE  64 /* bytes of a vector: four codes of each row */
#define QUANT_PACK_CODES 32 /* weights of a row that lie together */
/* Bytes of the longest row that can be packed: Q8_0. */
#define QUANT_PACK_ROW_MAX (QUANT_COLS_MAX / 32 * 34)

/* Where the low bits of weight i of 32, number j of the block, lie in the file. */
enum quant_pack_low {
    QUANT_PACK_NONE,
    QUANT_PACK_BYTES,    /* byte i */
    QUANT_PACK_SPLIT,    /* byte 16 j + i % 16, half i / 16 */
    QUANT_PACK_PAIRS,    /* byte 32 (j / 2) + i, half j % 2 */
    QUANT_PACK_QUARTERS, /* byte 64 (j / 4) + 32 (j % 2) + i, half j / 2 % 2 */
};

enum quant_pack_bit {
    QUANT_PACK_NO_BIT,
    QUANT_PACK_BIT_WORD,  /* bit i of a word */
    QUANT_PACK_BIT_BYTES, /* bit j of byte i */
};

/* Of a block; `_at`: where it is in the file's block. */
struct quant_pack_layout {
    uint16_t bytes; /* 0: this type is not packed */
    uint8_t groups; /* of 32 weights */
    uint8_t halves; /* 2: d and m, 1: d alone, 0 */
    uint8_t halves_at[2];
    uint8_t scales, scales_at; /* bytes */
    uint8_t bit, bit_at, bit_shift;
    uint8_t two, two_at, two_shift; /* two: 1 or 0; byte 32 (j / 4) + i, bits 2 (j % 4) */
    uint8_t low, low_at;
};

/* A constant for a constant type. */
static inline __attribute__((always_inline)) struct quant_pack_layout
quant_pack_layout(uint32_t type)
{
    switch (type) {
    case FORMAT_Q4_0:
    case FORMAT_IQ4_NL:
        return (struct quant_pack_layout){
            .bytes = 18, .groups = 1, .halves = 1, .low = QUANT_PACK_SPLIT, .low_at = 2};
    case FORMAT_Q4_1:
        return (struct quant_pack_layout){.bytes = 20,
                                          .groups = 1,
                                          .halves = 2,
                                          .halves_at = {0, 2},
                                          .low = QUANT_PACK_SPLIT,
                                          .low_at = 4};
    case FORMAT_Q5_0:
        return (struct quant_pack_layout){.bytes = 22,
                                          .groups = 1,
                                          .halves = 1,
                                          .bit = QUANT_PACK_BIT_WORD,
                                          .bit_at = 2,
                                          .bit_shift = 4,
                                          .low = QUANT_PACK_SPLIT,
                                          .low_at = 6};
    case FORMAT_Q5_1:
        return (struct quant_pack_layout){.bytes = 24,
                                          .groups = 1,
                                          .halves = 2,
                                          .halves_at = {0, 2},
                                          .bit = QUANT_PACK_BIT_WORD,
                                          .bit_at = 4,
                                          .bit_shift = 4,
                                          .low = QUANT_PACK_SPLIT,
                                          .low_at = 8};
    case FORMAT_Q8_0:
        return (struct quant_pack_layout){
            .bytes = 34, .groups = 1, .halves = 1, .low = QUANT_PACK_BYTES, .low_at = 2};
    case FORMAT_MXFP4:
        return (struct quant_pack_layout){
            .bytes = 17, .groups = 1, .scales = 1, .low = QUANT_PACK_SPLIT, .low_at = 1};
    case FORMAT_Q2_K:
        return (struct quant_pack_layout){.bytes = 84,
                                          .groups = 8,
                                          .halves = 2,
                                          .halves_at = {80, 82},
                                          .scales = 16,
                                          .two = 1,
                                          .two_at = 16};
    case FORMAT_Q3_K:
        return (struct quant_pack_layout){.bytes = 110,
                                          .groups = 8,
                                          .halves = 1,
                                          .halves_at = {108},
                                          .scales = 12,
                                          .scales_at = 96,
                                          .bit = QUANT_PACK_BIT_BYTES,
                                          .bit_shift = 2,
                                          .two = 1,
                                          .two_at = 32};
    case FORMAT_Q4_K:
        return (struct quant_pack_layout){.bytes = 144,
                                          .groups = 8,
                                          .halves = 2,
                                          .halves_at = {0, 2},
                                          .scales = 12,
                                          .scales_at = 4,
                                          .low = QUANT_PACK_PAIRS,
                                          .low_at = 16};
    case FORMAT_Q5_K:
        return (struct quant_pack_layout){.bytes = 176,
                                          .groups = 8,
                                          .halves = 2,
                                          .halves_at = {0, 2},
                                          .scales = 12,
                                          .scales_at = 4,
                                          .bit = QUANT_PACK_BIT_BYTES,
                                          .bit_at = 16,
                                          .bit_shift = 4,
                                          .low = QUANT_PACK_PAIRS,
                                          .low_at = 48};
    case FORMAT_Q6_K:
        return (struct quant_pack_layout){.bytes = 210,
                                          .groups = 8,
                                          .halves = 1,
                                          .halves_at = {208},
                                          .scales = 16,
                                          .scales_at = 192,
                                          .two = 1,
                                          .two_at = 128,
                                          .two_shift = 4,
                                          .low = QUANT_PACK_QUARTERS};
    case FORMAT_IQ4_XS: /* the upper bits of its scales lie where others have m */
        return (struct quant_pack_layout){.bytes = 136,
                                          .groups = 8,
                                          .halves = 2,
                                          .halves_at = {0, 2},
                                          .scales = 4,
                                          .scales_at = 4,
                                          .low = QUANT_PACK_SPLIT,
                                          .low_at = 8};
    case FORMAT_TQ2_0:
        return (struct quant_pack_layout){
            .bytes = 66, .groups = 8, .halves = 1, .halves_at = {64}, .two = 1};
    default:
        return (struct quant_pack_layout){.bytes = 0};
    }
}

/* Bytes of a strip's block before its codes. */
static inline __attribute__((always_inline)) size_t quant_pack_head(struct quant_pack_layout l)
{
    return QUANT_PACK_ROWS * (2 * (size_t)l.halves + l.scales);
}

/* Bytes of 32 codes of a strip. */
static inline __attribute__((always_inline)) size_t quant_pack_group(struct quant_pack_layout l)
{
    size_t low = l.low == QUANT_PACK_NONE ? 0 : l.low == QUANT_PACK_BYTES ? 8 : 4;

    return QUANT_PACK_LINE * ((l.bit != QUANT_PACK_NO_BIT) + 2 * (size_t)l.two + low);
}

/* Packs the whole strips of *w in place and says so in w->packed; nothing to do for a type that
 * is not packed. `data` is w->data, writable. ST_NOMEM: nothing was changed. */
enum status quant_pack(struct quant_matrix *w, uint8_t *data) MUST_CHECK;
/* The same in parts, that threads may share: how many strips there are to be packed, and strips
 * from..to. The caller says so in w->packed when all are. */
size_t quant_pack_strips(const struct quant_matrix *w);
enum status quant_pack_part(const struct quant_matrix *w, uint8_t *data, size_t from,
                            size_t to) MUST_CHECK;
/* A packed row as the file has it: w->row_bytes bytes. */
void quant_pack_row(const struct quant_matrix *w, size_t row, uint8_t *out);

#endif
