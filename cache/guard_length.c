/* A long text against a short one: what the long one says beyond it is part of the question. */
#include "cache/guard_list.h"

#define LENGTH_RATIO_MAX 4
#define LONG_WORDS       12

bool guard_length(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t a = p->a->count, b = p->b->count;
    size_t longer = a > b ? a : b, shorter = a > b ? b : a;

    (void)where;
    return longer > LONG_WORDS && longer > LENGTH_RATIO_MAX * shorter;
}
