/* The upstream is asked while the built-in model still writes, and the first good answer is
 * given out, whole (Dean and Barroso, The Tail at Scale, 2013). Loop thread only. */
#ifndef PROXY_HEDGE_H
#define PROXY_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

struct request;

enum hedge {
    HEDGE_NONE,
    HEDGE_BOTH, /* the upstream is asked beside: either may still be the one */
    HEDGE_OVER, /* it is settled, or the upstream failed */
};

struct hedge_counts {
    uint64_t begun, local, upstream; /* how often, and who was first */
};

/* In route.hedge_ms the upstream is asked, unless the built-in model has answered; nothing
 * happens where its answer is not looked at. */
void hedge_start(struct request *r);

/* The built-in model's answer is given out. */
void hedge_local(struct request *r);
/* It is not: true when the upstream is asked already, and nothing is left to do but to wait for
 * it. After r->routed has been set. */
bool hedge_left(struct request *r);

/* The call of the request has a head, of this status: true when its answer is given out. */
bool hedge_upstream(struct request *r, unsigned status);
/* It ended without one: true when the built-in model still writes. */
bool hedge_failed(struct request *r);

#endif
