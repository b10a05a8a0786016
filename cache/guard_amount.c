/* One has a number and the other has none: "lose weight" / "lose weight in 2 days". With
 * other wording it may be a detail that changes little. How many are to be named matters less
 * than the guard would have it: "the 5 best films" / "the best films". */
#include "cache/guard_list.h"
#include "cache/guard_quantity.h"

#define ITEMS_MAX 100 /* more is no list: "the best of 2016" */

/* "the 5 best", "the best 5", "top 10", "two types". */
static bool counts_items(const struct guard_text *t, size_t i)
{
    static const char *const of[] = {"best",    "top",   "worst", "most", "main",
                                     "biggest", "types", "kinds", "must", NULL};

    if (t->words[i].unit != 0 || t->words[i].count > ITEMS_MAX)
        return false;
    return (i > 0 && guard_text_among(&t->words[i - 1], of)) ||
           (i + 1 < t->count && guard_text_among(&t->words[i + 1], of));
}

static size_t find_own(const struct guard_text *t, const struct guard_text *other)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];
        bool there = false;

        if (!w->number || w->soft || w->partner != GUARD_TEXT_NONE || counts_items(t, i))
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
