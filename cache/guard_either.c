/* Both or one of them: "a passport and a visa" / "a passport or a visa". Only where yes
 * or no is the answer, every other word that says something is the same, and the same stands
 * before it. Who compares two ("tea
 * and coffee, which is better", "the difference between") means the same with either. */
#include "cache/guard_list.h"

static bool compares(const struct guard_text *t)
{
    static const char *const words[] = {
        "difference", "differ",  "different", "between",    "better", "best",   "versus",
        "vs",         "compare", "compared",  "comparison", "which",  "choose", "prefer",
        "who",        "similar", "than",      "more",       "rather", NULL};

    for (size_t i = 0; i < t->count; i++) {
        if (guard_text_among(&t->words[i], words))
            return true;
    }
    return false;
}

static bool is_partner(const struct guard_pair *p, size_t i, size_t j)
{
    return p->a->words[i].partner == j && p->b->words[j].partner == i;
}

/* The next word before it that is no article. */
static size_t before(const struct guard_text *t, size_t i)
{
    static const char *const articles[] = {"a", "an", "the", NULL};

    while (i-- > 0) {
        if (!guard_text_among(&t->words[i], articles))
            return i;
    }
    return GUARD_TEXT_NONE;
}

static bool are_turned(const struct guard_pair *p, const char *in_a, const char *in_b,
                       struct guard_conflict *where)
{
    size_t i = guard_text_find(p->a, in_a), j = guard_text_find(p->b, in_b), x, y;

    if (i == GUARD_TEXT_NONE || j == GUARD_TEXT_NONE ||
        p->a->words[i].partner != GUARD_TEXT_NONE || p->b->words[j].partner != GUARD_TEXT_NONE)
        return false;
    x = before(p->a, i);
    y = before(p->b, j);
    if (x == GUARD_TEXT_NONE || y == GUARD_TEXT_NONE || !is_partner(p, x, y))
        return false;
    *where = (struct guard_conflict){i, j, 0, 0};
    return true;
}

bool guard_either(const struct guard_pair *p, struct guard_conflict *where)
{
    if (p->words_a + p->words_b > 0 || !guard_text_asks_yes(p->a) ||
        !guard_text_asks_yes(p->b) || compares(p->a) || compares(p->b))
        return false;
    return are_turned(p, "and", "or", where) || are_turned(p, "or", "and", where);
}
