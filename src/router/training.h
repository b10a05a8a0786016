/* A classifier out of questions of which it is known how well either model answered. Takes
 * seconds to minutes; any thread. */
#ifndef ROUTER_TRAINING_H
#define ROUTER_TRAINING_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "router/classifier.h"
#include "router/curve.h"

#define TRAINING_MIN   50 /* examples: with fewer the folds hold nothing */
#define TRAINING_MAX   100000
#define TRAINING_FOLDS 5

struct training_example {
    struct span text;
    const float *vector; /* NULL: none */
    double small, large; /* how well either answered, 0..1 */
};

struct training_report {
    double feature_penalty, vector_penalty; /* chosen by what they do to held-out folds */
    /* The rest is of verdicts on examples that were not learned from. */
    struct curve_worth worth;
    double calibration_error; /* of `enough` */
};

/* `examples`: TRAINING_MIN to TRAINING_MAX; one in TRAINING_FOLDS is a fold, by their order.
 * `encoder`: the id of whose vectors, not read with `dimensions` 0. The result is the caller's
 * to release. ST_INVALID: too few or too many of them, or in none did the models differ.
 * ST_NOMEM. */
enum status training_run(const struct training_example *examples, size_t n, uint32_t dimensions,
                         const char *encoder, struct classifier *out,
                         struct training_report *report) MUST_CHECK;

/* The same measures of a finished classifier on other examples. */
enum status training_test(const struct classifier *c, const struct training_example *examples,
                          size_t n, struct training_report *report) MUST_CHECK;

#endif
