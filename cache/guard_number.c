/* Both have a number that the other has not: "3 tips" / "5 tips", "Python 3.1" / "3.10".
 * Numbers in words, units and currencies are seen through (guard_quantity.c). "one", "first"
 * and "half" count only against another number of their sort. */
#include <math.h>

#include "cache/guard_list.h"
#include "cache/guard_quantity.h"

/* Also when it is there twice in one and once in the other: "3 days / 3 nights". */
static bool is_in(const struct guard_word *w, const struct guard_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->words[i].number && guard_quantity_equal(w, &t->words[i]))
            return true;
    }
    return false;
}

static size_t find_own(const struct guard_text *t, const struct guard_text *other, bool soft)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];

        if (w->number && w->soft == soft && !is_in(w, other))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_number(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t a = find_own(p->a, p->b, false), b = find_own(p->b, p->a, false);
    size_t soft_a = find_own(p->a, p->b, true), soft_b = find_own(p->b, p->a, true);

    if (a == GUARD_TEXT_NONE && b != GUARD_TEXT_NONE)
        a = soft_a;
    else if (b == GUARD_TEXT_NONE && a != GUARD_TEXT_NONE)
        b = soft_b;
    else if (a == GUARD_TEXT_NONE && soft_a != GUARD_TEXT_NONE && soft_b != GUARD_TEXT_NONE &&
             p->a->words[soft_a].ordinal == p->b->words[soft_b].ordinal) {
        a = soft_a;
        b = soft_b;
    }
    *where = (struct guard_conflict){a, b, 0, 0};
    return a != GUARD_TEXT_NONE && b != GUARD_TEXT_NONE;
}
