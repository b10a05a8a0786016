/* Candidates -> guards -> probability -> policy. */
#include "cache/decision.h"

#include <math.h>

#include "cache/guard.h"

/* P(same) is a logistic of the cosine and of how alike the wording is; fitted on intent
 * data whose licence permits it (bench/quality). A guard that fires says that they
 * differ whatever the cosine. */
#define WEIGHT_COSINE  38.0
#define CENTRE_COSINE  0.855
#define WEIGHT_OVERLAP 1.2
#define CENTRE_OVERLAP 0.5

static double probability(float cosine, double overlap)
{
    double z = WEIGHT_COSINE * ((double)cosine - CENTRE_COSINE) +
               WEIGHT_OVERLAP * (overlap - CENTRE_OVERLAP);

    return 1 / (1 + exp(-z));
}

double decision_probability(float cosine, bool guard_fired)
{
    return guard_fired ? 0 : probability(cosine, CENTRE_OVERLAP);
}

static void judge(struct span question, const struct decision_candidate *c,
                  const struct decision_policy *policy, struct decision *d)
{
    struct guard_outcome g;

    *d = (struct decision){.key = c->key,
                           .has_candidate = true,
                           .similarity = c->similarity,
                           .threshold = policy->threshold,
                           .reason = "below_floor"};
    if (c->similarity < policy->floor)
        return;
    guard_check(question, c->question, &g);
    if (g.fired != NULL) {
        d->reason = g.fired;
        return;
    }
    d->probability = probability(c->similarity, g.overlap);
    d->hit = d->probability >= policy->threshold;
    d->reason = d->hit ? "hit" : "below_threshold";
}

void decision_make(struct span question, const struct decision_candidate *c, size_t n,
                   const struct decision_policy *policy, struct decision *out)
{
    struct decision d;

    *out = (struct decision){.threshold = policy->threshold, .reason = "no_candidate"};
    for (size_t i = 0; i < n; i++) {
        judge(question, &c[i], policy, &d);
        if (i == 0 || d.hit)
            *out = d;
        if (d.hit)
            return;
    }
}

const char *const *decision_reasons(void)
{
    return guard_reasons();
}
