/* Eight magnitudes are one of 512 points whose coordinates are 8, 25 or 43, times a scale that
 * sixteen values share; signs are free but for their number, which is even. For a scale each
 * magnitude is rounded to the nearest coordinate by itself; where that is no point, those near
 * it are tried: which they are is looked up in a table over all 3^8 roundings. Scales are
 * searched for as in format_fit.h, and rounded to four bits beside the block's own. */
#include "engine/format_iq_pack.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/format_iq.h"
#include "engine/half.h"

#define ROUNDINGS 6561 /* 3^8 */
#define POINTS    512
#define NEAR      16 /* points that are tried for a rounding */
#define GROUPS    16
#define GROUP     16
#define STEPS     7     /* scales that are tried on each side of the obvious one */
#define STEP      0.06f /* of it */
#define HALF_MOST 65504.0f

static const float levels[3] = {8, 25, 43};

static struct {
    pthread_once_t once;
    uint8_t points[POINTS][8]; /* which level */
    uint16_t near[ROUNDINGS][NEAR];
    uint8_t count[ROUNDINGS]; /* 1: the rounding is a point itself */
} table = {.once = PTHREAD_ONCE_INIT};

/* --- the table -------------------------------------------------------------------------- */

static int distance(const uint8_t *a, const uint8_t *b)
{
    int sum = 0;

    for (size_t i = 0; i < 8; i++) {
        int e = (int)levels[a[i]] - (int)levels[b[i]];

        sum += e * e;
    }
    return sum;
}

/* The nearest NEAR, nearest first. */
static void find_near(size_t rounding)
{
    int distances[NEAR];
    uint8_t levels_of[8];
    size_t n = 0, rest = rounding;

    for (size_t i = 0; i < 8; i++, rest /= 3)
        levels_of[i] = (uint8_t)(rest % 3);
    for (size_t k = 0; k < POINTS; k++) {
        int d = distance(levels_of, table.points[k]);
        size_t at = n < NEAR ? n : NEAR;

        if (at == NEAR && d >= distances[NEAR - 1])
            continue;
        for (at = at == NEAR ? NEAR - 1 : at; at > 0 && distances[at - 1] > d; at--) {
            distances[at] = distances[at - 1];
            table.near[rounding][at] = table.near[rounding][at - 1];
        }
        distances[at] = d;
        table.near[rounding][at] = (uint16_t)k;
        n += n < NEAR ? 1 : 0;
    }
    table.count[rounding] = distances[0] == 0 ? 1 : NEAR;
}

static void make_table(void)
{
    for (unsigned k = 0; k < POINTS; k++)
        format_iq_point_2xs(k, table.points[k]);
    for (size_t r = 0; r < ROUNDINGS; r++)
        find_near(r);
}

/* --- eight values ----------------------------------------------------------------------- */

/* Magnitudes with signs such that an even number of them is set: where it would be odd, the
 * value that costs least changes its sign, and its magnitude is below 0 then. */
struct eight {
    float x[8];
    const float *w; /* [8], borrowed */
    uint8_t signs;
};

static void take_signs(const float *x, const float *w, struct eight *out)
{
    size_t cheapest = 0;
    bool odd = false;

    out->w = w;
    out->signs = 0;
    for (size_t i = 0; i < 8; i++) {
        out->x[i] = fabsf(x[i]);
        if (x[i] < 0) {
            out->signs = (uint8_t)(out->signs | 1u << i);
            odd = !odd;
        }
        if (w[i] * out->x[i] < w[cheapest] * out->x[cheapest])
            cheapest = i;
    }
    if (odd) {
        out->signs = (uint8_t)(out->signs ^ 1u << cheapest);
        out->x[cheapest] = -out->x[cheapest];
    }
}

static float error_of(const struct eight *e, const uint8_t *point, float d)
{
    float sum = 0;

    for (size_t i = 0; i < 8; i++) {
        float off = e->x[i] - d * levels[point[i]];

        sum += e->w[i] * off * off;
    }
    return sum;
}

