/* A cascade out of answers of which it is known whether they were right. Takes milliseconds to
 * seconds; any thread. */
#ifndef ROUTER_CASCADE_TRAINING_H
#define ROUTER_CASCADE_TRAINING_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "router/cascade.h"
#include "router/curve.h"

#define CASCADE_TRAINING_MIN    50 /* outcomes: with fewer the folds hold nothing */
#define CASCADE_TRAINING_MAX    100000
#define CASCADE_TRAINING_FOLDS  5
#define CASCADE_TRAINING_GROUPS 32

struct cascade_outcome {
    double signs[SIGNS_COUNT];
    double small, large; /* how right either answer was, 0..1 */
    unsigned group;      /* the loss is kept to in each; below CASCADE_TRAINING_GROUPS */
};

struct cascade_report {
    double penalty; /* chosen by what it does to held-out folds */
    /* The rest is of answers that were not learned from. */
    double
        area; /* under the ROC curve of P(right), right against wrong; .5: it knows nothing */
    double calibration_error;
    double right; /* mean of `small` */
    /* With the line of cascade_line() for a loss: what stays, and what of all is lost by it. */
    double line, stays, lost;
};

/* One in CASCADE_TRAINING_FOLDS is a fold, by their order. ST_INVALID: too few or too many, or
 * all were right, or none. ST_NOMEM. out->models is left empty. */
enum status cascade_training_run(const struct cascade_outcome *o, size_t n, double loss_max,
                                 struct cascade *out, struct cascade_report *report) MUST_CHECK;

/* The same measures of a finished one on other outcomes. */
enum status cascade_training_test(const struct cascade *c, const struct cascade_outcome *o,
                                  size_t n, double loss_max,
                                  struct cascade_report *report) MUST_CHECK;

#endif
