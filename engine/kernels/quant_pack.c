#include "engine/kernels/quant_pack.h"

#include <stdlib.h>
#include <string.h>

#include "engine/format_bits.h"

/* So that what is constant for a type is so in all of it. */
#define INLINE static inline __attribute__((always_inline))

/* Of a block of a strip, what row `row` has. */
struct place {
    struct quant_pack_layout layout;
    uint8_t *strip; /* the block */
    size_t row;
};

/* Four bytes of vector `line` of group j. */
INLINE uint8_t *four_at(const struct place *p, size_t j, size_t line)
{
    return p->strip + quant_pack_head(p->layout) + j * quant_pack_group(p->layout) +
           line * QUANT_PACK_LINE + 4 * p->row;
}

INLINE uint8_t *scale_at(const struct place *p, size_t i)
{
    return p->strip + QUANT_PACK_ROWS * (2 * (size_t)p->layout.halves + i) + p->row;
}

INLINE uint8_t *half_at_place(const struct place *p, size_t i)
{
    return p->strip + 2 * (QUANT_PACK_ROWS * i + p->row);
}

/* Lines of a group before its two upper bits, and before its low ones. */
INLINE size_t two_line(struct quant_pack_layout l)
{
    return l.bit != QUANT_PACK_NO_BIT;
}

INLINE size_t low_line(struct quant_pack_layout l)
{
    return two_line(l) + 2 * (size_t)l.two;
}

/* Where 32 low bits lie in the file: bytes from here on, in their halves of `shift`. */
INLINE size_t low_bytes(struct quant_pack_layout l, size_t j, unsigned *shift)
{
    *shift = 0;
    switch (l.low) {
    case QUANT_PACK_PAIRS:
        *shift = (unsigned)(4 * (j % 2));
        return l.low_at + 32 * (j / 2);
    case QUANT_PACK_QUARTERS:
        *shift = (unsigned)(4 * (j / 2 % 2));
        return l.low_at + 64 * (j / 4) + 32 * (j % 2);
    default: /* SPLIT; BYTES, of which a block has one group */
        return l.low_at + 16 * j;
    }
}

/* --- to a strip ----------------------------------------------------------------------- */

/* Half bytes in the order of a strip: weight b low, weight b + 16 high. */
INLINE void pack_low(const struct place *to, const uint8_t *block, size_t j)
{
    unsigned shift;
    const uint8_t *from = block + low_bytes(to->layout, j, &shift);
    size_t line = low_line(to->layout);
    uint8_t both[16];

    if (to->layout.low == QUANT_PACK_BYTES) {
        for (size_t g = 0; g < 8; g++)
            memcpy(four_at(to, j, line + g), from + 4 * g, 4);
        return;
    }
    if (to->layout.low == QUANT_PACK_SPLIT) {
        memcpy(both, from, sizeof(both));
    } else {
        for (size_t b = 0; b < 16; b++)
            both[b] = (uint8_t)((from[b] >> shift & 15) | (from[b + 16] >> shift & 15) << 4);
    }
    for (size_t g = 0; g < 4; g++)
        memcpy(four_at(to, j, line + g), both + 4 * g, 4);
}

INLINE void pack_two(const struct place *to, const uint8_t *block, size_t j)
{
    const uint8_t *from = block + to->layout.two_at + 32 * (j / 4);
    unsigned shift = (unsigned)(2 * (j % 4));

    for (size_t i = 0; i < 2; i++, from += 16) {
        uint8_t *four = four_at(to, j, two_line(to->layout) + i);

        for (size_t b = 0; b < 4; b++)
            four[b] =
                (uint8_t)((from[b] >> shift & 3) | (from[b + 4] >> shift & 3) << 2 |
                          (from[b + 8] >> shift & 3) << 4 | (from[b + 12] >> shift & 3) << 6);
    }
}

/* The even bits of a word below its odd ones: the number of each bit, itself five bits, turns
 * right by one. */
