/* Candidates -> guards -> probability -> policy. */
#include "cache/decision.h"

#include <math.h>

#include "cache/calibration.h"
#include "cache/guard.h"
#include "cache/guard_list.h"
#include "cache/refusals.h"

/* P(same): a logistic, fitted by bench/quality/fit.py on intent and slot data whose
 * licence permits it, with weights set by hand where the comment says so:
 * docs/models/verifier.md. */
#define INTERCEPT     (-17.72)
#define WEIGHT_COSINE 19.28
/* Near 1, each step says more. */
#define NEAR        0.96
#define WEIGHT_NEAR 21.8
/* At the same cosine, questions of which more words are exchanged are the better
 * paraphrases: where the wording is nearly the same, the little that lowers the cosine is
 * what decides. */
#define WEIGHT_EXCHANGED 0.14
#define EXCHANGED_MAX    3.0
/* The more both say, the less likely is it that what differs is the matter. By hand: with more
 * of it, pairs of short search words and of open questions are put in a worse order. Not
 * where one word stands for one other: there it is the matter, however long the frame, and
 * that alone costs such a pair up to 1.25. */
#define WEIGHT_COMMON 0.25
#define COMMON_MAX    5.0
/* Where "how do I" stands for "is it possible to", that has lowered the cosine, not what is
 * asked about. By hand. */
#define WEIGHT_STOPS 0.45
#define STOPS_MAX    1.5
/* One word in place of another, or one more, is often all that matters ("a bad actor").
 * By hand; the fit: -.93 and -.29. */
#define WEIGHT_SUBSTITUTED (-0.25)
#define WEIGHT_ADDED       (-0.34)
/* Where both have more than one of their own, the question is put anew. By hand. */
#define WEIGHT_REWORDED 0.1
/* Longer ones are the surer: in a short question a single word turns the meaning. By hand,
 * 6 tenths of what the fit says: more would put paraphrases as short search words behind. */
#define WEIGHT_WORD 0.15
#define WORDS_MAX   15
/* A number written in another way ("3", "three") is taken for the same, with less
 * confidence. By hand: the fit would forbid it, because its slot data compares letters. */
#define WEIGHT_RESPELLED (-3.8)
/* Where all words that carry meaning are the same, a mark of punctuation or another "can
 * you tell me" may have lowered the cosine. By hand. */
#define WEIGHT_BARE 0.89
/* Each has a name of its own: other wording may be no more than that. By hand: the data of
 * the fit has hardly any capitals. The guard "name" is surer, and hears only like wording. */
#define WEIGHT_NAMES (-1.0)
/* Only one says that something goes wrong: the other wants to know how it is done. By hand. */
#define WEIGHT_TROUBLE (-0.5)

/* A guard names a word or two: in a text of more words than DOUBT_WORDS these are the smaller
 * part, by their share's square. */
#define DOUBT_WORDS 15.0

static double doubt_of(const struct guard_outcome *g)
{
    double share = g->words > DOUBT_WORDS ? DOUBT_WORDS / g->words : 1;

    return g->doubt * share * share;
}

static double least(double x, double most)
{
    return x < most ? x : most;
}

double decision_probability(float cosine, const struct guard_outcome *g)
{
    double near = (double)cosine > NEAR ? (double)cosine - NEAR : 0;
    double z = INTERCEPT + WEIGHT_COSINE * (double)cosine + WEIGHT_NEAR * near +
               WEIGHT_EXCHANGED * least(g->exchanged, EXCHANGED_MAX) +
               WEIGHT_COMMON * (g->substituted ? 0 : least(g->common, COMMON_MAX)) +
               WEIGHT_STOPS * least(g->stops, STOPS_MAX) + WEIGHT_SUBSTITUTED * g->substituted +
               WEIGHT_ADDED * g->added + WEIGHT_REWORDED * g->reworded +
               WEIGHT_WORD * least(g->words, WORDS_MAX) +
               WEIGHT_RESPELLED * (g->respelled > 0) + WEIGHT_BARE * g->bare +
               WEIGHT_NAMES * g->names + WEIGHT_TROUBLE * g->trouble - doubt_of(g);

    return 1 / (1 + exp(-calibration_apply(z)));
}

/* Somebody said that these two are not the same. */
static bool is_reported(struct span question, const struct decision_candidate *c,
                        const struct decision_policy *policy)
{
    struct digest pair;

    if (policy->refusals == NULL || refusals_count(policy->refusals) == 0)
        return false;
    refusals_pair(policy->partition, question, c->question, &pair);
    return refusals_have(policy->refusals, &pair);
}

/* True when it passes. moved: what is added to the log-odds. */
static bool judge(struct span question, struct guard_text *read, double moved,
                  const struct decision_policy *policy, struct decision_candidate *c)
{
    struct guard_outcome g;

    c->probability = 0;
    c->refused = false;
    c->reason = "below_floor";
    if (c->similarity < policy->floor)
        return false;
    guard_check_read(read, c->question, &g);
    c->probability = traffic_moved(decision_probability(c->similarity, &g), moved);
    c->reason = g.fired;
    c->refused = g.fired != NULL;
    if (g.fired != NULL)
        return false;
    c->reason = "below_threshold";
    if (c->probability < policy->threshold)
        return false;
    c->reason = "pool";
    if (policy->strangers && g.enclosed)
        return false;
    c->reason = "reported";
    if (is_reported(question, c, policy))
        return false;
    c->reason = "hit";
    return true;
}

/* Strangers could teach a partition to be looser. */
static double moved_by_traffic(const struct decision_policy *policy)
{
    double by = traffic_shift(&policy->traffic);

    return policy->strangers && by > 0 ? 0 : by;
}

static void report(const struct decision_candidate *c, bool hit, struct decision *out)
{
    out->hit = hit;
    out->key = c->key;
    out->has_candidate = true;
    out->similarity = c->similarity;
    out->probability = c->probability;
    out->reason = c->reason;
}

void decision_make(struct span question, struct decision_candidate *c, size_t n,
                   const struct decision_policy *policy, struct decision *out)
{
    struct guard_text text;
    bool hit = false;

    *out = (struct decision){.threshold = policy->threshold,
                             .reason = "no_candidate",
                             .moved = moved_by_traffic(policy),
                             .traffic = policy->traffic};
    if (n == 0)
        return;
    guard_text_read(question, &text);
    for (size_t i = 0; i < n; i++) {
        c[i].reason = NULL;
        c[i].refused = false;
    }
    for (size_t i = 0; i < n && !hit; i++) {
        hit = judge(question, &text, out->moved + (i > 0 ? DECISION_OVERTAKEN : 0), policy,
                    &c[i]);
        if (i == 0 || hit)
            report(&c[i], hit, out);
    }
}

void decision_judge(struct span question, struct decision_candidate *c, size_t n,
                    const struct decision_policy *policy)
{
    struct guard_text text;

    guard_text_read(question, &text);
    for (size_t i = 0; i < n; i++)
        (void)judge(question, &text, 0, policy, &c[i]);
}

const char *const *decision_reasons(void)
{
    static const char *const reasons[] = {
        "hit",
        "no_candidate",
        "below_floor",
        "below_threshold",
        "pool",
        "reported",
        "explored",
#define NAME(name, heard, refuses, doubt) #name,
        GUARD_LIST(NAME)
#undef NAME
            NULL,
    };

    return reasons;
}
