/* Server-sent events, the reading side (WHATWG HTML 9.2.6): bytes in any
 * chunking -> events. Bounded: an event larger than the limit is ST_LIMIT. */
#ifndef HTTP_SSE_H
#define HTTP_SSE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* `event` is empty when the field was absent. Spans valid until it returns. Any
 * status but ST_OK stops the reading and is returned by sse_feed(). */
typedef enum status sse_event_fn(void *owner, struct span event, struct span data);

struct sse_reader {
    struct buf line, event, data;
    bool cr;      /* the last byte was CR: an LF that follows belongs to it */
    bool started; /* past a byte-order mark */
    bool has_data;
    sse_event_fn *on_event;
    void *owner;
};

void sse_init(struct sse_reader *r, size_t event_max, sse_event_fn *on_event, void *owner);
void sse_release(struct sse_reader *r);
enum status sse_feed(struct sse_reader *r, struct span data) MUST_CHECK;

/* Is the reader between two events, so that a new one may be written here? */
bool sse_between_events(const struct sse_reader *r);

#endif
