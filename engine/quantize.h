/* A GGUF file once more with smaller weights: for tools. Goes through the file tensor by
 * tensor, so that memory does not grow with it. */
#ifndef ENGINE_QUANTIZE_H
#define ENGINE_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/engine.h"

struct importance;

/* Tensors done, of how many; never called under a lock. */
typedef void quantize_progress_fn(void *arg, size_t done, size_t of);

struct quantize_options {
    const char *type; /* a name of quantize_known() */
    unsigned threads;
    bool requantize; /* weights that are quantized already are taken, too: what they lost stays
                      */
    const struct importance *importance; /* of this model; NULL: all columns matter the same */
    quantize_progress_fn *progress;      /* may be NULL */
    void *arg;
};

struct quantize_result {
    uint64_t bytes_before, bytes_after; /* of weights */
    /* Tensors: of the new type or its mixture; as they were; and, among the first, of another
     * type because their rows are no whole number of its blocks. */
    size_t changed, kept, replaced;
    size_t weighted; /* of the first: with importances */
};

/* "F16, Q8_0, …" */
const char *quantize_known(void);
/* Is there such a type, and, with `importance` whether there are any, can it do without them?
 * Before anything is computed. */
enum status quantize_check(const struct quantize_options *o, bool importance,
                           struct engine_error *err) MUST_CHECK;

/* Writes `out`, which must not be there yet; what is half written never has that name. */
enum status quantize_file(const char *in, const char *out, const struct quantize_options *o,
                          struct quantize_result *result, struct engine_error *err) MUST_CHECK;

#endif
