/* The stop words that differ: "how do I" for "is it possible to". They lower the cosine more
 * than they change what is asked, so P(same) gives some of it back. Not a guard. English.
 * Pure; any thread. */
#ifndef CACHE_GUARD_STOPS_H
#define CACHE_GUARD_STOPS_H

#include "cache/guard_pair.h"

/* The weight of those that only one question has. Not those of a sentence that only one has:
 * they put no question in other words. Where one question is the other and more (`enclosed`,
 * guard.h) only those that stand against stop words of the other. */
double guard_stops_differ(const struct guard_pair *p, bool enclosed);

#endif
