/* Answers in HTTP/1.1 (RFC 9112), into the connection's outbox. */
#ifndef HTTP_HTTP1_H
#define HTTP_HTTP1_H

#include "http/stream.h"

/* Of a stream that is the `stream` of its connection. */
extern const struct stream_kind http1_kind;

/* Also for an answer to what never became a stream: the connection's keep_alive, which is
 * decided before, may be cleared by it. */
enum status http1_put_head(struct http_stream *s, unsigned status,
                           const struct http_field *fields, size_t n,
                           uint64_t body_bytes) MUST_CHECK;

#endif
