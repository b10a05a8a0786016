#include "router/curve.h"

#include <math.h>
#include <stdlib.h>

static int by_loss(const void *a, const void *b)
{
    double x = ((const struct curve_outcome *)a)->loss;
    double y = ((const struct curve_outcome *)b)->loss;

    return (x < y) - (x > y);
}

/* Ties in the order they came in would make an opinion of it: each gets their mean. */
static void level_ties(const struct curve_outcome *o, size_t n, double *gain)
{
    for (size_t i = 0, end; i < n; i = end) {
        double sum = 0;

        for (end = i; end < n && o[end].loss == o[i].loss; end++)
            sum += o[end].large - o[end].small;
        for (size_t k = i; k < end; k++)
            gain[k] = sum / (double)(end - i);
    }
}

struct curve_worth curve_worth_of(struct curve_outcome *o, size_t n)
{
    struct curve_worth w = {NAN, NAN};
    double *gain = calloc(n > 0 ? n : 1, sizeof(*gain));
    double gap = 0, made_good = 0, area = 0;

    qsort(o, n, sizeof(*o), by_loss);
    if (gain == NULL)
        return w;
    level_ties(o, n, gain);
    for (size_t i = 0; i < n; i++)
        gap += gain[i];
    for (size_t i = 0; i < n && gap > 0; i++) {
        /* Trapezoids. */
        area += made_good + gain[i] / 2;
        made_good += gain[i];
        if (isnan(w.cpt50) && made_good >= gap / 2)
            w.cpt50 = (double)(i + 1) / (double)n;
    }
    if (gap > 0)
        w.apgr = area / gap / (double)n;
    free(gain);
    return w;
}

double curve_calibration_error(const double *p, const double *y, size_t n)
{
    double expected[CURVE_BINS] = {0}, found[CURVE_BINS] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++) {
        int bin = (int)(p[i] * CURVE_BINS);

        if (bin >= CURVE_BINS)
            bin = CURVE_BINS - 1;
        if (bin < 0)
            bin = 0;
        expected[bin] += p[i];
        found[bin] += y[i];
    }
    for (int i = 0; i < CURVE_BINS; i++)
        sum += fabs(expected[i] - found[i]);
    return n > 0 ? sum / (double)n : 0;
}

void curve_settings(const struct curve_outcome *o, size_t n,
                    struct curve_setting out[CURVE_SETTINGS])
{
    double lost = 0;
    size_t i = n;

    /* From "all go to the large one" backwards, as what stays grows. */
    for (size_t step = CURVE_SETTINGS; step-- > 0;) {
        size_t large = (n * step + (CURVE_SETTINGS - 1) / 2) / (CURVE_SETTINGS - 1);

        for (; i > large; i--)
            lost += o[i - 1].large - o[i - 1].small;
        out[step] = (struct curve_setting){
            .loss = large >= n ? -1 : o[large].loss,
            .large = n > 0 ? (double)large / (double)n : 0,
            .quality = n > 0 ? lost / (double)n : 0,
        };
    }
    if (n > 0)
        out[0].loss = 1; /* nothing is above it */
}