INLINE uint32_t part_bits(uint32_t w)
{
    uint32_t t = (w ^ w >> 1) & 0x22222222;

    w ^= t ^ t << 1;
    t = (w ^ w >> 2) & 0x0c0c0c0c;
    w ^= t ^ t << 2;
    t = (w ^ w >> 4) & 0x00f000f0;
    w ^= t ^ t << 4;
    t = (w ^ w >> 8) & 0x0000ff00;
    return w ^ t ^ t << 8;
}

/* Bit 8 b + g: that of weight 4 g + b. */
INLINE uint32_t strip_bits(const struct quant_pack_layout l, const uint8_t *block, size_t j)
{
    uint32_t all = 0;

    if (l.bit == QUANT_PACK_BIT_WORD) /* bit 4 g + b: its number turned by two */
        return part_bits(part_bits(u32_at(block + l.bit_at)));
    for (size_t g = 0; g < 8; g++)
        all |= (u32_at(block + l.bit_at + 4 * g) >> j & 0x01010101) << g;
    return all;
}

/* Of all rows at once, whose words lie side by side: so the compiler makes vectors of it. */
INLINE void pack_bits(const struct place *strip, const uint8_t *blocks, size_t row_bytes)
{
    for (size_t j = 0; j < strip->layout.groups; j++) {
        uint32_t words[QUANT_PACK_ROWS];

        for (size_t r = 0; r < QUANT_PACK_ROWS; r++)
            words[r] = strip_bits(strip->layout, blocks + r * row_bytes, j);
        memcpy(four_at(strip, j, 0), words, sizeof(words));
    }
}

INLINE void pack_block(const struct place *to, const uint8_t *block)
{
    const struct quant_pack_layout l = to->layout;

    for (size_t i = 0; i < l.halves; i++)
        memcpy(half_at_place(to, i), block + l.halves_at[i], 2);
    for (size_t i = 0; i < l.scales; i++)
        *scale_at(to, i) = block[l.scales_at + i];
    for (size_t j = 0; j < l.groups; j++) {
        if (l.two)
            pack_two(to, block, j);
        if (l.low != QUANT_PACK_NONE)
            pack_low(to, block, j);
    }
}

/* One strip; `rows`: a copy of it in the order of the file. */
INLINE void pack_strip(uint32_t type, uint8_t *strip, const uint8_t *rows, size_t row_bytes)
{
    struct place to = {.layout = quant_pack_layout(type)};

    for (size_t at = 0; at < row_bytes; at += to.layout.bytes) {
        to.strip = strip + QUANT_PACK_ROWS * at;
        to.row = 0;
        if (to.layout.bit != QUANT_PACK_NO_BIT)
            pack_bits(&to, rows + at, row_bytes);
        for (; to.row < QUANT_PACK_ROWS; to.row++)
            pack_block(&to, rows + to.row * row_bytes + at);
    }
}

/* With the layout as a constant, which is faster by half or more, for the types that large
 * files come in; the others all take the last way. */
static void pack_any_strip(uint32_t type, uint8_t *strip, const uint8_t *rows, size_t row_bytes)
{
    switch (type) {
    case FORMAT_Q4_0:
        pack_strip(FORMAT_Q4_0, strip, rows, row_bytes);
        break;
    case FORMAT_Q4_1:
        pack_strip(FORMAT_Q4_1, strip, rows, row_bytes);
        break;
    case FORMAT_Q5_0:
        pack_strip(FORMAT_Q5_0, strip, rows, row_bytes);
        break;
    case FORMAT_Q8_0:
        pack_strip(FORMAT_Q8_0, strip, rows, row_bytes);
        break;
    case FORMAT_Q4_K:
        pack_strip(FORMAT_Q4_K, strip, rows, row_bytes);
        break;
    case FORMAT_Q6_K:
        pack_strip(FORMAT_Q6_K, strip, rows, row_bytes);
        break;
    default:
        pack_strip(type, strip, rows, row_bytes);
        break;
    }
}

size_t quant_pack_strips(const struct quant_matrix *w)
{
    return quant_pack_layout(w->type).bytes == 0 ? 0 : w->rows / QUANT_PACK_ROWS;
}

