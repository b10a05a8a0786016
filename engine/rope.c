#include "engine/rope.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"

uint64_t rope_bytes(const struct rope_scheme *s, size_t positions)
{
    return (uint64_t)positions * s->dimensions * sizeof(float);
}

/* The pair, in parts of one, that turns `turns` times within the original context. */
static double yarn_pair(const struct rope_scheme *s, float turns)
{
    const double tau = 6.283185307179586;

    return (double)s->dimensions * log((double)s->yarn.original / ((double)turns * tau)) /
           (2 * log((double)s->base));
}

/* How much of a pair's speed is stretched, in 0..1. The ends of the ramp are whole pairs, as
 * models were trained. */
static double stretched_share(const struct rope_scheme *s, size_t i)
{
    double from, to, width;

    if (s->yarn.original == 0)
        return 1;
    from = fmax(floor(yarn_pair(s, s->yarn.fast)), 0);
    to = fmin(ceil(yarn_pair(s, s->yarn.slow)), (double)s->dimensions - 1);
    width = fmax(to - from, 0.001);
    return fmin(fmax(((double)i - from) / width, 0), 1);
}

static double magnitude(const struct rope_scheme *s)
{
    double yarn = s->yarn.original > 0 ? 1 + 0.1 * log((double)s->stretch) : 1;

    return (double)s->magnitude * yarn;
}

enum status rope_init(struct rope *r, const struct rope_scheme *s, const float *factors,
                      size_t positions)
{
    size_t half = s->dimensions / 2, bytes;
    double size = magnitude(s);

    *r = (struct rope){.pairs = s->pairs, .half = half};
    if (!size_mul(positions, half * sizeof(float), &bytes))
        return ST_NOMEM;
    r->cos = malloc(bytes);
    r->sin = malloc(bytes);
    if (r->cos == NULL || r->sin == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < half; i++) {
        double power = -2.0 * (double)i / (double)s->dimensions;
        double share = stretched_share(s, i);
        double speed = pow((double)s->base, power) * (1 - share + share / (double)s->stretch);

        if (factors != NULL)
            speed /= (double)factors[i];
        for (size_t p = 0; p < positions; p++) {
            r->cos[p * half + i] = (float)(cos((double)p * speed) * size);
            r->sin[p * half + i] = (float)(sin((double)p * speed) * size);
        }
    }
    return ST_OK;
}

void rope_release(struct rope *r)
{
    free(r->cos);
    free(r->sin);
}

void rope_turn(const struct rope *r, float *head, size_t pos)
{
    size_t half = r->half;
    size_t step = r->pairs == ROPE_NEIGHBOURS ? 2 : 1, apart = step == 2 ? 1 : half;
    const float *c = r->cos + pos * half, *s = r->sin + pos * half;

    for (size_t i = 0; i < half; i++) {
        float *p = head + step * i, a = p[0], b = p[apart];

        p[0] = a * c[i] - b * s[i];
        p[apart] = a * s[i] + b * c[i];
    }
}
