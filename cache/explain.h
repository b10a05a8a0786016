/* Why two questions are taken for the same, or not: every guard asked, the words that
 * differ, P(same). What the serving path leaves out, because it stops at the first reason.
 * Pure; any thread. */
#ifndef CACHE_EXPLAIN_H
#define CACHE_EXPLAIN_H

#include <stdbool.h>

#include "base/json_writer.h"
#include "base/span.h"
#include "cache/decision.h"
#include "cache/guard.h"

/* Some 60 KB, and points into itself: it is not to be copied. */
struct explanation {
    struct guard_text a, b; /* read, with the partners of their words */
    struct guard_outcome outcome;
    struct guard_report guards[GUARD_COUNT];
    double unguarded; /* P(same) if no guard had fired */
};

void explain_pair(struct span a, struct span b, float similarity, struct explanation *out);

/* A word that only this question has and that carries meaning, from *at on, which goes
 * beyond it. False: none is left. */
bool explain_next_word(const struct guard_text *t, size_t *at, struct span *word);

/* Members of an object: "overlap", "common", "stops", "exchanged", "respelled", "bare",
 * "unguarded", "guards" by name; and, when `words`, "only_a" and "only_b", which are what
 * somebody wrote. */
void explain_write(struct json_writer *w, const struct explanation *e, bool words);

#endif
