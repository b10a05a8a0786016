/* Writing heads. What would not be one start line and one set of fields is never
 * written. Pure. */
#ifndef HTTP_COMPOSE_H
#define HTTP_COMPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct http_request;

/* "name: value" and the line's end; nothing when it fails. */
enum status compose_field(struct buf *b, struct span name, struct span value) MUST_CHECK;

/* The Content-Length field and the line's end. */
enum status compose_length(struct buf *b, uint64_t n) MUST_CHECK;

/* Are method, target and fields free of what would end them early, and free of framing,
 * which is ours? */
bool compose_is_safe(const struct http_request *r);

/* The head of a request that is safe, to its empty line. */
enum status compose_request(struct buf *b, const struct http_request *r) MUST_CHECK;

#endif
