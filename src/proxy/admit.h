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

/* For an answer that did not come this way: sets the request's key and partition, as its head,
 * body and upstream have them. NULL, or why its answer may not be kept (static). */
const char *admit_deposit(struct request *r);

#endif
