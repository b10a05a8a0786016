#include "format_scales.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/format.h"
#include "engine/half.h"

/* `typical` is about the root mean square of a weight of random bytes whose d is 1, once the
 * offset has been set to what centres them: m = -d * `offset`, or d * offset where the type
 * itself subtracts. */
static const struct {
    uint32_t type;
    int d_at, m_at; /* -1: no such thing */
    float typical, offset;
} places[] = {
    {FORMAT_Q4_0, 0, -1, 4.6f, 0},   {FORMAT_Q4_1, 0, 2, 4.6f, -7.5f},
    {FORMAT_Q5_0, 0, -1, 9.2f, 0},   {FORMAT_Q5_1, 0, 2, 9.2f, -15.5f},
    {FORMAT_Q8_0, 0, -1, 74, 0},     {FORMAT_Q2_K, 80, 82, 13, 1.5f},
    {FORMAT_Q3_K, 108, -1, 42, 0},   {FORMAT_Q4_K, 0, 2, 240, 7.5f},
    {FORMAT_Q5_K, 0, 2, 430, 15.5f}, {FORMAT_Q6_K, 208, -1, 1370, 0},
    {FORMAT_IQ2_XXS, 0, -1, 54, 0},  {FORMAT_IQ2_XS, 0, -1, 54, 0},
    {FORMAT_IQ3_XXS, 0, -1, 110, 0}, {FORMAT_IQ1_S, 0, -1, 7, 0},
    {FORMAT_IQ4_NL, 0, -1, 65, 0},   {FORMAT_IQ3_S, 0, -1, 150, 0},
    {FORMAT_IQ2_S, 0, -1, 54, 0},    {FORMAT_IQ4_XS, 0, -1, 1200, 0},
    {FORMAT_TQ1_0, 52, -1, 0.8f, 0}, {FORMAT_TQ2_0, 64, -1, 1.2f, 0},
};

static void put_half(uint8_t *p, float v)
{
    uint16_t h = half_from_float(v);

    memcpy(p, &h, sizeof(h));
}

/* A quarter of the scale in the high half byte of every second byte of the last eight. */
static void scatter(uint8_t *block, float d)
{
    uint16_t h = half_from_float(d);

    for (unsigned i = 0; i < 4; i++)
        block[49 + 2 * i] = (uint8_t)((block[49 + 2 * i] & 15) | (h >> 4 * i & 15) << 4);
}

void format_scales_set(uint32_t type, uint8_t *block, float size, float a, float b)
{
    float vary = 0.75f + 0.5f * a;

    if (type == FORMAT_F32)
        memcpy(block, &(float){size * (2 * a - 1)}, sizeof(float));
    else if (type == FORMAT_F16)
        put_half(block, size * (2 * a - 1));
    else if (type == FORMAT_BF16)
        block[1] = (uint8_t)(block[1] & 0x80) | 0x3d; /* 1/32..1/8 */
    else if (type == FORMAT_MXFP4)
        block[0] = (uint8_t)(128 + (int)lrintf(log2f(fabsf(size) / 5.4f * vary)));
    else if (type == FORMAT_IQ1_M)
        scatter(block, size / 7 * vary);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        float d = size / places[i].typical * vary;

        if (places[i].type != type)
            continue;
        put_half(block + places[i].d_at, d);
        if (places[i].m_at >= 0)
            put_half(block + places[i].m_at, d * places[i].offset * (0.9f + 0.2f * b));
    }
}
