/* One has a number and the other has none: "lose weight" / "lose weight in 2 days". With
 * other wording it may be a detail that changes little. */
#include "cache/guard_list.h"
#include "cache/guard_quantity.h"

static size_t find_own(const struct guard_text *t, const struct guard_text *other)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];
        bool there = false;

        if (!w->number || w->soft || w->partner != GUARD_TEXT_NONE)
            continue;
        for (size_t j = 0; j < other->count && !there; j++)
            there = other->words[j].number && guard_quantity_equal(w, &other->words[j]);
        if (!there)
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_amount(const struct guard_pair *p, struct guard_conflict *where)
{
    *where = (struct guard_conflict){find_own(p->a, p->b), find_own(p->b, p->a), 0, 0};
    return where->a != GUARD_TEXT_NONE || where->b != GUARD_TEXT_NONE;
}