enum status quant_pack_part(const struct quant_matrix *w, uint8_t *data, size_t from, size_t to)
{
    size_t strip_bytes = QUANT_PACK_ROWS * w->row_bytes;
    uint8_t *rows = malloc(strip_bytes);

    if (rows == NULL)
        return ST_NOMEM;
    for (size_t i = from; i < to; i++) {
        uint8_t *strip = data + i * strip_bytes;

        memcpy(rows, strip, strip_bytes);
        pack_any_strip(w->type, strip, rows, w->row_bytes);
    }
    free(rows);
    return ST_OK;
}

enum status quant_pack(struct quant_matrix *w, uint8_t *data)
{
    size_t strips = quant_pack_strips(w);
    enum status st = strips > 0 ? quant_pack_part(w, data, 0, strips) : ST_OK;

    if (st == ST_OK)
        w->packed = strips * QUANT_PACK_ROWS;
    return st;
}

/* --- and back ------------------------------------------------------------------------- */

static void unpack_low(const struct place *from, size_t j, uint8_t *block)
{
    unsigned shift;
    uint8_t *to = block + low_bytes(from->layout, j, &shift);
    size_t line = low_line(from->layout);

    if (from->layout.low == QUANT_PACK_BYTES || from->layout.low == QUANT_PACK_SPLIT) {
        for (size_t g = 0; g < (from->layout.low == QUANT_PACK_BYTES ? 8 : 4); g++)
            memcpy(to + 4 * g, four_at(from, j, line + g), 4);
        return;
    }
    for (size_t b = 0; b < 16; b++) {
        uint8_t both = four_at(from, j, line + b / 4)[b % 4];

        to[b] = (uint8_t)(to[b] | (both & 15) << shift);
        to[b + 16] = (uint8_t)(to[b + 16] | both >> 4 << shift);
    }
}

static void unpack_two(const struct place *from, size_t j, uint8_t *block)
{
    uint8_t *to = block + from->layout.two_at + 32 * (j / 4);

    for (size_t i = 0; i < QUANT_PACK_CODES; i++) {
        uint8_t four = four_at(from, j, two_line(from->layout) + i / 16)[i % 4];

        to[i] = (uint8_t)(to[i] | (four >> 2 * (i % 16 / 4) & 3) << 2 * (j % 4));
    }
}

static void unpack_bit(const struct place *from, size_t j, uint8_t *block)
{
    uint8_t *to = block + from->layout.bit_at;

    for (size_t i = 0; i < QUANT_PACK_CODES; i++) {
        unsigned bit = four_at(from, j, 0)[i % 4] >> i / 4 & 1;

        if (from->layout.bit == QUANT_PACK_BIT_WORD)
            to[i / 8] = (uint8_t)(to[i / 8] | bit << i % 8);
        else
            to[i] = (uint8_t)(to[i] | bit << j);
    }
}

static void unpack_block(const struct place *from, uint8_t *block)
{
    const struct quant_pack_layout l = from->layout;

    memset(block, 0, l.bytes);
    for (size_t i = 0; i < l.halves; i++)
        memcpy(block + l.halves_at[i], half_at_place(from, i), 2);
    for (size_t i = 0; i < l.scales; i++)
        block[l.scales_at + i] = *scale_at(from, i);
    for (size_t j = 0; j < l.groups; j++) {
        if (l.bit != QUANT_PACK_NO_BIT)
            unpack_bit(from, j, block);
        if (l.two)
            unpack_two(from, j, block);
        if (l.low != QUANT_PACK_NONE)
            unpack_low(from, j, block);
    }
}

void quant_pack_row(const struct quant_matrix *w, size_t row, uint8_t *out)
{
    struct place from = {.layout = quant_pack_layout(w->type), .row = row % QUANT_PACK_ROWS};
    const uint8_t *strip = w->data + (row - from.row) * w->row_bytes;

    for (size_t at = 0; at < w->row_bytes; at += from.layout.bytes) {
        /* Read only, though a place can be written to. */
        from.strip = (uint8_t *)(uintptr_t)(strip + QUANT_PACK_ROWS * at);
        unpack_block(&from, out + at);
    }
}