/* The point whose d times is nearest; *error: how near. */
static unsigned nearest(const struct eight *e, float d, float *error)
{
    size_t rounding = 0;
    unsigned best;

    for (size_t i = 8; i-- > 0;)
        rounding = 3 * rounding + (e->x[i] > d * 34      ? 2
                                   : e->x[i] > d * 16.5f ? 1
                                                         : 0); /* midway */
    best = table.near[rounding][0];
    *error = error_of(e, table.points[best], d);
    for (size_t k = 1; k < table.count[rounding]; k++) {
        float t = error_of(e, table.points[table.near[rounding][k]], d);

        if (t < *error) {
            *error = t;
            best = table.near[rounding][k];
        }
    }
    return best;
}

/* --- sixteen, and the block ------------------------------------------------------------- */

/* The scale whose points, each times the best scale for just them, are nearest. */
static float best_scale(const struct eight e[2])
{
    float most = 0, best = 0, error;
    double gain = 0;

    for (size_t i = 0; i < GROUP; i++)
        most = fmaxf(most, e[i / 8].x[i % 8]);
    for (int k = -STEPS; k <= STEPS && most > 0; k++) {
        float d = most / levels[2] * (1 + STEP * (float)k);
        double xq = 0, qq = 0;

        for (size_t j = 0; j < 2; j++) {
            const uint8_t *point = table.points[nearest(&e[j], d, &error)];

            for (size_t i = 0; i < 8; i++) {
                double q = (double)levels[point[i]], w = (double)e[j].w[i];

                xq += w * (double)e[j].x[i] * q;
                qq += w * q * q;
            }
        }
        if (xq > 0 && xq * xq > gain * qq) {
            gain = xq * xq / qq;
            best = (float)(xq / qq);
        }
    }
    return best;
}

/* As it is read: d of the block, and half a byte s, are d (1 / 2 + s) / 4. */
static float scale_of(float d, int s)
{
    return d * (0.5f + (float)s) * 0.25f;
}

/* The four bits whose scale is best among those about the wanted one. */
static int round_scale(const struct eight e[2], float d, float wanted)
{
    float least = INFINITY;
    int start = d > 0 ? (int)fminf(rintf(wanted * 4 / d - 0.5f), 15) : 0, best = 0;

    for (int s = start - 1; s <= start + 1; s++) {
        float a, b;

        if (s < 0 || s > 15)
            continue;
        (void)nearest(&e[0], scale_of(d, s), &a);
        (void)nearest(&e[1], scale_of(d, s), &b);
        if (a + b < least) {
            least = a + b;
            best = s;
        }
    }
    return best;
}

static void put_group(const struct eight e[2], float d, size_t g, int s, uint8_t *p)
{
    float error;

    p[66 + g / 2] = (uint8_t)(p[66 + g / 2] | s << g % 2 * 4);
    for (size_t j = 0; j < 2; j++) {
        unsigned index = nearest(&e[j], scale_of(d, s), &error);
        uint16_t both = (uint16_t)(index | (e[j].signs & 127u) << 9);

        memcpy(p + 2 + 4 * g + 2 * j, &both, sizeof(both));
    }
}

void format_iq_pack_2xs(const float *x, const float *w, uint8_t *p)
{
    struct eight e[GROUPS][2];
    float scales[GROUPS], most = 0, d;
    uint16_t bits;

    (void)pthread_once(&table.once, make_table);
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t j = 0; j < 2; j++)
            take_signs(x + GROUP * g + 8 * j, w + GROUP * g + 8 * j, &e[g][j]);
        scales[g] = best_scale(e[g]);
        most = fmaxf(most, scales[g]);
    }
    bits = half_from_float(fminf(most / 3.875f, HALF_MOST)); /* the largest s is 15 */
    d = half_to_float(bits);
    memcpy(p, &bits, sizeof(bits));
    memset(p + 66, 0, GROUPS / 2);
    for (size_t g = 0; g < GROUPS; g++)
        put_group(e[g], d, g, round_scale(e[g], d, scales[g]), p);
}
