/* The metrics as OTLP's JSON (opentelemetry-proto, metrics/v1). They are those of /metrics, by
 * the same names: its text is what they are read from, so that no two places can differ. Loop
 * thread only. */
#ifndef ADMIN_OTLP_METRICS_H
#define ADMIN_OTLP_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* An otlp_metrics_fn; `owner` is the struct admin_view. */
enum status otlp_metrics_write(void *owner, struct buf *out, uint64_t start_us,
                               uint64_t now_us) MUST_CHECK;

/* The same of any such text. ST_INVALID: it is none that metrics_write() writes. */
enum status otlp_metrics_convert(struct span text, struct buf *out, uint64_t start_us,
                                 uint64_t now_us) MUST_CHECK;

#endif
