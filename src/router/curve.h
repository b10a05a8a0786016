/* What a way of choosing between a small and a large model is worth, on questions of which it
 * is known how well both answered. Pure; any thread. */
#ifndef ROUTER_CURVE_H
#define ROUTER_CURVE_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

/* One question: how well either answered, 0..1, and what was thought of it beforehand. */
struct curve_outcome {
    double small, large;
    double loss; /* expected of the small one's answer: the higher, the rather the large one */
};

/* RouteLLM's measures (Ong and others, 2024, arXiv:2406.18665, 3.2). Those with the highest
 * `loss` go to the large model first; of equal ones none goes before another (each counts as
 * the mean of them). Both are NaN when the models are equally good on the whole, or the small
 * one is better. */
struct curve_worth {
    double apgr;  /* share of the gap between the models that is made good, averaged over all
                     shares of questions that go to the large one; 0.5: choosing blindly */
    double cpt50; /* the share of questions that must go there to make half of the gap good */
};

/* Sorts `o` by loss, downwards. */
struct curve_worth curve_worth_of(struct curve_outcome *o, size_t n);

/* Expected calibration error: by how much P(y = 1) and the share of y differ, mean over
 * CURVE_BINS equally wide bins weighted by what is in them (Naeini and others, 2015). */
#define CURVE_BINS 10

double curve_calibration_error(const double *p, const double *y, size_t n);

/* One setting: all with a loss above `loss` go to the large model. */
struct curve_setting {
    double loss;
    double large;   /* share of the questions that go to the large one */
    double quality; /* what is lost to the large model answering all: mean of large - small
                       of those that stay; below 0: it is better so */
};

/* CURVE_SETTINGS of them, in equal steps of `large` from 0 to 1. `o` sorted as above. */
#define CURVE_SETTINGS 101

void curve_settings(const struct curve_outcome *o, size_t n,
                    struct curve_setting out[CURVE_SETTINGS]);

#endif
