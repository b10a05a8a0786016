/* Other adapters in the place of those that the models have, while they write: read and checked
 * beside, by the thread that loads models, and put in force at one moment, for all models, or
 * not at all. What a request began with it keeps to its end. Loop thread only. */
#ifndef PROXY_LOCAL_MODELS_CHANGE_H
#define PROXY_LOCAL_MODELS_CHANGE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct config;
struct local_models;

/* Once, later. `why`: what does not fit, of which model; NULL: local_models_change_adopt() puts
 * it in force, or local_models_change_drop() does not; one of them is called before it returns.
 * With a reason nothing is to be called. */
typedef void local_models_changed_fn(void *owner, const char *why);

/* Is there an adapter, in the settings or in force? Then its file may be another one. */
bool local_models_change_wanted(const struct local_models *m, const struct config *c);
/* `c` names the same models. ST_OVERLOAD: one is under way; ST_NOMEM. Else `changed` comes, but
 * not where the models are closed before. */
enum status local_models_change_start(struct local_models *m, const struct config *c,
                                      local_models_changed_fn *changed, void *owner) MUST_CHECK;
void local_models_change_adopt(struct local_models *m);
void local_models_change_drop(struct local_models *m);

#endif
