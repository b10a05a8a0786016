/* The models on this machine, as the settings name them: `local.model` first, then `models`.
 * Pure; any thread. */
#ifndef CONFIG_CONFIG_MODELS_H
#define CONFIG_CONFIG_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;
struct config_error;
struct config_model;

size_t config_models_count(const struct config *c);
/* The i-th; what it leaves open is as under `local`. */
void config_models_get(const struct config *c, size_t i, struct config_model *out);
/* Cases do not matter. false: there is none. */
bool config_models_find(const struct config *c, struct span name, size_t *i) MUST_CHECK;

/* Is it one of the adapters of a model, NAME or MODEL:NAME? *i is the model's. */
bool config_models_adapter(const struct config *c, struct span name, size_t *i) MUST_CHECK;

/* Of `to` in a rule: "local:NAME", of a model or an adapter. Empty: it names none. */
struct span config_models_named(const char *to);

/* No two have one name, their sizes make sense, and whoever names one names one that is
 * there. */
enum status config_models_check(const struct config *c, struct config_error *err) MUST_CHECK;

#endif
