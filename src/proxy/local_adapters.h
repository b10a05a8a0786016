/* The adapters of a model on this machine, as the settings name them: NAME=PATH, parted by
 * blanks. Any thread. */
#ifndef PROXY_LOCAL_ADAPTERS_H
#define PROXY_LOCAL_ADAPTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

#define LOCAL_ADAPTERS_MAX 32

/* A model as it was tuned for something, under a name of its own. */
struct local_adapter {
    char name[128];
    struct decoder_adapter *adapter; /* owned by the list; but for `kept` */
    /* Its file as it was: device, inode, bytes, nanoseconds of its last change. */
    uint64_t file[4];
    bool kept; /* of local_adapters_change(): the same as in the list before */
};

struct local_adapters {
    struct local_adapter list[LOCAL_ADAPTERS_MAX];
    size_t count;
};

/* `model`: the model's name, that no adapter may have. On failure none is open. */
enum status local_adapters_open(const char *text, const char *model, struct decoder *d,
                                struct local_adapters *out,
                                struct engine_error *err) MUST_CHECK;
/* The same beside `now`: what has its name and file there, as it was, is taken from there and
 * `kept`; the rest is opened. */
enum status local_adapters_change(const char *text, const char *model, struct decoder *d,
                                  const struct local_adapters *now, struct local_adapters *out,
                                  struct engine_error *err) MUST_CHECK;
/* The names alone, of the first LOCAL_ADAPTERS_MAX that have one: takes the next off the front
 * of *text; empty: there is none. */
struct span local_adapters_name(struct span *text);
/* Closes all but those that are kept. */
void local_adapters_close(struct local_adapters *a);

#endif
