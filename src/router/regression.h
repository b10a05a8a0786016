/* Logistic regression with a penalty on the squares of its weights, for learning in one go from
 * all there is: P(y = 1 | x) = 1 / (1 + exp(-w·x)). Any thread; nothing is shared. */
#ifndef ROUTER_REGRESSION_H
#define ROUTER_REGRESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

struct regression_data {
    const float *x;  /* rows x columns */
    const double *y; /* 0..1: a share counts as that much of either */
    const bool *use; /* of each row; NULL: all */
    size_t rows, columns;
    const double *penalty; /* of each column; above 0 */
};

/* The weights that make sum log P(y) - sum penalty w^2 / 2 greatest, by Newton's method with
 * conjugate gradients (truncated Newton; Nocedal and Wright, Numerical Optimization, 7.1). `w`
 * is where it starts, and the result. ST_NOMEM: w is as it was. */
enum status regression_fit(const struct regression_data *d, double *w) MUST_CHECK;

double regression_score(const float *x, const double *w, size_t columns);
double regression_of(double score); /* 1 / (1 + exp(-score)) */
/* -log P(y) of a label, by its score; finite for any score. */
double regression_cost(double score, double y);

/* Platt's scaling (1999): the slope and the offset with which scores of rows that were not
 * learned from become probabilities. `use` as above. The slope is taken `caution` standard
 * errors below what fits best: the fewer the rows, the nearer probabilities are to the mean. */
struct regression_scale {
    double slope, offset;
};

struct regression_scale regression_calibrate(const double *score, const double *y,
                                             const bool *use, size_t n, double caution);

#endif
