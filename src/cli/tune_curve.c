#include "cli/tune_curve.h"

#include <math.h>
#include <string.h>

#define Z95 1.959964 /* of the normal distribution */

struct tune_interval tune_curve_interval(size_t k, size_t n)
{
    double count = (double)n, p, d, middle, half;

    if (n == 0)
        return (struct tune_interval){0, 1};
    p = (double)k / count;
    d = 1 + Z95 * Z95 / count;
    middle = p + Z95 * Z95 / (2 * count);
    half = Z95 * sqrt(p * (1 - p) / count + Z95 * Z95 / (4 * count * count));
    return (struct tune_interval){fmax(0, (middle - half) / d), fmin(1, (middle + half) / d)};
}

void tune_curve_make(const struct tune_pairs *p, float floor, double error_max,
                     struct tune_curve *out)
{
    *out = (struct tune_curve){.best = -1};
    for (size_t i = 0; i < p->count; i++) {
        out->same += p->pair[i].same;
        out->other += !p->pair[i].same;
    }
    for (int t = 0; t < TUNE_STEPS; t++) {
        struct tune_point *at = &out->points[t];

        at->threshold = t / (double)TUNE_STEPS;
        for (size_t i = 0; i < p->count; i++) {
            const struct tune_pair *x = &p->pair[i];
            bool served =
                x->guard == NULL && x->similarity >= floor && x->probability >= at->threshold;

            at->right += served && x->same;
            at->wrong += served && !x->same;
        }
    }
    for (int t = TUNE_STEPS - 1; t >= 0; t--) {
        if (tune_curve_interval(out->points[t].wrong, p->count).high > error_max)
            break;
        out->best = t;
    }
}

size_t tune_curve_guards(const struct tune_pairs *p, struct tune_guard *out, size_t max)
{
    size_t n = 0, g;

    for (size_t i = 0; i < p->count; i++) {
        const struct tune_pair *x = &p->pair[i];

        if (x->guard == NULL)
            continue;
        for (g = 0; g < n && strcmp(out[g].name, x->guard) != 0; g++)
            ;
        if (g == max)
            continue;
        if (g == n)
            out[n++] = (struct tune_guard){.name = x->guard};
        out[g].same += x->same;
        out[g].other += !x->same;
    }
    return n;
}
