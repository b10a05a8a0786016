#include "cache/drift.h"

#include <math.h>

#define DRIFT_ODDS  2.0
#define DRIFT_ALARM 5.0
/* An expectation beyond it would let a single label decide. */
#define EXPECTED_MIN 0.01

bool drift_observe(struct drift *d, bool wrong, double expected)
{
    double q = fmin(1 - EXPECTED_MIN, fmax(EXPECTED_MIN, expected));

    d->evidence += (wrong ? log(DRIFT_ODDS) : 0) - log(1 - q + DRIFT_ODDS * q);
    d->evidence = fmax(0, d->evidence);
    if (d->evidence < DRIFT_ALARM)
        return false;
    d->evidence = 0;
    return true;
}
