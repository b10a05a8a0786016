/* Makes the last turn of a conversation self-contained, or says why it can not be done. What is
 * not sure is not done: a turn that is taken for another is a wrong answer, one that is left
 * alone only a miss. Rules for English; a turn in another language is left alone. Any thread.
 */
#ifndef CACHE_RESOLVE_H
#define CACHE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

#define RESOLVE_TURNS_MAX 16 /* of the user; a longer conversation is left alone */

enum resolve {
    RESOLVED_WHOLE, /* it says by itself what is asked */
    RESOLVED_MADE,  /* … now it does: *out */
    RESOLVED_OPEN,  /* it leans on what was said, the rules do not know on what */
    RESOLVED_NEVER, /* something in the conversation may change the answer */
};

/* The turns of the user, the oldest first, the last one the one that is asked; n >= 1. *why is
 * the reason for the two last results, by name, static: resolve_reasons(). `out` is cleared;
 * its limit must hold a turn and its topic: RESOLVE_BYTES_MAX is enough. */
#define RESOLVE_BYTES_MAX 2048
enum resolve resolve_turn(const struct span *turns, size_t n, struct buf *out,
                          const char **why);

/* Every reason there can be, for metrics; NULL ends them. */
const char *const *resolve_reasons(void);

#endif
