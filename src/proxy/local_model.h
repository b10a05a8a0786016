/* The built-in model: a pool of workers with a decoder session each. Text comes
 * back to the loop as it is made. */
#ifndef PROXY_LOCAL_MODEL_H
#define PROXY_LOCAL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct local_job;
struct local_model;
struct loop;

struct local_model_options {
    const char *name;          /* as clients name it: "smollm2-135m-instruct"; copied */
    const char *chat_template; /* as configured, may be empty: shapes what it answers */
    unsigned workers;
    unsigned threads; /* of one session */
    unsigned queue_max;
    uint32_t max_tokens; /* of one answer */
};

struct local_events {
    /* The next piece of the answer. */
    void (*on_text)(void *owner, struct span text);
    /* Last event, exactly once; the job is gone after it. ST_OK; ST_LIMIT: the
     * prompt does not fit; ST_CANCELED. */
    void (*on_end)(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us);
};

enum status local_model_open(struct decoder *decoder, const struct local_model_options *o,
                             struct local_model **out) MUST_CHECK;
/* Joins the workers; jobs in flight still get their on_end from the loop. */
void local_model_close(struct local_model *m);

bool local_model_is(const struct local_model *m, struct span name);
struct span local_model_name(const struct local_model *m);
/* Who answers, for identities: "local:", the weights' id, the chat template. */
struct span local_model_identity(const struct local_model *m);
uint32_t local_model_max_tokens(const struct local_model *m);
void local_model_info(const struct local_model *m, struct model_info *out);
unsigned local_model_queued(struct local_model *m);

/* `turns` and the stop strings must stay until on_end. ST_OVERLOAD: queue full. */
enum status local_model_start(struct local_model *m, struct loop *home,
                              const struct decoder_turn *turns, size_t n,
                              const struct decoder_params *params,
                              const struct local_events *events, void *owner,
                              struct local_job **out) MUST_CHECK;
/* Stops within a token; on_end comes later with ST_CANCELED. */
void local_model_cancel(struct local_job *job);

#endif
