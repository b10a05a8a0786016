/* Eight or four values at once are a point of a grid, an index into a table, and have their
 * signs apart: as eight bits, or as seven, the eighth being such that an even number of them
 * is set. */
#include "engine/format_iq.h"

#include "engine/format_bits.h"
#include "engine/format_grid.inc"
#include "engine/half.h"

static unsigned eight_signs(unsigned seven)
{
    unsigned odd = seven ^ seven >> 4;

    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 1) << 7;
}

static int8_t with_sign(int v, unsigned signs, size_t i)
{
    return (int8_t)((signs >> i & 1) != 0 ? -v : v);
}

#define EACH UINT64_C(0x0101010101010101) /* of eight bytes */

/* Two bits of `point` into each byte, the lowest into the first. */
static uint64_t spread2(uint16_t point)
{
    uint64_t x = point;

    x = (x | x << 24) & UINT64_C(0x000000ff000000ff);
    x = (x | x << 12) & UINT64_C(0x000f000f000f000f);
    return (x | x << 6) & 3 * EACH;
}

/* The values of two bits are 8, 25, 43; no grid has the fourth. Bytes do not run over: a value
 * is not 0, so neither does -v = ~v + 1. */
static void point2(uint16_t point, unsigned signs, int8_t codes[8])
{
    uint64_t levels = spread2(point);
    uint64_t values = 8 * EACH + 17 * levels + (levels >> 1 & EACH);
    uint64_t bit = (uint64_t)signs * EACH & UINT64_C(0x8040201008040201);
    uint64_t negative = ((bit + 0x7f * EACH) | bit) >> 7 & EACH;

    values = (values ^ negative * 0xff) + negative;
    memcpy(codes, &values, sizeof(values));
}

static void point3(const int8_t values[8], uint16_t point, unsigned signs, int8_t codes[4])
{
    for (size_t i = 0; i < 4; i++)
        codes[i] = with_sign(values[point >> 4 * i & 7], signs, i);
}

void format_iq_scales_2xxs(const uint8_t *p, float d[8])
{
    float scale = half_at(p);

    for (size_t g = 0; g < 8; g++)
        d[g] = scale * (0.5f + (float)(u32_at(p + 6 + 8 * g) >> 28)) * 0.25f;
}

/* d; a group: four indices [4], four times seven signs and above them a scale [4] */
void format_iq_2xxs(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    format_iq_scales_2xxs(p, d);
    for (size_t g = 0; g < 8; g++) {
        const uint8_t *index = p + 2 + 8 * g;
        uint32_t rest = u32_at(index + 4);

        for (size_t k = 0; k < 4; k++)
            point2(format_iq_grid_2xxs[index[k]], eight_signs(rest >> 7 * k & 127),
                   codes + 32 * g + 8 * k);
    }
}

void format_iq_point_2xs(unsigned index, uint8_t levels[8])
{
    for (size_t i = 0; i < 8; i++)
        levels[i] = format_iq_grid_2xs[index] >> 2 * i & 3;
}

/* d; index of nine bits and seven signs [64]; scales, half a byte each [8] */
void format_iq_2xs(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p);

    (void)m;
    for (size_t g = 0; g < 16; g++)
        d[g] = scale * (0.5f + (float)bits_of(p[66 + g / 2], g % 2 * 4, 15)) * 0.25f;
    for (size_t k = 0; k < 32; k++) {
        unsigned both = u16_at(p + 2 + 2 * k);

        point2(format_iq_grid_2xs[both & 511], eight_signs(both >> 9), codes + 8 * k);
    }
}

/* d; low bits of indices [32]; signs [32]; two more bits an index [8]; scales [8] */
void format_iq_2s(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p);

    (void)m;
    for (size_t g = 0; g < 16; g++)
        d[g] = scale * (0.5f + (float)bits_of(p[74 + g / 2], g % 2 * 4, 15)) * 0.25f;
    for (size_t k = 0; k < 32; k++) {
        unsigned high = bits_of(p[66 + k / 4], k % 4 * 2, 3);

        point2(format_iq_grid_2s[p[2 + k] | high << 8], p[34 + k], codes + 8 * k);
    }
}

/* d; indices [64]; a group: four times seven signs and above them a scale [4] */
void format_iq_3xxs(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    static const int8_t values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    float scale = half_at(p);

    (void)m;
    for (size_t g = 0; g < 8; g++) {
        uint32_t rest = u32_at(p + 66 + 4 * g);

        d[g] = scale * (0.5f + (float)(rest >> 28)) * 0.5f;
        for (size_t k = 0; k < 8; k++) {
            unsigned signs = eight_signs(rest >> k / 2 * 7 & 127);

            point3(values, grid_3xxs[p[2 + 8 * g + k]], signs >> k % 2 * 4,
                   codes + 32 * g + 4 * k);
        }
    }
}

/* d; low bits of indices [64]; one more bit an index [8]; signs [32]; scales [4] */
void format_iq_3s(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    static const int8_t values[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    float scale = half_at(p);

    (void)m;
    for (size_t g = 0; g < 8; g++)
        d[g] = scale * (float)(1 + 2 * bits_of(p[106 + g / 2], g % 2 * 4, 15));
    for (size_t k = 0; k < 64; k++) {
        unsigned high = bits_of(p[66 + k / 8], k % 8, 1);

        point3(values, grid_3s[p[2 + k] | high << 8], bits_of(p[74 + k / 2], k % 2 * 4, 15),
               codes + 4 * k);
    }
}

/* Coordinates -1, 0, 1, moved by an eighth up or down: codes count eighths. */
static void point1(uint16_t point, bool down, int8_t codes[8])
{
    for (size_t i = 0; i < 8; i++)
        codes[i] = (int8_t)(8 * ((point >> 2 * i & 3) - 1) + (down ? -1 : 1));
}

/* d; low bits of indices [32]; a group: four times three more bits, a scale, a direction [2] */
void format_iq_1s(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    float scale = half_at(p);

    (void)m;
    for (size_t g = 0; g < 8; g++) {
        unsigned rest = u16_at(p + 34 + 2 * g);

        d[g] = scale * (float)(2 * (rest >> 12 & 7) + 1) * 0.125f;
        for (size_t k = 0; k < 4; k++) {
            unsigned index = p[2 + 4 * g + k] | (rest >> 3 * k & 7) << 8;

            point1(grid_1[index], rest >> 15 != 0, codes + 32 * g + 8 * k);
        }
    }
}

/* low bits of indices [32]; three more and a direction, half a byte each [16]; four u16 of four
 * scales of three bits, each with four bits of d above them [8] */
void format_iq_1m(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    uint16_t bits = 0;
    float scale;

    (void)m;
    for (size_t i = 0; i < 4; i++)
        bits = (uint16_t)(bits | (u16_at(p + 48 + 2 * i) >> 12) << 4 * i);
    scale = half_to_float(bits);
    for (size_t g = 0; g < 16; g++)
        d[g] = scale * (float)(2 * (u16_at(p + 48 + g / 4 * 2) >> g % 4 * 3 & 7) + 1) * 0.125f;
    for (size_t k = 0; k < 32; k++) {
        unsigned high = bits_of(p[32 + k / 2], k % 2 * 4, 15);

        point1(grid_1[p[k] | (high & 7) << 8], high >> 3 != 0, codes + 8 * k);
    }
}
