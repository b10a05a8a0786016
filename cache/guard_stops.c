#include "cache/guard_stops.h"

#include <math.h>

/* A sentence is in one question only when no more than this share of its weight is common. */
#define COMMON_MAX 0.5

static double own_stops(const struct guard_text *t)
{
    double sum = 0;

    for (size_t i = 0, end; i < t->count; i = end) {
        double own = 0, common = 0, stops = 0;

        end = i;
        do {
            const struct guard_word *w = &t->words[end];
            bool is_own = w->partner == GUARD_TEXT_NONE;

            own += is_own ? w->weight : 0;
            common += is_own ? 0 : w->weight;
            stops += is_own && w->stop ? w->weight : 0;
            end++;
        } while (end < t->count && !t->words[end].opens);
        if ((i == 0 && end == t->count) || common > COMMON_MAX * (own + common))
            sum += stops;
    }
    return sum;
}

double guard_stops_differ(const struct guard_pair *p, bool enclosed)
{
    double a = own_stops(p->a), b = own_stops(p->b);

    return enclosed ? 2 * fmin(a, b) : a + b;
}
