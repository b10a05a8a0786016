/* Pairs of questions that somebody labelled, for `ibid tune`. */
#ifndef CLI_TUNE_PAIRS_H
#define CLI_TUNE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

#define TUNE_PAIRS_MAX 1000000

struct tune_pair {
    struct span a, b;
    bool same;
    float similarity;
    double probability; /* P(same), guards left out */
    const char *guard;  /* that refuses it; NULL: none. Static. */
};

struct tune_pairs {
    struct tune_pair *pair; /* owned */
    size_t count;
    size_t room;
    struct arena texts; /* owned */
};

/* JSON lines: {"a": …, "b": …, "same": true|false|1|0}; "q1" and "q2" stand for "a" and "b".
 * Other members are not looked at. In a file whose name ends in .csv: columns of these names
 * (tune_csv.h). False: line and trouble were said on stderr. */
bool tune_pairs_read(const char *path, struct tune_pairs *out) MUST_CHECK;
/* One that was measured elsewhere, into what was {0} at first. False: out of memory, or there
 * are too many. */
bool tune_pairs_add(struct tune_pairs *p, const struct tune_pair *pair) MUST_CHECK;
void tune_pairs_release(struct tune_pairs *p);

#endif
