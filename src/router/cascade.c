#include "router/cascade.h"

#include <math.h>

#include "router/regression.h"

/* In spreads: a line that was learned from some hundred answers says nothing further out. */
#define FAR 3.0

double cascade_sure(const struct cascade *c, const double *signs)
{
    double sum = c->offset;

    for (size_t i = 0; i < SIGNS_COUNT; i++) {
        double d = (signs[i] - c->mean[i]) / c->spread[i];

        sum += c->weight[i] * fmax(-FAR, fmin(FAR, d));
    }
    return regression_of(sum);
}

double cascade_line(const struct cascade *c, double loss_max)
{
    double n = (double)c->outcomes, line = 2;

    /* From "none stays" on, until the first that loses too much. */
    for (size_t i = CURVE_SETTINGS; i-- > 0;) {
        const struct curve_setting *s = &c->settings[i];

        if ((s->quality * n + 1) / (n + 1) > loss_max)
            break;
        line = 1 - s->loss;
    }
    return line;
}
