/* What the log-odds of P(same) are worth. The logistic of decision.c is too modest about
 * pairs of which it is unsure, by what bench/quality/fit.py measures on the data of the fit:
 * as log-odds, between two points (P = .75 and .55) a step says less than it thinks; below
 * them all is as much more likely. The order of pairs is what it was, and above the first
 * point nothing changes. Pure; any thread. */
#ifndef CACHE_CALIBRATION_H
#define CACHE_CALIBRATION_H

double calibration_apply(double odds);
/* The log-odds that calibration_apply() made these of. */
double calibration_undo(double odds);

#endif
