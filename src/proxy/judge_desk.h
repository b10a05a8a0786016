/* What the parts of the judge share: the case at hand, and who is asked. Loop thread only. */
#ifndef PROXY_JUDGE_DESK_H
#define PROXY_JUDGE_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/list.h"
#include "cache/decision.h"
#include "proxy/judge.h"
#include "proxy/judge_case.h"
#include "proxy/local_models.h"
#include "rt/timer.h"

struct local_job;

struct judge_job {
    struct list_node link; /* in the queue */
    enum judge_who who;
    struct judge_case what;         /* its texts are in the same block */
    uint64_t decision;              /* JUDGE_SAME: in the journal */
    struct decision_lesson lesson;  /* likewise */
    struct digest partition, scope; /* whose it is */
    struct digest key;              /* JUDGE_ANSWERS: the entry */
};

struct judge {
    struct proxy *proxy;    /* borrowed */
    struct list_node queue; /* owned jobs, the oldest first */
    size_t queued;
    struct judge_job *job; /* owned: the one that is being judged; NULL: none */
    struct timer deadline; /* of it */
    bool stopped, running; /* running: the queue is being looked through */
    struct judge_counts counts;

    /* judge_local.c */
    struct arena texts;
    struct local_use use;
    struct local_job *local; /* NULL when none is under way */

    /* judge_upstream.c */
    struct request *request; /* while it is asked */
    uint64_t minute_us;      /* when the budget began */
    uint64_t asked;          /* since */
};

#define JUDGE_FAILED (-1.0)

/* P(yes) of the case at hand, or JUDGE_FAILED: from callbacks only, never within the call that
 * asked. The next one is taken. */
void judge_verdict(struct judge *j, double yes);

/* Asks for a verdict of j->job; false: there will be none. */
bool judge_local_ask(struct judge *j) MUST_CHECK;
/* What is under way or waited for ends: at once without a word, or later with JUDGE_FAILED;
 * true: later. */
bool judge_local_cancel(struct judge *j);

bool judge_upstream_ask(struct judge *j) MUST_CHECK;
bool judge_upstream_cancel(struct judge *j);

#endif
