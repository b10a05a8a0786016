/* Reading a model of this machine into memory, with all that belongs to it: its adapters, the
 * model that guesses for it, its workers. Any thread, and may take seconds. */
#ifndef PROXY_LOCAL_LOADING_H
#define PROXY_LOCAL_LOADING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "config/config.h"
#include "engine/engine.h"
#include "proxy/local_adapters.h"
#include "proxy/local_model.h"
#include "proxy/model_speeds.h"

/* A copy of what the settings say of one model. */
struct local_settings {
    struct config_model own;
    char model_dir[CONFIG_TEXT_MAX];
    char guess_model[CONFIG_TEXT_MAX]; /* empty: none */
    struct decoder_options decoder;    /* its chat_template is set when it is used */
    struct local_model_options model;  /* without adapters and guesser */
};

/* `i` as in config_models_get(). */
void local_loading_settings(const struct config *c, size_t i, struct local_settings *out);

struct local_loading {
    struct decoder *decoder, *guesser;
    struct local_adapters adapters;
    struct local_model *model; /* NULL: only looked at */
    struct model_info info;
    struct model_speed speed;  /* as it was measured once */
    uint64_t memory_bytes;     /* of all of it, as long as it is loaded */
    char guesser_trouble[256]; /* why there is none, though one was asked for; or empty */
};

/* `look`: whether it is there and whole, what it is, and what it would take; nothing of it
 * stays in memory but what describes it. On failure *err says why, and the way out; nothing is
 * open.
 */
enum status local_loading_open(const struct local_settings *s, bool look,
                               struct local_loading *out, struct engine_error *err) MUST_CHECK;
/* What it takes now, with the adapters that it has. */
uint64_t local_loading_memory(const struct local_loading *l, const struct local_settings *s);
/* No answer is being written. */
void local_loading_close(struct local_loading *l);

#endif
