#include "router/classifier.h"

#include <math.h>
#include <stdlib.h>

#include "router/regression.h"

static double chance(const struct classifier *c, int side, const float *vector,
                     const double *features)
{
    const struct classifier_side *s =
        vector != NULL ? &c->with_vector[side] : &c->without[side];
    double sum = s->offset;

    for (int i = 0; i < FEATURES_COUNT; i++)
        sum += s->feature[i] * features[i];
    for (uint32_t i = 0; vector != NULL && i < c->dimensions; i++)
        sum += (double)c->vector[side][i] * (double)vector[i];
    return regression_of(sum);
}

struct classifier_verdict classifier_judge(const struct classifier *c, const float *vector,
                                           const double *features)
{
    const float *v = c->dimensions > 0 ? vector : NULL;
    double large = chance(c, CLASSIFIER_LARGE_BETTER, v, features);

    return (struct classifier_verdict){
        .enough = 1 - large,
        .loss = large - chance(c, CLASSIFIER_SMALL_BETTER, v, features),
    };
}

double classifier_line_for_share(const struct classifier *c, double share)
{
    double at = fmax(0, fmin(1, share)) * (CURVE_SETTINGS - 1);
    int low = (int)at, high = low < CURVE_SETTINGS - 1 ? low + 1 : low;
    double part = at - low;

    return c->settings[low].loss * (1 - part) + c->settings[high].loss * part;
}

double classifier_line_for_quality(const struct classifier *c, double quality_loss_max)
{
    for (int i = 0; i < CURVE_SETTINGS; i++) {
        if (c->settings[i].quality <= quality_loss_max)
            return c->settings[i].loss;
    }
    return -1;
}

void classifier_release(struct classifier *c)
{
    for (int side = 0; side < CLASSIFIER_SIDES; side++) {
        free(c->vector[side]);
        c->vector[side] = NULL;
    }
}
