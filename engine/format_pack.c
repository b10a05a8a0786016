#include "engine/format_pack.h"

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/format.h"
#include "engine/format_fit.h"
#include "engine/format_iq_pack.h"
#include "engine/format_small.h"
#include "engine/half.h"

/* w: how much each value counts. */
typedef void pack_fn(const float *x, const float *w, uint8_t *p);

#define HALF_MOST 65504.0f /* the largest that is not infinite */

/* Stores v, and returns what is read back. */
static float put_half(uint8_t *p, float v)
{
    uint16_t bits = half_from_float(v > HALF_MOST    ? HALF_MOST
                                    : v < -HALF_MOST ? -HALF_MOST
                                                     : v);

    memcpy(p, &bits, sizeof(bits));
    return half_to_float(bits);
}

static void pack_f32(const float *x, const float *w, uint8_t *p)
{
    (void)w;
    memcpy(p, x, sizeof(*x));
}

static void pack_f16(const float *x, const float *w, uint8_t *p)
{
    (void)w;
    (void)put_half(p, *x);
}

/* --- blocks of 32 ---------------------------------------------------------------------- */

/* So fine that a search for the scale would gain a tenth of next to nothing. */
static void pack_q8_0(const float *x, const float *w, uint8_t *p)
{
    float most = 0, d;

    (void)w;
    for (size_t i = 0; i < 32; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    d = put_half(p, most / 127);
    for (size_t i = 0; i < 32; i++)
        p[2 + i] = (uint8_t)format_fit_code(x[i], d, 0, -127, 127);
}

static void pack_q4_0(const float *x, const float *w, uint8_t *p)
{
    float d = put_half(p, format_fit_scale(x, w, 32, -8, 7));

    for (size_t j = 0; j < 16; j++)
        p[2 + j] = (uint8_t)((format_fit_code(x[j], d, 0, -8, 7) + 8) |
                             (format_fit_code(x[j + 16], d, 0, -8, 7) + 8) << 4);
}

/* Fifth bits as 32 bits, then the low four. */
static void put_five(const uint8_t codes[32], uint8_t *p)
{
    uint32_t high = 0;

    for (size_t j = 0; j < 32; j++)
        high |= (uint32_t)(codes[j] >> 4 & 1) << j;
    memcpy(p, &high, sizeof(high));
    for (size_t j = 0; j < 16; j++)
        p[4 + j] = (uint8_t)((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}

static void pack_q5_0(const float *x, const float *w, uint8_t *p)
{
    float d = put_half(p, format_fit_scale(x, w, 32, -16, 15));
    uint8_t codes[32];

    for (size_t j = 0; j < 32; j++)
        codes[j] = (uint8_t)(format_fit_code(x[j], d, 0, -16, 15) + 16);
    put_five(codes, p + 2);
}

static void pack_q5_1(const float *x, const float *w, uint8_t *p)
{
    float d, m;
    uint8_t codes[32];

    format_fit_offset(x, w, 32, 31, 0, &d, &m);
    d = put_half(p, d);
    m = put_half(p + 2, m);
    for (size_t j = 0; j < 32; j++)
        codes[j] = (uint8_t)format_fit_code(x[j], d, m, 0, 31);
    put_five(codes, p + 4);
}

static void pack_iq4_nl(const float *x, const float *w, uint8_t *p)
{
    float d = put_half(p, format_fit_table(x, w, 32, format_small_nl, 16));

    for (size_t j = 0; j < 16; j++)
        p[2 + j] = (uint8_t)(format_fit_place(x[j], d, format_small_nl, 16) |
                             format_fit_place(x[j + 16], d, format_small_nl, 16) << 4);
}

/* --- blocks of 256 with six-bit scales and offsets --------------------------------------- */

#define GROUPS 8
#define GROUP  32

struct six_bits {
    float scale, offset; /* as stored */
    uint8_t scales[GROUPS], offsets[GROUPS];
};

static double group_error(const float *x, const float *w, int high, float d, float m)
{
    double sum = 0;

    for (size_t i = 0; i < GROUP; i++) {
        double e = (double)(x[i] - (d * (float)format_fit_code(x[i], d, m, 0, high) + m));

        sum += (double)w[i] * e * e;
    }
    return sum;
}

static uint8_t near(uint8_t v, int by)
{
    int n = v + by;

    return (uint8_t)(n < 0 ? 0 : n > 63 ? 63 : n);
}

/* What was best for exact scales need not be for rounded ones: neighbours are tried. */
static void refine(struct six_bits *s, size_t g, const float *x, const float *w, int high)
{
    const uint8_t a = s->scales[g], b = s->offsets[g];
    double best = INFINITY;

    for (int i = -1; i <= 1; i++) {
        for (int j = -1; j <= 1; j++) {
            uint8_t ta = near(a, i), tb = near(b, j);
            double e = group_error(x, w, high, s->scale * (float)ta, -(s->offset * (float)tb));

            if (e < best) {
                best = e;
                s->scales[g] = ta;
                s->offsets[g] = tb;
            }
        }
    }
}

/* d; d of offsets; scales [12]: format_k_scales() takes them apart. */
static void put_scales(const struct six_bits *s, uint8_t *p)
{
    for (size_t g = 0; g < 4; g++) {
        p[g] = (uint8_t)(s->scales[g] | s->scales[g + 4] >> 4 << 6);
        p[g + 4] = (uint8_t)(s->offsets[g] | s->offsets[g + 4] >> 4 << 6);
        p[g + 8] = (uint8_t)((s->scales[g + 4] & 15) | (s->offsets[g + 4] & 15) << 4);
    }
}

/* Writes the 16 bytes of scales, and the codes 0..high. */
static void fit_groups(const float *x, const float *w, int high, uint8_t *p, uint8_t codes[256])
{
    float d[GROUPS], m[GROUPS], most_d = 0, most_m = 0;
    struct six_bits s;

    for (size_t g = 0; g < GROUPS; g++) {
        format_fit_offset(x + g * GROUP, w + g * GROUP, GROUP, high, 1, &d[g], &m[g]);
        most_d = d[g] > most_d ? d[g] : most_d;
        most_m = -m[g] > most_m ? -m[g] : most_m;
    }
    s.scale = put_half(p, most_d / 63);
    s.offset = put_half(p + 2, most_m / 63);
    for (size_t g = 0; g < GROUPS; g++) {
        s.scales[g] = (uint8_t)format_fit_code(d[g], s.scale, 0, 0, 63);
        s.offsets[g] = (uint8_t)format_fit_code(-m[g], s.offset, 0, 0, 63);
        refine(&s, g, x + g * GROUP, w + g * GROUP, high);
        for (size_t i = 0; i < GROUP; i++)
            codes[g * GROUP + i] =
                (uint8_t)format_fit_code(x[g * GROUP + i], s.scale * (float)s.scales[g],
                                         -(s.offset * (float)s.offsets[g]), 0, high);
    }
    put_scales(&s, p + 4);
}

static void put_four(const uint8_t codes[256], uint8_t *p)
{
    for (size_t i = 0; i < 128; i++) {
        const uint8_t *pair = codes + i / 32 * 64 + i % 32;

        p[i] = (uint8_t)((pair[0] & 15) | (pair[32] & 15) << 4);
    }
}

static void pack_q4_k(const float *x, const float *w, uint8_t *p)
{
    uint8_t codes[256];

    fit_groups(x, w, 15, p, codes);
    put_four(codes, p + 16);
}

static void pack_q5_k(const float *x, const float *w, uint8_t *p)
{
    uint8_t codes[256];

    fit_groups(x, w, 31, p, codes);
    memset(p + 16, 0, 32);
    for (size_t i = 0; i < 256; i++)
        p[16 + i % 32] |= (uint8_t)(codes[i] >> 4 << i / 32);
    put_four(codes, p + 48);
}

/* --- Q6_K, TQ2_0 ------------------------------------------------------------------------- */

static double sixteen_error(const float *x, const float *w, float d)
{
    double sum = 0;

    for (size_t i = 0; i < 16; i++) {
        double e = (double)(x[i] - d * (float)format_fit_code(x[i], d, 0, -32, 31));

        sum += (double)w[i] * e * e;
    }
    return sum;
}

static int8_t best_scale(const float *x, const float *w, float scale, float d)
{
    int start = format_fit_code(d, scale, 0, -128, 127), best = start;
    double least = INFINITY;

    for (int s = start > -128 ? start - 1 : start; s <= start + 1 && s <= 127; s++) {
        double e = sixteen_error(x, w, scale * (float)s);

        if (e < least) {
            least = e;
            best = s;
        }
    }
    return (int8_t)best;
}

static void pack_q6_k(const float *x, const float *w, uint8_t *p)
{
    float d[16], most = 0, scale;
    uint8_t codes[256];

    for (size_t g = 0; g < 16; g++) {
        d[g] = format_fit_scale(x + 16 * g, w + 16 * g, 16, -32, 31);
        most = fabsf(d[g]) > fabsf(most) ? d[g] : most;
    }
    scale = put_half(p + 208, most / -128);
    for (size_t g = 0; g < 16; g++) {
        int8_t s = best_scale(x + 16 * g, w + 16 * g, scale, d[g]);

        p[192 + g] = (uint8_t)s;
        for (size_t i = 16 * g; i < 16 * g + 16; i++)
            codes[i] = (uint8_t)(format_fit_code(x[i], scale * (float)s, 0, -32, 31) + 32);
    }
    memset(p, 0, 192);
    for (size_t i = 0; i < 256; i++) {
        p[i / 128 * 64 + i % 64] |= (uint8_t)((codes[i] & 15) << i / 64 % 2 * 4);
        p[128 + i / 128 * 32 + i % 32] |= (uint8_t)(codes[i] >> 4 << i / 32 % 4 * 2);
    }
}

/* The values from `edge` on become +-d, the others 0. */
static void ternary_sums(const float *x, const float *w, float edge, double *sum, double *count)
{
    *sum = *count = 0;
    for (size_t i = 0; i < 256; i++) {
        if (fabsf(x[i]) >= edge) {
            *sum += (double)w[i] * (double)fabsf(x[i]);
            *count += (double)w[i];
        }
    }
}

/* Which values are 0 follows from the least of the others: each value is tried as that. */
static void pack_tq2_0(const float *x, const float *w, uint8_t *p)
{
    double best = 0, sum, count;
    float d = 0;

    for (size_t k = 0; k < 256; k++) {
        if (x[k] == 0)
            continue;
        ternary_sums(x, w, fabsf(x[k]), &sum, &count);
        if (sum * sum > best * count) {
            best = sum * sum / count;
            d = (float)(sum / count);
        }
    }
    d = put_half(p + 64, d);
    memset(p, 0, 64);
    for (size_t i = 0; i < 256; i++)
        p[i / 128 * 32 + i % 32] |=
            (uint8_t)((format_fit_code(x[i], d, 0, -1, 1) + 1) << i / 32 % 4 * 2);
}

/* --- the table --------------------------------------------------------------------------- */

static pack_fn *const packs[] = {
    [FORMAT_F32] = pack_f32,       [FORMAT_F16] = pack_f16,
    [FORMAT_Q4_0] = pack_q4_0,     [FORMAT_Q5_0] = pack_q5_0,
    [FORMAT_Q5_1] = pack_q5_1,     [FORMAT_Q8_0] = pack_q8_0,
    [FORMAT_Q4_K] = pack_q4_k,     [FORMAT_Q5_K] = pack_q5_k,
    [FORMAT_Q6_K] = pack_q6_k,     [FORMAT_TQ2_0] = pack_tq2_0,
    [FORMAT_IQ4_NL] = pack_iq4_nl, [FORMAT_IQ2_XS] = format_iq_pack_2xs,
};

bool format_pack_knows(uint32_t type)
{
    return type < ARRAY_LEN(packs) && packs[type] != NULL;
}

void format_pack_row(uint32_t type, const float *x, const float *weights, size_t n,
                     uint8_t *out)
{
    const struct format *f = format_of(type);
    float equal[FORMAT_VALUES_MAX];

    for (size_t i = 0; i < FORMAT_VALUES_MAX; i++)
        equal[i] = 1;
    for (size_t i = 0; i < n; i += f->values, out += f->bytes)
        packs[type](x + i, weights != NULL ? weights + i : equal, out);
}
