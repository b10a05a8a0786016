/* All models on this machine: what they are called, which of them are loaded, and who waits for
 * one. A model is read when the first request wants it (or at the start), by a thread of its
 * own; within local.loaded_max_bytes the least recently used one that writes no answer makes
 * room. Where all are busy, the one that was used the longest ago takes no more requests until
 * it has gone and come again: two models that do not fit together take turns.
 *
 * Loop thread only, but for local_models_open(), which comes before it runs. */
#ifndef PROXY_LOCAL_MODELS_H
#define PROXY_LOCAL_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "proxy/local_model.h"

struct chat_request;
struct config;
struct config_model;
struct local_models;
struct model_speed;
struct loop;

/* Looks at every model, and loads those that are to be there from the start. *out is NULL when
 * the settings name none. What is wrong with one is told by local_models_state(). */
enum status local_models_open(struct loop *loop, const struct config *c,
                              struct local_models **out) MUST_CHECK;
/* No model is in use, and nobody waits for one. `closed` comes once, later; all are gone then.
 * A model that is being read is read to its end first. */
void local_models_close(struct local_models *m, void (*closed)(void *owner), void *owner);

/* --- names: voices are the models and their adapters, numbered through. Of an adapter a reload
 * may put another one in its place, and use its number again, unless somebody holds it.
 * --------------
 */

/* A model's name, an adapter's, or MODEL:ADAPTER. false: none of them; *voice is 0, which is
 * the first model's. */
bool local_models_find(const struct local_models *m, struct span name, size_t *voice);
size_t local_models_voices(const struct local_models *m);
/* false: a reload took it out, or the number is not used. */
bool local_models_is_listed(const struct local_models *m, size_t voice);
/* It stays what it is; back comes its number. */
size_t local_models_hold(struct local_models *m, size_t voice);
void local_models_drop(struct local_models *m, size_t voice);
struct span local_models_name(const struct local_models *m, size_t voice);
/* The model that an adapter is one of; empty: it is no adapter. */
struct span local_models_parent(const struct local_models *m, size_t voice);
/* Who answers, for identities: "local:", the weights' id, the chat template, the adapter's.
 * Empty: not known, as long as the file is missing or broken. */
struct span local_models_identity(const struct local_models *m, size_t voice);
/* Zeros for one that is missing or broken. */
void local_models_info(const struct local_models *m, size_t voice, struct model_info *out);

size_t local_models_count(const struct local_models *m);
size_t local_models_of(const struct local_models *m, size_t voice);
/* Of local_request, of a model that is there; stays as long as the voice is held. false: it was
 * taken out, and its model has gone and come since. */
bool local_models_adapter(const struct local_models *m, size_t voice,
                          const struct decoder_adapter **out) MUST_CHECK;
/* The model's own voice. */
size_t local_models_voice(const struct local_models *m, size_t model);
/* Bit i: the i-th can not be had, as far as is known. One that failed is looked at again after
 * a while, beside. */
uint32_t local_models_absent(struct local_models *m);

/* --- use -----------------------------------------------------------------------------------
 */

struct local_use;

/* Later, and once: use->model is there, or NULL: it can not be had. */
typedef void local_use_fn(struct local_use *use);

/* Embed in who uses a model; zeros at first. */
struct local_use {
    struct local_model *model; /* while it is there; borrowed */
    size_t index;
    local_use_fn *ready;
    struct list_node link; /* among those who wait */
    uint64_t since_us;
    bool waits;
    bool patient; /* set by who uses it: it is told when nobody else uses the model */
};

/* ST_OK: use->model is there, until local_models_leave(). ST_OVERLOAD: `ready` will be called.
 * Else it never is: ST_UNAVAILABLE: missing or broken; ST_TIMEOUT: it is being loaded for
 * longer than local.load_timeout_ms. */
enum status local_models_take(struct local_models *m, size_t model, struct local_use *use,
                              local_use_fn *ready) MUST_CHECK;
/* Gives it back, or waits no longer. Safe when neither. */
void local_models_leave(struct local_models *m, struct local_use *use);

/* How fast an answer was written. */
void local_models_note(struct local_models *m, size_t model, const struct decoder_result *r);
/* Bit i: the i-th is not expected to answer this within `ms`, by how fast it was lately, or
 * else when it was measured; what is not known is fast enough. */
uint32_t local_models_late(const struct local_models *m, const struct chat_request *q,
                           uint64_t ms);

/* --- what is told of them ------------------------------------------------------------------
 */

struct local_models_state {
    const char *word;      /* "loaded", "loading", "unloading", "unloaded", "broken"; static */
    const char *why;       /* of "broken"; else NULL */
    const char *guessing;  /* why nothing guesses for it, though it should; or NULL */
    uint64_t memory_bytes; /* that it takes when it is loaded; 0: not known */
    uint32_t users, waiting;
    uint64_t loads_total, failures_total, evictions_total;
    double tokens_per_s;                /* of one answer, lately; 0: not known */
    double prompt_per_s;                /* tokens of a prompt that were read, likewise */
    const struct config_model *own;     /* borrowed: its settings */
    const struct model_speed *measured; /* borrowed: zeros: not known */
};

void local_models_state(const struct local_models *m, size_t model,
                        struct local_models_state *out);

struct local_models_sums {
    uint64_t loaded_bytes; /* those on their way included */
    uint64_t waits_total;
    double wait_s, load_s;      /* of all of them */
    struct local_counts counts; /* of all models, those that were unloaded included */
};

void local_models_sums(const struct local_models *m, struct local_models_sums *out);

#endif
