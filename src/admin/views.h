/* What the admin listener shows, each view a function that writes a body. */
#ifndef ADMIN_VIEWS_H
#define ADMIN_VIEWS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct admin_view;

/* /readyz: {"status":"ready"|"degraded"|"draining","parts":{…}}. *ready is false
 * only while draining. */
enum status views_ready(struct buf *out, const struct admin_view *v, bool *ready) MUST_CHECK;
/* /admin/v1/stats: everything that is counted, as JSON. */
enum status views_stats(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/savings: what was saved, net of our own work. */
enum status views_savings(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/ledger: what `ibid report` reads. */
enum status views_ledger(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/policy: what `bounded` has learned, of all and of the busiest partitions. */
enum status views_policy(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/models */
enum status views_models(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/latency: by who answered and by step. */
enum status views_latency(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/routes: tiers and why, rules, upstreams. */
enum status views_routes(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/engine: what encoder and built-in model did. */
enum status views_engine(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/config: effective, secrets masked, as YAML. */
enum status views_config(struct buf *out, const struct admin_view *v) MUST_CHECK;

#endif
