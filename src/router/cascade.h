/* Is the answer that a small model gave right? A logistic regression over what the answer shows
 * (signs.h), and the line above which it is good enough. Immutable once made; any thread. */
#ifndef ROUTER_CASCADE_H
#define ROUTER_CASCADE_H

#include <stdint.h>

#include "router/curve.h"
#include "router/signs.h"

#define CASCADE_MODELS_MAX 256

struct cascade {
    double offset;
    double weight[SIGNS_COUNT];                    /* of a sign in its own spread */
    double mean[SIGNS_COUNT], spread[SIGNS_COUNT]; /* where it was learned; spread above 0 */

    char models[CASCADE_MODELS_MAX]; /* whose answers it was learned from; may be empty */
    uint64_t outcomes;               /* how many it was learned from */
    /* What each line does to answers that were held out: `loss` is 1 - P(right), `large` the
     * share that is asked for elsewhere. */
    struct curve_setting settings[CURVE_SETTINGS];
};

/* P(right), 0..1. What lies far from where it was learned counts as its edge. */
double cascade_sure(const struct cascade *c, const double *signs);

/* The P(right) from which on answers are good enough: as many as can be stay, and of all
 * questions no more than `loss_max` right answers are lost by that, as expected of new ones
 * (conformal risk control: Angelopoulos and others, 2022, arXiv:2208.02814, section 2: one
 * wrong answer more than were seen). Above 1: none is. */
double cascade_line(const struct cascade *c, double loss_max);

#endif
