/* A plot of what thresholds do, as SVG. */
#ifndef CLI_TUNE_PLOT_H
#define CLI_TUNE_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct tune_curve;

/* False: what is wrong was said on stderr. */
bool tune_plot_write(const char *path, const struct tune_curve *c, size_t pairs) MUST_CHECK;

#endif
