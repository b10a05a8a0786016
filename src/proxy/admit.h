/* What admit leaves for later steps to ask. */
#ifndef PROXY_ADMIT_H
#define PROXY_ADMIT_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct digest;
struct json;
struct request;

/* Computes r->partition. Not done for every request: an exact hit does not need it.
 * false: the request can not be compared by meaning after all. */
bool admit_partition(struct request *r);

/* The key of the request as if this were the exact form of its body. */
enum status admit_key(struct request *r, const struct json *form,
                      struct digest *out) MUST_CHECK;

#endif
