/* The list of models in one: what upstreams say they have, as far as a request for it would go
 * to them; their aliases; the built-in models. */
#ifndef PROXY_MODELS_LIST_H
#define PROXY_MODELS_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"

struct local_models;
struct request;
struct upstream;

struct models_list_part {
    struct upstream *upstream;
    const struct json *list; /* its answer; NULL: it gave none */
};

/* `only`: nobody else was to be asked, and its models are all listed. */
enum status models_list_write(struct buf *out, const struct request *r,
                              const struct models_list_part *parts, size_t n,
                              bool only) MUST_CHECK;

/* One of ours; an adapter names its model as `parent`. */
enum status models_list_write_local(struct buf *out, struct local_models *m,
                                    size_t voice) MUST_CHECK;

/* The model that is asked for by this alias. */
enum status models_list_write_alias(struct buf *out, const struct upstream *u,
                                    struct span name) MUST_CHECK;

#endif
