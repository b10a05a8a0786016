/* Whether traffic is still what was learned from: a cumulative sum test (Page, "Continuous
 * inspection schemes", Biometrika 41, 1954). Each label is weighed between two stories: it came
 * about as was expected, or the odds of a wrong one are DRIFT_ODDS times as high. When the
 * evidence for the second one since it was least is DRIFT_ALARM or more, there is a drift. A
 * plain value; one thread at a time. */
#ifndef CACHE_DRIFT_H
#define CACHE_DRIFT_H

#include <stdbool.h>

struct drift {
    double evidence; /* log-likelihood ratio, never below 0 */
};

/* Of one label: whether it says "wrong", and how likely that was thought to be. True: a drift;
 * the evidence begins anew. */
bool drift_observe(struct drift *d, bool wrong, double expected);

#endif
