/* A logistic regression that learns one observation after the other: P(y = 1 | x) =
 * 1 / (1 + exp(-w·x)), w normal around a prior, its posterior taken as normal after each
 * observation (Laplace's approximation; Spiegelhalter and Lauritzen 1990). Labels may be wrong
 * in a known share. Plain values: no pointers, may be copied and written to a file. One
 * thread at a time. */
#ifndef CACHE_LOGISTIC_H
#define CACHE_LOGISTIC_H

#include <stdbool.h>

#define LOGISTIC_INPUTS 8 /* as DECISION_FEATURES_MAX */

struct logistic {
    double weight[LOGISTIC_INPUTS];                     /* mean */
    double precision[LOGISTIC_INPUTS][LOGISTIC_INPUTS]; /* inverse of the covariance */
    double root[LOGISTIC_INPUTS][LOGISTIC_INPUTS];      /* lower triangle L, LL' = precision */
};

/* `precision`: of the prior, its diagonal; all above 0. */
void logistic_init(struct logistic *l, const double *weight, const double *precision);

/* w·x. */
double logistic_score(const struct logistic *l, const double *x);
/* The standard deviation of w·x. */
double logistic_deviation(const struct logistic *l, const double *x);
double logistic_of(double score);

/* Of those that are 1, a share `flipped` is labelled 0. What was learned long ago fades by
 * `fade` an observation towards the prior's precision (its diagonal); the weights stay. */
void logistic_learn(struct logistic *l, const double *x, bool y, double flipped, double fade,
                    const double *prior_precision);

/* Of what was learned, this share is believed on: how sure it is, and how far the weights are
 * from those of the prior. */
void logistic_fade(struct logistic *l, double share, const double *prior_weight,
                   const double *prior_precision);

#endif
