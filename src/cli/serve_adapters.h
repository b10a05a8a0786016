/* The adapters of the built-in model, as `local.adapters` names them: NAME=PATH, parted by
 * blanks. */
#ifndef CLI_SERVE_ADAPTERS_H
#define CLI_SERVE_ADAPTERS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/engine.h"
#include "proxy/local_model.h"

struct serve_adapters {
    struct local_adapter list[LOCAL_ADAPTERS_MAX]; /* its adapters are owned */
    size_t count;
};

/* `model`: the built-in model's name, that no adapter may have. On failure none is open. */
enum status serve_adapters_open(const char *text, const char *model, struct decoder *d,
                                struct serve_adapters *out,
                                struct engine_error *err) MUST_CHECK;
void serve_adapters_close(struct serve_adapters *a);

#endif
