/* The guards: each a file of its name, which says what it sees and what it lets pass. Of a
 * pair, `a` is what is asked and `b` what is stored; only `extra` makes a difference there. A
 * guard is true when two questions that are alike can not have the same answer, and says
 * by which word of each: guard.c then asks whether the rest is alike enough. */
#ifndef CACHE_GUARD_LIST_H
#define CACHE_GUARD_LIST_H

#include "cache/guard_pair.h"

typedef bool guard_fn(const struct guard_pair *p, struct guard_conflict *where);

/* How alike the rest of the wording must be (weighted Jaccard without the words the guard
 * names). */
#define GUARD_GATE_NONE  0.0
#define GUARD_GATE_HALF  0.5
#define GUARD_GATE_NEAR  0.75
#define GUARD_GATE_CLOSE 0.8
#define GUARD_GATE_TIGHT 0.85
#define GUARD_GATE_EQUAL 0.9

/* What P(same) loses in log-odds when it is heard: some are seldom wrong when they speak,
 * others speak of a detail that may not matter (docs/decisions.md has how often). */
#define GUARD_DOUBT      2.5
#define GUARD_DOUBT_SURE 4.0
#define GUARD_DOUBT_SOME 1.0

/* X(name, heard, refuses, doubt), in the order in which they are asked. From `heard` on a
 * conflict makes P(same) less likely; from `refuses` on there is no hit, whatever P says. The
 * first that refuses is the reason. Between the two the wording is so different that it may
 * well be another way to ask the same. */
#define GUARD_LIST(X)                                                                          \
    X(number, GUARD_GATE_NONE, GUARD_GATE_NEAR, GUARD_DOUBT_SURE)  /* 3 / 5 */                 \
    X(amount, GUARD_GATE_NEAR, GUARD_GATE_EQUAL, GUARD_DOUBT)      /* in 2 days / - */         \
    X(quote, GUARD_GATE_NONE, GUARD_GATE_NONE, GUARD_DOUBT)        /* `reset` / `revert` */    \
    X(unit, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)         /* in km / in miles */      \
    X(negation, GUARD_GATE_NEAR, GUARD_GATE_TIGHT, GUARD_DOUBT)    /* can / can not */         \
    X(antonym, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)      /* open / closed */         \
    X(kind, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)         /* my knee / my hip */      \
    X(task, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)         /* translate / list */      \
    X(time, GUARD_GATE_HALF, GUARD_GATE_HALF, GUARD_DOUBT)         /* May / June */            \
    X(moment, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT_SOME)  /* tomorrow / - */          \
    X(direction, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)    /* from A to B / to A */    \
    X(swapped, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT)      /* A owns B / B, A */       \
    X(name, GUARD_GATE_NEAR, GUARD_GATE_CLOSE, GUARD_DOUBT)        /* France / Germany */      \
    X(degree, GUARD_GATE_NEAR, GUARD_GATE_NEAR, GUARD_DOUBT_SOME)  /* faster / fastest */      \
    X(modifier, GUARD_GATE_NEAR, GUARD_GATE_EQUAL, GUARD_DOUBT)    /* a plan / a bad plan */   \
    X(quantifier, GUARD_GATE_TIGHT, GUARD_GATE_EQUAL, GUARD_DOUBT) /* all / some */            \
    X(either, GUARD_GATE_EQUAL, GUARD_GATE_EQUAL, GUARD_DOUBT)     /* and / or */              \
    X(question, GUARD_GATE_EQUAL, GUARD_GATE_EQUAL, GUARD_DOUBT_SOME) /* who / when */         \
    X(tense, GUARD_GATE_EQUAL, GUARD_GATE_EQUAL, GUARD_DOUBT_SOME)    /* did / will */         \
    X(person, GUARD_GATE_EQUAL, GUARD_GATE_EQUAL, GUARD_DOUBT_SOME)   /* my / your */          \
    X(language, GUARD_GATE_NONE, GUARD_GATE_NONE, GUARD_DOUBT)        /* how / comment */      \
    X(length, GUARD_GATE_NONE, GUARD_GATE_NONE, GUARD_DOUBT)          /* a line / a page */    \
    X(extra, GUARD_GATE_NONE, GUARD_GATE_NONE, GUARD_DOUBT_SOME)      /* …? Say that … */

#define GUARD_DECLARE(name, heard, refuses, doubt) guard_fn guard_##name;
GUARD_LIST(GUARD_DECLARE)

#define GUARD_ONE(name, heard, refuses, doubt) +1
enum { GUARD_COUNT = 0 GUARD_LIST(GUARD_ONE) };

#endif
