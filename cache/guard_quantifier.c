/* Of how many it is true: "all users" / "some users", "only by card" / "by card". Numbers are
 * the business of `number`, "no" and "none" of `negation`. Only where yes or no is the answer:
 * elsewhere one may serve both ("what are some of the …" / "what are all the …"). */
#include "cache/guard_list.h"

static const char *const amounts[][7] = {
    {"all", "every", "each", "everyone", "everybody", "everything", NULL},
    {"some", "several", "few", "certain", NULL},
    {"most", "many", "majority", NULL},
    {"only", "solely", "exclusively", "entirely", "purely", NULL},
};
enum { ONLY = 3, AMOUNTS = sizeof(amounts) / sizeof(amounts[0]) };

/* "most important", "the most", "how many": no quantifier of things. */
static bool is_amount(const struct guard_text *t, size_t i, size_t kind)
{
    static const char *const before[] = {"the", "how", "if", "not", "at", "a", NULL};

    if (t->words[i].partner != GUARD_TEXT_NONE ||
        !guard_text_among(&t->words[i], amounts[kind]))
        return false;
    return i == 0 || !guard_text_among(&t->words[i - 1], before);
}

static size_t find(const struct guard_text *t, size_t kind)
{
    for (size_t i = 0; i < t->count; i++) {
        if (is_amount(t, i, kind))
            return i;
    }
    return GUARD_TEXT_NONE;
}

bool guard_quantifier(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t only[2] = {find(p->a, ONLY), find(p->b, ONLY)};

    if (!guard_text_asks_yes(p->a) || !guard_text_asks_yes(p->b))
        return false;
    for (size_t x = 0; x < ONLY; x++) {
        for (size_t y = 0; y < ONLY; y++) {
            struct guard_conflict found = {find(p->a, x), find(p->b, y), 0, 0};

            if (x != y && found.a != GUARD_TEXT_NONE && found.b != GUARD_TEXT_NONE)
                guard_pair_keep(p, found, where);
        }
    }
    if (where->a != GUARD_TEXT_NONE)
        return true;
    if ((only[0] == GUARD_TEXT_NONE) == (only[1] == GUARD_TEXT_NONE))
        return false;
    *where = (struct guard_conflict){only[0], only[1], 0, 0};
    return true;
}
