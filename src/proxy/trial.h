/* Small first: an answer of the built-in model that ibid chose is looked at before it is given
 * out. Is it good enough, or is the upstream asked? And what came of it, where that was. Loop
 * thread only. */
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
struct cascade;
struct config;
struct decoder_result;
struct request;
struct trial;

/* One answer, of a request; in its arena. */
struct attempt {
    double signs[SIGNS_COUNT];
    struct span said;
};

struct trial_counts {
    uint64_t right, wrong, unknown;   /* what the upstream's answer said of ours */
    uint64_t unrecorded;              /* of these: could not be written down */
    uint64_t votes, samples, changed; /* vote.h; changed: the first answer was not the one */
    struct beside_counts hedges;
};

/* Do the settings want answers looked at? */
bool trial_wanted(const struct config *c);

/* `default_text`: the calibration that ships. *out is NULL where trial_wanted() is false. `why`
 * is said on failure, and on ST_OK when it is not empty: what will not be as the settings want
 * it. */
enum status trial_open(const struct config *c, struct span default_text, struct trial **out,
                       char *why, size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void trial_close(struct trial *t);

/* The name of the built-in model whose answers they are: is the calibration another's? Then
 * `why` says so. */
void trial_check_model(const struct trial *t, struct span model, char *why, size_t why_cap);

/* Is this request's answer looked at? */
bool trial_on(const struct request *r);

/* Why the answer, which is in r->recorded, is not good enough to be given out; NULL: it is.
 * Sets r->sure and r->attempt. */
const char *trial_doubt(struct request *r, const struct decoder_result *result);

/* The upstream's answer is there, whole: what it says about ours is written down. */
void trial_compare(struct request *r, const struct answer *a);

/* NULL: they are as they were sampled, the chance of a token on the average. */
const struct cascade *trial_cascade(const struct trial *t);
double trial_line(const struct trial *t);
/* Others count into it, too. */
struct trial_counts *trial_counts(struct trial *t);

#endif
