#include "engine/format_ternary.h"

#include "engine/half.h"

/* The n-th of the digits to base 3 of a fraction byte / 256, first digit first. */
static int8_t digit(uint8_t byte, size_t n)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    uint8_t rest = (uint8_t)(byte * powers[n]);

    return (int8_t)((rest * 3 >> 8) - 1);
}

static void scales(const uint8_t *p, float *d)
{
    for (size_t g = 0; g < 8; g++)
        d[g] = half_at(p);
}

/* Five digits a byte [32], [16], then four [4]: the first digits of each run of bytes, its
 * second ones, …; d */
void format_ternary_tq1(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    static const struct {
        size_t bytes, digits;
    } runs[] = {{32, 5}, {16, 5}, {4, 4}};
    const uint8_t *at = p;

    (void)m;
    scales(p + 52, d);
    for (size_t r = 0; r < 3; at += runs[r++].bytes) {
        for (size_t n = 0; n < runs[r].digits; n++) {
            for (size_t i = 0; i < runs[r].bytes; i++)
                *codes++ = digit(at[i], n);
        }
    }
}

/* Two bits a value: of each half of the block, 32 bytes hold its four quarters [64]; d */
void format_ternary_tq2(const uint8_t *p, int8_t *codes, float *d, float *m)
{
    (void)m;
    scales(p + 64, d);
    for (size_t i = 0; i < 256; i++)
        codes[i] = (int8_t)((p[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3) - 1);
}
