/* Guards: cheap reasons to say that two questions differ, however alike their vectors
 * are. Each has a name. All but those about numbers and quotes speak only where the
 * rest of the wording is nearly the same: elsewhere they would refuse honest
 * paraphrases. Pure; any thread. */
#ifndef CACHE_GUARD_H
#define CACHE_GUARD_H

#include "base/span.h"

struct guard_outcome {
    const char *fired; /* name of the first guard that fired; NULL: none. Static. */
    double overlap;    /* weighted share of common words, 0..1 */
};

void guard_check(struct span a, struct span b, struct guard_outcome *out);

/* Every reason a decision can have: "hit", "no_candidate", … and the names of all
 * guards. NULL ends the list. */
const char *const *guard_reasons(void);

#endif
