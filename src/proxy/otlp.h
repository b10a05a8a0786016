/* What is told to a collector by OTLP over HTTP, as JSON (opentelemetry-proto, "OTLP/HTTP"):
 * spans, batched, and metrics. Nothing waits for it: the queue is bounded, what finds no room
 * or is not taken in time is dropped and counted, and requests never notice. Loop thread only.
 */
#ifndef PROXY_OTLP_H
#define PROXY_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "proxy/trace.h"

struct config;
struct connector;
struct loop;
struct otlp;

enum otlp_signal { OTLP_TRACES, OTLP_METRICS };

struct otlp_stats {
    uint64_t posts_total[2], failures_total[2]; /* by otlp_signal */
    uint64_t traces_total, dropped_total;       /* requests */
    size_t queue_bytes;
};

/* *out is NULL when no collector is named. `why` begins with the setting. */
enum status otlp_open(struct loop *loop, struct connector *connector, const struct config *c,
                      const char *version, struct otlp **out, char *why,
                      size_t why_cap) MUST_CHECK;
/* What is queued is given one last try, within the deadline but no longer than two seconds;
 * `closed` comes once, later. */
void otlp_close(struct otlp *x, void (*closed)(void *owner), void *owner);
void otlp_stats(const struct otlp *x, struct otlp_stats *out);

/* Metrics are written when it is time, as the list in "metrics": without its brackets. */
typedef enum status otlp_metrics_fn(void *owner, struct buf *out, uint64_t start_us,
                                    uint64_t now_us);
/* Once; `owner` outlives `x`, or says NULL before. */
void otlp_set_metrics(struct otlp *x, otlp_metrics_fn *write, void *owner);

struct trace_ids *otlp_ids(struct otlp *x);
/* Microseconds since the Unix epoch of a monotonic time. */
uint64_t otlp_wall_us(const struct otlp *x, uint64_t at_us);
/* The queue: JSON objects with commas between them. Whoever adds one request's says so, or that
 * they found no room. */
struct buf *otlp_spans(struct otlp *x);
void otlp_spans_added(struct otlp *x, bool fits);

#endif
