/* The adapters of a model on this machine, as the settings name them: NAME=PATH, parted by
 * blanks. Any thread. */
#ifndef PROXY_LOCAL_ADAPTERS_H
#define PROXY_LOCAL_ADAPTERS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "proxy/local_model.h"

struct local_adapters {
    struct local_adapter list[LOCAL_ADAPTERS_MAX]; /* its adapters are owned */
    size_t count;
};

/* `model`: the model's name, that no adapter may have. On failure none is open. */
enum status local_adapters_open(const char *text, const char *model, struct decoder *d,
                                struct local_adapters *out,
                                struct engine_error *err) MUST_CHECK;
/* The names alone, of the first LOCAL_ADAPTERS_MAX that have one: takes the next off the front
 * of *text; empty: there is none. */
struct span local_adapters_name(struct span *text);
void local_adapters_close(struct local_adapters *a);

#endif
