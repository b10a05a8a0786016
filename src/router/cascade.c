#include "router/cascade.h"

#include <math.h>

#include "router/regression.h"

/* In spreads: what was learned from some hundred answers says nothing further out. */
#define FAR 3.0
/* Of the normal distribution: .9 lie below. */
#define NINE_OF_TEN 1.2815515655446004

static const enum sign factors[CASCADE_PRODUCTS] = {SIGN_LOG_P, SIGN_LEAST_MARGIN};

void cascade_inputs(const struct cascade *c, const double *signs, double *out)
{
    double *product = out + SIGNS_COUNT;

    for (size_t i = 0; i < SIGNS_COUNT; i++)
        out[i] = fmax(-FAR, fmin(FAR, (signs[i] - c->mean[i]) / c->spread[i]));
    for (size_t k = 0; k < CASCADE_PRODUCTS; k++) {
        for (size_t i = 0; i < FEATURES_COUNT; i++)
            *product++ = out[factors[k]] * out[SIGNS_OWN + i];
    }
}

double cascade_sure(const struct cascade *c, const double *signs)
{
    double in[CASCADE_INPUTS], sum = c->offset;

    cascade_inputs(c, signs, in);
    for (size_t i = 0; i < CASCADE_INPUTS; i++)
        sum += c->weight[i] * in[i];
    return regression_of(sum);
}

/* Wilson's upper end of a share that was seen among n. */
static double upper_end(double share, double n)
{
    double z = NINE_OF_TEN, zz = z * z;

    return (share + zz / (2 * n) + z * sqrt(share * (1 - share) / n + zz / (4 * n * n))) /
           (1 + zz / n);
}

double cascade_line(const struct cascade *c, double loss_max)
{
    double n = (double)c->least, line = 2;

    if (loss_max >= 1)
        return 0;
    /* From "none stays" on, until the first that loses too much. */
    for (size_t i = CURVE_SETTINGS; n > 0 && i-- > 0;) {
        const struct curve_setting *s = &c->settings[i];

        if (upper_end(fmax(0, s->quality), n) > loss_max)
            break;
        line = 1 - s->loss;
    }
    return line;
}
