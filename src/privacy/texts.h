/* The texts of a JSON document: walks it, and writes it again with some of them changed. Any
 * thread. */
#ifndef PRIVACY_TEXTS_H
#define PRIVACY_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"

struct texts_place {
    const struct json *node;
    uint32_t at; /* in an array: which one */
};

/* Where the walk is. */
struct texts_walk {
    struct texts_place stack[JSON_DEPTH_MAX + 1]; /* the text's own place is the last */
    size_t depth;
};

/* A text, or with `is_name` a member's name. Appends what stands in its place to *out and
 * sets *changed, or leaves both. */
typedef enum status texts_fn(void *owner, const struct texts_walk *w, struct span text,
                             bool is_name, struct buf *out, bool *changed);

/* Every text of it in its order; `scratch` is cleared. With `out` NULL nothing is written. */
enum status texts_walk(const struct json *root, texts_fn *fn, void *owner, struct buf *scratch,
                       struct buf *out) MUST_CHECK;

/* Is this text one in which JSON is written: the arguments of a call? */
bool texts_is_json(const struct texts_walk *w);
/* Is it, in a request, one that somebody may have written? Not: names of models, roles, ids,
 * signatures, images. */
bool texts_is_written(const struct texts_walk *w, struct span text, bool is_name);

/* "messages[2].content" and a NUL, cut where it is too long. */
void texts_path(const struct texts_walk *w, char *out, size_t cap);

#endif
