/* A report as a picture: money and tokens a day, as SVG 1.1. */
#ifndef CLI_REPORT_PLOT_H
#define CLI_REPORT_PLOT_H

#include <stdbool.h>

#include "base/compiler.h"
#include "cli/report_sum.h"

/* `days` are lines told apart by REPORT_DAY alone. False: said on stderr. */
bool report_plot_write(const char *path, const struct report *days) MUST_CHECK;

#endif
