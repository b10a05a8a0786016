/* Pages of other origins (Fetch standard, CORS), for the origins that are configured. Without
 * any, what the upstream says about it is relayed like all else. */
#ifndef PROXY_CORS_H
#define PROXY_CORS_H

#include <stdbool.h>

struct request;
struct respond_fields;

/* A browser asks what it may do: answered here. false: this is no such question. */
bool cors_preflight(struct request *r);

/* What the page may see of this answer, in place of the upstream's word. */
void cors_add(const struct request *r, struct respond_fields *f);

#endif
