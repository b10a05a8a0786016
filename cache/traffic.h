/* What kind of questions come in a partition, as far as it can be seen without knowing any
 * answer: how often a guard refuses one of the stored questions that are near a new one. Where
 * it often does, questions are made of one frame and differ in what is put into it (a city, a
 * date), and what the guards let pass is the more often one that they have missed. Where it
 * hardly ever does, near questions are the same in other words, and a pair may be believed
 * with less.
 *
 * So the log-odds of P(same) are moved against the log-odds of that share, a beta-binomial
 * estimate (prior TRAFFIC_USUAL with the weight of TRAFFIC_PRIOR look-ups), within fixed
 * bounds. A partition that is new, or of which little was seen, is not moved.
 *
 * Two counts a partition, of the last one or two thousand look-ups; of partitions a fixed
 * number, of eight that share a place the least recently used goes. In memory only: after a
 * restart it is seen anew, within some dozens of look-ups. Threads: any. */
#ifndef CACHE_TRAFFIC_H
#define CACHE_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"

#define TRAFFIC_NEAR    0.75F /* cosine from which on a stored question is near */
#define TRAFFIC_LOOSER  0.25  /* log-odds, at most */
#define TRAFFIC_TIGHTER 0.5

/* Of one partition. */
struct traffic_counts {
    uint32_t lookups; /* with something near */
    uint32_t refused; /* of which a guard refused something near */
};

struct traffic;

struct traffic_stats {
    uint64_t partitions;
    uint64_t looser_total, stricter_total; /* hits, and refusals, that were none unmoved */
};

/* ST_NOMEM. partitions_max 0: ST_INVALID. */
enum status traffic_open(uint32_t partitions_max, struct traffic **out) MUST_CHECK;
void traffic_close(struct traffic *t);

/* What was seen of a partition; zeros: nothing. */
struct traffic_counts traffic_find(struct traffic *t, const struct digest *partition);
/* A look-up with something near it. */
void traffic_note(struct traffic *t, const struct digest *partition, bool refused);
/* A decision that came out otherwise than it would have, unmoved. */
void traffic_turned(struct traffic *t, bool hit);
void traffic_stats(struct traffic *t, struct traffic_stats *out);

/* What is added to the log-odds of P(same): -TRAFFIC_TIGHTER..TRAFFIC_LOOSER. Pure. */
double traffic_shift(const struct traffic_counts *c);
/* A probability, its log-odds moved. Pure. */
double traffic_moved(double p, double by);
/* One more, in counts. Pure. */
void traffic_count(struct traffic_counts *c, bool refused);

#endif
