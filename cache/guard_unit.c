/* Another unit, without a number: "in km" / "in miles", "per hour" / "per day", "dollars" /
 * "euros". */
#include <math.h>

#include "cache/guard_list.h"

static bool is_own_unit(const struct guard_word *w)
{
    return w->partner == GUARD_TEXT_NONE && w->unit != 0 && !w->number && !w->code;
}

static bool is_money(char unit)
{
    return unit == '$' || unit == 'e' || unit == 'p' || unit == 'P' || unit == 'y' ||
           unit == 'r' || unit == 'u' || unit == 'o';
}

static bool is_time(char unit)
{
    return unit == 't' || unit == 'M';
}

static bool is_warmth(char unit)
{
    return unit == 'C' || unit == 'F' || unit == 'K';
}

static bool differ(const struct guard_word *x, const struct guard_word *y)
{
    if (x->unit == y->unit)
        return fabs(x->factor - y->factor) > 1e-9;
    return (is_money(x->unit) && is_money(y->unit)) || (is_time(x->unit) && is_time(y->unit)) ||
           (is_warmth(x->unit) && is_warmth(y->unit));
}

bool guard_unit(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        if (!is_own_unit(&p->a->words[i]))
            continue;
        for (size_t j = 0; j < p->b->count; j++) {
            if (is_own_unit(&p->b->words[j]) && differ(&p->a->words[i], &p->b->words[j]))
                guard_pair_keep(p, (struct guard_conflict){i, j, 0, 0}, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
