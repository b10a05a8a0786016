/* Small first: an answer of a model on this machine that ibid chose is looked at before it is
 * given out. Is it good enough, or is the next one asked, or the upstream? And what came of it,
 * where that was. Loop thread only. */
#ifndef PROXY_TRIAL_H
#define PROXY_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "proxy/beside.h"
#include "router/signs.h"

struct answer;
struct config;
struct decoder_result;
struct request;
struct trial;

/* One answer, of a request; in its arena. */
struct attempt {
    double signs[SIGNS_COUNT];
    struct span said;
    uint64_t id; /* by which it can be reported on; JOURNAL_NONE: it can not */
};

struct trial_counts {
    uint64_t right, wrong, unknown;   /* what the upstream's answer said of ours, or a report */
    uint64_t unrecorded;              /* of these: could not be written down */
    uint64_t votes, samples, changed; /* vote.h; changed: the first answer was not the one */
    struct beside_counts hedges;
};

/* Do the settings want answers looked at? */
bool trial_wanted(const struct config *c);

/* What of the settings is opened here stays as it is: route.outcomes_file; the others are those
 * of each request. `why` is not empty: what will not be as the settings want it. ST_NOMEM. */
enum status trial_open(const struct config *c, struct trial **out, char *why,
                       size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void trial_close(struct trial *t);

/* Would an answer of the model that the request is at now be looked at, if somebody else can be
 * asked in its place? */
bool trial_can(const struct request *r);

/* … and is it? Settled before it begins. */
bool trial_on(const struct request *r);

/* Why the answer, which is in r->recorded, is not good enough to be given out; NULL: it is.
 * Sets r->sure and r->attempt. */
const char *trial_doubt(struct request *r, const struct decoder_result *result);

/* It is good enough: is the upstream asked all the same, to know whether it is (route.explore)?
 */
bool trial_explores(struct request *r);

/* The upstream's answer is there, whole: what it says about ours is written down. */
void trial_compare(struct request *r, const struct answer *a);

/* Somebody says of an answer that was given out whether it was right: that is written down,
 * too. false: it is not known any more, or nothing is written down. */
bool trial_report(struct trial *t, uint64_t id, bool right) MUST_CHECK;

/* Others count into it, too. */
struct trial_counts *trial_counts(struct trial *t);

#endif
