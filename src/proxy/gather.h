/* Requests of several inputs, each of which is kept on its own: what is known is taken from
 * the cache, only the rest is asked of the upstream. */
#ifndef PROXY_GATHER_H
#define PROXY_GATHER_H

struct answer;
struct request;

/* A whole answer of the upstream: that of each input becomes an entry. */
void gather_record(struct request *r, const struct answer *a);
/* Frees what the step holds. */
void gather_release(struct request *r);

#endif
