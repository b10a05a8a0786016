/* /metrics: what the allocator has in use, and what is given back. Any thread. */
#ifndef ADMIN_METRICS_HEAP_H
#define ADMIN_METRICS_HEAP_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct heap_keeper;

/* NULL: nothing to say. */
enum status metrics_heap_write(struct buf *out, struct heap_keeper *heap) MUST_CHECK;

#endif
