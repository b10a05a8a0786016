/* A model that is loaded: a pool of workers with a decoder session each, which writes some
 * answers at a time: they join and leave between its passes. Text comes back to the loop as it
 * is made. local_models.h has all models, and their names. */
#ifndef PROXY_LOCAL_MODEL_H
#define PROXY_LOCAL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "rt/work.h"

struct local_job;
struct local_model;
struct loop;

struct local_model_options {
    unsigned workers;
    unsigned threads;   /* of one session */
    unsigned sequences; /* answers that a session writes at a time, as the decoder was opened */
    unsigned queue_max;
    enum work_rank rank;           /* of its threads */
    double cpu_share;              /* of the time that they may compute, up to 1 */
    uint32_t max_tokens;           /* of one answer */
    const struct decoder *guesser; /* a smaller model of the same vocabulary, opened alike;
                                      borrowed. NULL: none */
};

struct local_request {
    const struct decoder_turn *turns; /* stays, as the stop strings do, until on_end */
    size_t turn_count;
    bool continues; /* as in struct decoder_request */
    bool count;     /* nothing is written: the result's prompt_tokens are what is asked for */
    const struct decoder_adapter *adapter; /* NULL: the model itself; stays until on_end */
    struct decoder_params params;
    struct span
        like; /* the answer may be like this text: its words are guessed; stays, or empty */
    const struct decoder_schema *schema; /* likewise; NULL: any text */
    bool confidence;                     /* is wanted in the result */
    const struct span *words;            /* as in struct decoder_request; stay */
    size_t word_count;
    /* Who may share what was computed for the prompt: its keys and values are taken again for
     * requests of the same scope only, or times would tell others what was asked. */
    const struct digest *scope;  /* read by local_model_start() */
    const struct digest *tenant; /* likewise; tenants take turns */
};

struct local_events {
    /* The next piece of the answer. */
    void (*on_text)(void *owner, struct span text);
    /* Last event, exactly once; the job is gone after it. ST_OK; ST_LIMIT: the
     * prompt does not fit; ST_OVERLOAD: it made room in a full queue; ST_CANCELED. */
    void (*on_end)(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us);
};

enum status local_model_open(struct decoder *decoder, const struct local_model_options *o,
                             struct local_model **out) MUST_CHECK;
/* Joins the workers; jobs in flight still get their on_end from the loop. */
void local_model_close(struct local_model *m);

uint32_t local_model_max_tokens(const struct local_model *m);
/* Can it fill in what stands between two texts? */
bool local_model_fills(const struct local_model *m);

struct local_counts {
    uint64_t queued, running;
    uint64_t pushed_out;            /* jobs that made room for another tenant's */
    struct decoder_counts sessions; /* all together */
};

/* Any thread. */
void local_model_counts(struct local_model *m, struct local_counts *out);

/* ST_OVERLOAD: queue full. */
enum status local_model_start(struct local_model *m, struct loop *home,
                              const struct local_request *q, const struct local_events *events,
                              void *owner, struct local_job **out) MUST_CHECK;
/* Stops within a pass; on_end comes later with ST_CANCELED. */
void local_model_cancel(struct local_job *job);

#endif
