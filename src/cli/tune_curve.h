/* What each threshold does to labelled pairs, and which of them keeps to an error. Pure. */
#ifndef CLI_TUNE_CURVE_H
#define CLI_TUNE_CURVE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/tune_pairs.h"

#define TUNE_STEPS 100 /* thresholds from 0 in hundredths */

/* Wilson's score interval (1927), 95 %, of k in n; 0..1 when n is 0. */
struct tune_interval {
    double low, high;
};

struct tune_interval tune_curve_interval(size_t k, size_t n);

struct tune_point {
    double threshold;
    size_t right, wrong; /* served pairs */
};

struct tune_curve {
    size_t same, other;
    struct tune_point points[TUNE_STEPS];
    int best; /* the point recommended; -1: none keeps to it */
};

/* `floor`: cosine below which nothing is served. Recommended is the least threshold from which
 * on the upper end of the interval of the error, wrong ones of all pairs, is not above
 * error_max at this and any higher threshold. */
void tune_curve_make(const struct tune_pairs *p, float floor, double error_max,
                     struct tune_curve *out);

/* Of a guard: pairs it refused that are really others, and those that are the same. */
struct tune_guard {
    const char *name; /* static */
    size_t other, same;
};

/* Guards that fired, in the order of the first; how many. */
size_t tune_curve_guards(const struct tune_pairs *p, struct tune_guard *out, size_t max);

#endif
