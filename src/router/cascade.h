/* Is the answer that a small model gave right? A logistic regression over what the answer shows
 * (signs.h), and the line above which it is good enough. Immutable once made; any thread. */
#ifndef ROUTER_CASCADE_H
#define ROUTER_CASCADE_H

#include <stdint.h>

#include "router/curve.h"
#include "router/signs.h"

#define CASCADE_MODELS_MAX 256

/* The signs; and what two of them say of each kind of question: a likely answer to a sum is not
 * what a likely answer to a question about a text is. Their products with the features. */
#define CASCADE_PRODUCTS 2
#define CASCADE_INPUTS   (SIGNS_COUNT + CASCADE_PRODUCTS * FEATURES_COUNT)

struct cascade {
    double offset;
    double weight[CASCADE_INPUTS];                 /* of cascade_inputs() */
    double mean[SIGNS_COUNT], spread[SIGNS_COUNT]; /* where it was learned; spread above 0 */

    char models[CASCADE_MODELS_MAX]; /* whose answers it was learned from; may be empty */
    uint64_t outcomes;               /* how many it was learned from */
    uint64_t least;                  /* … of the smallest group of them */
    /* What each line does to answers that were held out: `loss` is 1 - P(right), `large` the
     * share that is asked for elsewhere, `quality` what the group loses that loses most. */
    struct curve_setting settings[CURVE_SETTINGS];
};

/* Each sign in its own spread, and the products. What lies far from where it was learned counts
 * as its edge. Of `c` means and spreads are read. */
void cascade_inputs(const struct cascade *c, const double *signs, double *out);

/* P(right), 0..1. */
double cascade_sure(const struct cascade *c, const double *signs);

/* The P(right) from which on answers are good enough: as many as can be stay, and of all
 * questions no more than `loss_max` right answers are lost by that, even at the upper end of an
 * interval that holds nine times of ten (Wilson 1927; risk control as Bates and others, 2021,
 * arXiv:2101.02703, do it). Above 1: none is, with so few outcomes. */
double cascade_line(const struct cascade *c, double loss_max);

#endif
