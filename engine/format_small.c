/* The low halves of a block's 16 bytes are its values 0..15, the high ones 16..31. */
#include "engine/format_small.h"

#include <string.h>

#include "engine/format_bits.h"
#include "engine/half.h"

const int8_t format_small_nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                    1,    13,   25,  38,  53,  69,  89,  113};

/* d; codes */
void format_small_q4_0(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    *d = half_at(p);
    for (size_t j = 0; j < 16; j++) {
        codes[j] = (int8_t)((p[2 + j] & 15) - 8);
        codes[j + 16] = (int8_t)((p[2 + j] >> 4) - 8);
    }
}

/* d; m; codes */
void format_small_q4_1(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    *d = half_at(p);
    *m = half_at(p + 2);
    for (size_t j = 0; j < 16; j++) {
        codes[j] = (int8_t)(p[4 + j] & 15);
        codes[j + 16] = (int8_t)(p[4 + j] >> 4);
    }
}

/* The fifth bits are 32 bits of their own before the others. */
static void five_bits(const uint8_t *p, int lowest, int8_t *codes)
{
    const uint8_t *low = p + 4;
    uint32_t high = u32_at(p);

    for (size_t j = 0; j < 16; j++) {
        codes[j] = (int8_t)(lowest + (int)(bits_of(low[j], 0, 15) | (high >> j & 1) << 4));
        codes[j + 16] =
            (int8_t)(lowest + (int)(bits_of(low[j], 4, 15) | (high >> (j + 16) & 1) << 4));
    }
}

/* d; fifth bits; codes */
void format_small_q5_0(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    *d = half_at(p);
    five_bits(p + 2, -16, codes);
}

/* d; m; fifth bits; codes */
void format_small_q5_1(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    *d = half_at(p);
    *m = half_at(p + 2);
    five_bits(p + 4, 0, codes);
}

/* d; codes */
void format_small_q8_0(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    *d = half_at(p);
    memcpy(codes, p + 2, 32);
}

static void by_table(const uint8_t *p, const int8_t table[16], int8_t *codes)
{
    for (size_t j = 0; j < 16; j++) {
        codes[j] = table[p[j] & 15];
        codes[j + 16] = table[p[j] >> 4];
    }
}

/* d; codes */
void format_small_iq4_nl(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    *d = half_at(p);
    by_table(p + 2, format_small_nl, codes);
}

/* exponent; codes. The table is twice the values of OCP's E2M1 (Microscaling Formats 1.0), so
 * the scale is 2^(exponent - 128): a subnormal float below 2. */
void format_small_mxfp4(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    static const int8_t table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

    (void)m;
    *d = half_from_bits(p[0] < 2 ? 0x00200000u << p[0] : (uint32_t)(p[0] - 1) << 23);
    by_table(p + 1, table, codes);
}
