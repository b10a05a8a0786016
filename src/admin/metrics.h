/* /metrics: Prometheus text format 0.0.4. Loop thread only. */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct admin_view;

enum status metrics_write(struct buf *out, const struct admin_view *v) MUST_CHECK;

#endif
