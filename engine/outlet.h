/* Text on its way out of a decoder: held back while it may be the beginning of a stop
 * string or ends within a character. One thread. */
#ifndef ENGINE_OUTLET_H
#define ENGINE_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "engine/engine.h"

#define OUTLET_HELD_MAX (1024 * 1024) /* bytes; a token and a stop string are far less */

struct outlet {
    const struct span *stop; /* borrowed */
    size_t stop_count;
    decoder_text_fn *on_text;
    void *arg;
    struct buf held; /* the caller appends to it */
};

void outlet_init(struct outlet *o, const struct span *stop, size_t stop_count,
                 decoder_text_fn *on_text, void *arg);
void outlet_release(struct outlet *o);

/* Lets out what may go. true: a stop string is there; what stood before it is out. */
bool outlet_pass(struct outlet *o) MUST_CHECK;
/* No more will come: what was held back for a stop string goes out. Half a character is
 * not text. */
void outlet_end(struct outlet *o);

#endif
