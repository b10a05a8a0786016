/* What an answer comes to: the tokens of a request as the steps learn them, and their line in
 * the ledger when it ends. Loop thread only. */
#ifndef PROXY_CHARGE_H
#define PROXY_CHARGE_H

#include <stdint.h>

#include "base/span.h"

struct answer;
struct config_price;
struct entry;
struct request;

enum charge_state {
    CHARGE_UNKNOWN, /* nobody told */
    CHARGE_KNOWN,
    CHARGE_NOTHING, /* no model was at work: an error of the upstream, a list */
};

/* In a request. */
struct charge {
    enum charge_state state;
    uint64_t prompt_tokens, cached_tokens, completion_tokens;
    struct span model;                /* arena, or the entry's */
    const struct config_price *price; /* NULL: it has none */
    uint64_t cpu_us;                  /* of our models, for this request */
};

/* A fresh answer: the upstream's or the built-in model's. One without usage stays unknown. */
void charge_answer(struct request *r, const struct answer *a);
/* A stored one, read from `e`. */
void charge_entry(struct request *r, const struct entry *e, const struct answer *a);
void charge_nothing(struct request *r);
/* What another's answer, shared with this one, came to. */
void charge_share(struct request *r, const struct charge *of);

/* By the price; 0 without one. */
double charge_usd(const struct charge *c);

/* Its line in the ledger, once: delivered whole; not so, after an upstream was asked; or asked
 * for without a client. */
void charge_delivered(struct request *r, uint64_t took_us);
void charge_broken(struct request *r);
void charge_background(struct request *r);

#endif
