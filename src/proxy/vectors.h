/* Embeddings of the built-in encoder, which has a name of its own among models. */
#ifndef PROXY_VECTORS_H
#define PROXY_VECTORS_H

#include <stdbool.h>

#include "base/span.h"

struct proxy;
struct request;

/* Is this request for vectors, and of our encoder? */
bool vectors_named(const struct request *r);
/* Why the encoder can not answer this request; NULL: it can. Static, or in the request's
 * arena. */
const char *vectors_unsupported(struct request *r);

#endif
