/* Stored questions near the one at hand, with what an upstream answered them: shown to the
 * built-in model before it, they tell what kind of answer is wanted. Loop thread only. */
#ifndef PROXY_EXAMPLES_H
#define PROXY_EXAMPLES_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

#define EXAMPLES_MAX 4
/* With the operator's own. */
#define EXAMPLES_ALL (2 * EXAMPLES_MAX)

struct decoder_turn;
struct request;

/* Up to route.examples pairs of turns, user and assistant, the nearest last; in the request's
 * arena. Of its own partition, so of the same tenant and after the same turns; what is not in
 * memory is not waited for. `turns` has room for 2 * EXAMPLES_MAX. */
enum status examples_take(struct request *r, struct decoder_turn *turns,
                          size_t *count) MUST_CHECK;

#endif
