/* A second opinion, in the background and never in a request's time: was a stored answer given
 * for the same question, and is an answer one at all? Three can say: the rules (guards and
 * verifier of the decision, cache/admission.h), which have spoken before; a model on this
 * machine, by the chance of its "Yes"; an upstream, within a budget.
 *
 * Of decisions near their threshold (judge.grey) what was said is a label, as a fresh answer's
 * would be: the journal has it, the inbox shows it, the policy `bounded` learns from it. An
 * answer that is said to be none (judge.admission) is stored no longer. One at a time; what
 * finds no room, no budget or no model is passed over and counted. Loop thread only. */
#ifndef PROXY_JUDGE_H
#define PROXY_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct answer;
struct entry;
struct journal_item;
struct judge;
struct proxy;
struct request;

enum judge_who { JUDGE_LOCAL, JUDGE_UPSTREAM, JUDGE_COUNT };

struct judge_counts {
    uint64_t yes[JUDGE_COUNT], no[JUDGE_COUNT];
    uint64_t unsure[JUDGE_COUNT]; /* between judge.sure and its opposite: nothing follows */
    uint64_t failed[JUDGE_COUNT]; /* no answer in time, or none of the two words */
    uint64_t agreed[JUDGE_COUNT], disagreed[JUDGE_COUNT]; /* with what somebody reported */
    uint64_t full, over_budget, kept_private;             /* passed over */
    uint64_t removed; /* entries whose answer was said to be none */
    double usd;       /* by price, of what upstreams were asked; in the ledger, too */
    double cpu_s;     /* of the model here */
};

const char *judge_name(enum judge_who who);

enum status judge_open(struct proxy *p, struct judge **out) MUST_CHECK;
/* Nothing begins from now on, and what is under way ends soon: proxy->lessons counts it, or it
 * is a request. */
void judge_stop(struct judge *j);
/* After that end. NULL is fine. */
void judge_close(struct judge *j);

/* The request has ended: is its decision one to be judged? */
void judge_decision(struct request *r);
/* Its answer was stored as `e`. */
void judge_stored(struct request *r, const struct answer *a, const struct entry *e);
/* Somebody says what is true of a decision that a judge has spoken of, too. */
void judge_reported(struct judge *j, const struct journal_item *item, bool right);

const struct judge_counts *judge_counts(const struct judge *j);

#endif
