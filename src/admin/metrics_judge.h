/* What the judge counts, for /metrics. */
#ifndef ADMIN_METRICS_JUDGE_H
#define ADMIN_METRICS_JUDGE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct judge_counts;

enum status metrics_judge_write(struct buf *out, const struct judge_counts *c) MUST_CHECK;

#endif
