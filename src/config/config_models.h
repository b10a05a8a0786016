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

/* Of `to` in a rule: "local:NAME". Empty: it names none. */
struct span config_models_named(const char *to);

/* No two have one name, their sizes make sense, and whoever names one names one that is
 * there. */
enum status config_models_check(const struct config *c, struct config_error *err) MUST_CHECK;

#endif
