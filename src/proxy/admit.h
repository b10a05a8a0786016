/* What admit leaves for later steps to ask. */
#ifndef PROXY_ADMIT_H
#define PROXY_ADMIT_H

#include <stdbool.h>

struct request;

/* Computes r->partition. Not done for every request: an exact hit does not need it.
 * false: the request can not be compared by meaning after all. */
bool admit_partition(struct request *r);

#endif
