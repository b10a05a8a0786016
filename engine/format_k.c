/* A block has a scale for all, and small whole numbers by which it is multiplied a group. The
 * products of a half with these are exact floats. */
#include "engine/format_k.h"

#include "engine/format_bits.h"
#include "engine/format_small.h"
#include "engine/half.h"

/* Two bits a value: of each half of the block, 32 bytes hold its four quarters. */
static unsigned two_bits(const uint8_t *p, size_t i)
{
    return bits_of(p[i / 128 * 32 + i % 32], i / 32 % 4 * 2, 3);
}

/* scale and offset a group, a half byte each [16]; codes [64]; d; d of offsets */
void format_k_q2(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p + 80), offset = half_at(p + 82);

    for (size_t g = 0; g < 16; g++) {
        d[g] = scale * (float)(p[g] & 15);
        m[g] = -(offset * (float)(p[g] >> 4));
    }
    for (size_t i = 0; i < 256; i++)
        codes[i] = (int8_t)two_bits(p + 16, i);
}

/* third bits [32]; codes [64]; scales, low and high bits apart [12]; d */
void format_k_q3(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    const uint8_t *s = p + 96;
    float scale = half_at(p + 108);

    (void)m;
    for (size_t g = 0; g < 16; g++) {
        unsigned low = bits_of(s[g % 8], g / 8 * 4, 15),
                 high = bits_of(s[8 + g % 4], g / 4 * 2, 3);

        d[g] = scale * (float)((int)(low | high << 4) - 32);
    }
    /* Without its third bit a value is four less. */
    for (size_t i = 0; i < 256; i++)
        codes[i] =
            (int8_t)((int)two_bits(p + 32, i) - ((p[i % 32] >> i / 32 & 1) != 0 ? 0 : 4));
}

void format_k_scales(const uint8_t s[12], uint8_t scales[8], uint8_t offsets[8])
{
    for (size_t g = 0; g < 4; g++) {
        scales[g] = s[g] & 63;
        offsets[g] = s[g + 4] & 63;
        scales[g + 4] = (uint8_t)((s[g + 8] & 15) | s[g] >> 6 << 4);
        offsets[g + 4] = (uint8_t)(s[g + 8] >> 4 | s[g + 4] >> 6 << 4);
    }
}

/* d; d of offsets; scales [12] */
static void six_bit_scales(const uint8_t *p, float *d, float *m)
{
    float scale = half_at(p), offset = half_at(p + 2);
    uint8_t scales[8], offsets[8];

    format_k_scales(p + 4, scales, offsets);
    for (size_t g = 0; g < 8; g++) {
        d[g] = scale * (float)scales[g];
        m[g] = -(offset * (float)offsets[g]);
    }
}

/* Four bits a value: 32 bytes hold 32 values low and the next 32 high. */
static unsigned four_bits(const uint8_t *p, size_t i)
{
    return bits_of(p[i / 64 * 32 + i % 32], i / 32 % 2 * 4, 15);
}

/* d; d of offsets; scales [12]; codes [128] */
void format_k_q4(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    six_bit_scales(p, d, m);
    for (size_t i = 0; i < 256; i++)
        codes[i] = (int8_t)four_bits(p + 16, i);
}

/* d; d of offsets; scales [12]; fifth bits, one of each group a byte [32]; codes [128] */
void format_k_q5(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    six_bit_scales(p, d, m);
    for (size_t i = 0; i < 256; i++)
        codes[i] = (int8_t)(four_bits(p + 48, i) | bits_of(p[16 + i % 32], i / 32, 1) << 4);
}

/* low four bits [128]; high two bits [64]; scales [16]; d. Of each half of the block, 64 bytes
 * hold its first half low and its second half high. */
void format_k_q6(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p + 208);

    (void)m;
    for (size_t g = 0; g < 16; g++)
        d[g] = scale * (float)(int8_t)p[192 + g];
    for (size_t i = 0; i < 256; i++) {
        unsigned low = bits_of(p[i / 128 * 64 + i % 64], i / 64 % 2 * 4, 15);

        codes[i] = (int8_t)((int)(low | two_bits(p + 128, i) << 4) - 32);
    }
}

/* d; high bits of scales u16; low bits of scales [4]; codes [128] as IQ4_NL has them */
void format_k_iq4_xs(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p);
    unsigned high = u16_at(p + 2);

    (void)m;
    for (size_t g = 0; g < 8; g++) {
        const uint8_t *q = p + 8 + 16 * g;
        unsigned low = bits_of(p[4 + g / 2], g % 2 * 4, 15);

        d[g] = scale * (float)((int)(low | (high >> 2 * g & 3) << 4) - 32);
        for (size_t j = 0; j < 16; j++) {
            codes[32 * g + j] = format_small_nl[q[j] & 15];
            codes[32 * g + j + 16] = format_small_nl[q[j] >> 4];
        }
    }
}
