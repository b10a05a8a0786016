/* Does a question say that something goes wrong? "How do I verify my card?" and "I have trouble
 * verifying my card" are near, and want different answers. Not a guard: it makes P(same) less
 * likely and refuses nothing. English. Pure; any thread. */
#ifndef CACHE_GUARD_TROUBLE_H
#define CACHE_GUARD_TROUBLE_H

#include <stdbool.h>

#include "cache/guard_text.h"

/* A word of it says so: "problem", "failed", "declined". */
bool guard_trouble_told(const struct guard_text *t);

#endif
