/* What the admin listener does on request, each a function that answers its call. */
#ifndef ADMIN_ACTIONS_H
#define ADMIN_ACTIONS_H

struct admin_call;

/* GET /admin/v1/explain/ID: a decision that the journal holds, every candidate and what
 * every guard says of it. */
void actions_explain(struct admin_call *c);
/* GET /admin/v1/decisions?after=N: those of which a fresh answer said whether their candidate
 * is right; no texts. */
void actions_decisions(struct admin_call *c);
/* POST /admin/v1/feedback {"request": ID, "verdict": "wrong"|"right", "evict": false}: of a
 * hit, or of an answer of a model on this machine (trial_report()). */
void actions_feedback(struct admin_call *c);

#endif
