/* What keeps this process to itself, for /metrics. */
#ifndef ADMIN_METRICS_SECURITY_H
#define ADMIN_METRICS_SECURITY_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct admin_view;

enum status metrics_security_write(struct buf *out, const struct admin_view *v) MUST_CHECK;

#endif
