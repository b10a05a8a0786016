/* The upstream is asked while the built-in model still writes, and the first good answer is
 * given out, whole (Dean and Barroso, The Tail at Scale, 2013). Loop thread only. */
#ifndef PROXY_BESIDE_H
#define PROXY_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

struct request;

enum beside {
    BESIDE_NONE,
    BESIDE_BOTH, /* the upstream is asked beside: either may still be the one */
    BESIDE_OVER, /* it is settled, or the upstream failed */
};

struct beside_counts {
    uint64_t begun, local, upstream; /* how often, and who was first */
};

/* In route.hedge_ms the upstream is asked, unless a model here has answered: counted from the
 * first one that is asked. Nothing happens where its answer is not looked at. */
void beside_start(struct request *r);

/* The built-in model's answer is given out. */
void beside_local(struct request *r);
/* It is not: true when the upstream is asked already, and nothing is left to do but to wait for
 * it. After r->routed has been set. */
bool beside_left(struct request *r);

/* The call of the request has a head, of this status: true when its answer is given out. */
bool beside_upstream(struct request *r, unsigned status);
/* It ended without one: true when the built-in model still writes. */
bool beside_failed(struct request *r);

#endif
