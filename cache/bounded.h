/* The policy `bounded`: the operator says which share of wrong answers is tolerable, and the
 * policy serves what it can within that. A partition's own traffic teaches it.
 *
 * Candidates whose answers say the same form a group. Of each group: the log-odds of its
 * nearest member's P(same), how many others near the question support it, what speaks for
 * other groups, how often it was right and wrong for other questions near it, and whether it
 * was answered with of late (where questions come in bursts, one that was not is the more
 * likely wrong). A logistic regression, a partition each, makes a
 * probability of these; a new partition starts where all traffic has come to. Risk = 1 - the
 * lower end of that probability, times what labels near it have shown to be missing.
 * Risks of what would be served are summed up, and the threshold is the one that keeps their
 * sum within the share of all requests, exact hits included, that is tolerable.
 *
 * Where labels turn out wrong more often than was expected, traffic has changed
 * (cache/drift.h), and a part of what was learned is given up.
 *
 * Labels are free: an answer that comes for a question with near neighbours is compared with
 * theirs. A small share of hits is asked anyway ("explored"), else nothing would be known
 * of them.
 *
 * Of a partition it keeps a fixed number of numbers, of an answer that joined a group, or was
 * compared, four;
 * both are bounded, the least recently used go. Threads: any. */
#ifndef CACHE_BOUNDED_H
#define CACHE_BOUNDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"
#include "cache/decision.h"
#include "cache/drift.h"
#include "cache/logistic.h"

#define BOUNDED_BINS   100
#define BOUNDED_RECENT 32 /* groups; of 16 to 64 the middle */

struct bounded;

struct bounded_options {
    double error_max;        /* wrong answers a request, 0..1 */
    double explore;          /* share of hits that are asked anyway, 0..1; riskier ones more */
    uint32_t partitions_max; /* with a model of their own */
    uint32_t groups_max;     /* answers that joined a group, and groups that were tried */
    const char *data_dir;    /* NULL or empty: nothing is kept */
    uint64_t seed;           /* of what is explored */
};

/* What was learned of one partition, or of all. */
struct bounded_model {
    struct digest partition;
    struct logistic logistic;
    double risk[BOUNDED_BINS];              /* sum of risks, by 1 - risk; fades */
    double recent;                          /* requests they are of; fades */
    double requests, spent;                 /* requests, and risk served; fade more slowly */
    double found, expected;                 /* wrong among labels of little risk */
    struct drift drift;                     /* of the same labels */
    uint64_t recent_groups[BOUNDED_RECENT]; /* served or stored last; a ring */
    uint64_t recent_at;
    uint64_t requests_total, served_total, explored_total, same_total, other_total;
    uint64_t drifts_total; /* how often its traffic changed so that it was wrong more often */
    uint64_t used;         /* a stamp: the least goes first */
};

struct bounded_stats {
    uint64_t partitions, groups;
    struct bounded_model all;
};

/* Reads data_dir/bounded; a file that is not whole or of another version is told in the log
 * and left behind. ST_NOMEM. */
enum status bounded_open(const struct bounded_options *o, struct bounded **out) MUST_CHECK;
/* Writes it. */
/* Its file belongs to another process from now on, or to this one again: nothing is written
 * between. */
void bounded_lend_file(struct bounded *b, bool lent);
void bounded_close(struct bounded *b);
/* Writes data_dir/bounded when something was learned since. ST_UNAVAILABLE: told in the
 * log. */
enum status bounded_save(struct bounded *b) MUST_CHECK;

/* Chooses among candidates that were judged (probability and reason set; hit: none has been
 * chosen yet), and counts the request. least: a probability that a caller asks for, 0: none.
 * Sets out's hit, key, similarity, probability, threshold, reason and lesson. */
void bounded_decide(struct bounded *b, const struct digest *partition,
                    struct decision_candidate *c, size_t n, double least, struct decision *out);
/* A request of this partition that an exact entry answered. */
void bounded_count(struct bounded *b, const struct digest *partition);

/* Whether what the decision chose, or would have chosen, was the same. */
void bounded_learn(struct bounded *b, const struct digest *partition,
                   const struct decision_lesson *lesson, bool same);
/* The answer of `key` says what that of `with` says. */
void bounded_join(struct bounded *b, const struct digest *key, const struct digest *with);

/* The answer of `key` is stored; after bounded_join(). */
void bounded_stored(struct bounded *b, const struct digest *partition,
                    const struct digest *key);

void bounded_stats(struct bounded *b, struct bounded_stats *out);
/* Copies up to n models, in no order; how many. */
size_t bounded_models(struct bounded *b, struct bounded_model *out, size_t n);
/* The probability from which on a candidate of the partition would be served now. */
double bounded_threshold(const struct bounded *b, const struct bounded_model *m);

#endif
