/* An answer whose question was veiled, on its way to the client: the values take the places of
 * their placeholders (privacy/restorer.h). Loop thread only. */
#ifndef PROXY_UNVEIL_H
#define PROXY_UNVEIL_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct http_head;
struct request;
struct respond_fields;
struct unveil;

/* With the upstream's head, or NULL: an answer of ours, a stream as the client wants it. */
enum status unveil_start(struct request *r, const struct http_head *h) MUST_CHECK;
/* *out is valid until the next call; it may be empty. */
enum status unveil_feed(struct request *r, struct span data, struct span *out) MUST_CHECK;
/* The rest. `whole`: the answer has ended, it was not cut. */
enum status unveil_finish(struct request *r, bool whole, struct span *out) MUST_CHECK;
/* A whole answer at once; unveil_start() before is not needed. */
enum status unveil_whole(struct request *r, struct span json, struct span *out) MUST_CHECK;
void unveil_release(struct request *r);

/* What of the upstream's fields speaks of bytes that the client does not get. */
void unveil_fields(struct respond_fields *f);

#endif
