/* A second call beside one that says nothing for too long (upstream.hedge_after_ms): at another
 * place of the upstream where there is one, else on another connection. The first good head
 * decides which of the two answers, the other one is cut; nothing of it was given to anybody.
 *
 * Only for requests whose answer may become an entry: for them one answer is as good as
 * another. No more than a share of them (upstream.hedge_share), since an upstream may bill
 * both. Loop thread only. */
#ifndef PROXY_HEDGE_H
#define PROXY_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct http_call;
struct proxy;
struct request;

struct hedge_counts {
    double credit; /* hedges that may be made now */
    /* The second one answered; the first one did after all; both failed; there was no credit.
     */
    uint64_t won_total, lost_total, failed_total, skipped_total;
};

/* Starts a call of r at r->place, as r->call. */
typedef enum status hedge_call_fn(struct request *r);

/* r->call has started and is held. */
void hedge_arm(struct request *r, hedge_call_fn *start);

/* A head has come. False: it is not the one that answers (its call is being cut), and the other
 * goes on. True: r->call and r->place are that call's now. */
bool hedge_takes(struct request *r, struct http_call *c, unsigned status) MUST_CHECK;

/* A call has ended. True: another one answers, or may yet; there is nothing to do but to drop
 * the request. */
bool hedge_ended(struct request *r, struct http_call *c, enum status st) MUST_CHECK;

/* Both calls are cut, where they are. */
void hedge_cancel(struct request *r);

#endif
