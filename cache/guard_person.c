/* Somebody else's: "my name" / "your name", "his card" / "her card". Where "I" and "you"
 * change with it ("how do you fix your car" / "how do I fix my car") everybody is meant. */
#include "cache/guard_list.h"

static size_t find(const struct guard_text *t, const char *const *list)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->words[i].partner == GUARD_TEXT_NONE && guard_text_among(&t->words[i], list))
            return i;
    }
    return GUARD_TEXT_NONE;
}

static bool has_subject(const struct guard_text *t)
{
    static const char *const subjects[] = {"i", "you", "we", "me", "one", NULL};

    for (size_t i = 0; i < t->count; i++) {
        if (guard_text_among(&t->words[i], subjects))
            return true;
    }
    return false;
}

bool guard_person(const struct guard_pair *p, struct guard_conflict *where)
{
    static const char *const owners[][4] = {
        {"my", "our", "mine", NULL},     {"your", "yours", NULL},
        {"his", "he", "him", NULL},      {"her", "she", "hers", NULL},
        {"their", "they", "them", NULL},
    };
    enum { FIRST, SECOND, OWNERS = sizeof(owners) / sizeof(owners[0]) };
    struct guard_conflict found;
    bool subjects = has_subject(p->a) || has_subject(p->b);

    if (p->words_a + p->words_b > 0)
        return false;
    for (size_t x = 0; x < OWNERS; x++) {
        for (size_t y = 0; y < OWNERS; y++) {
            if (x == y || (subjects && x <= SECOND && y <= SECOND))
                continue;
            found = (struct guard_conflict){find(p->a, owners[x]), find(p->b, owners[y]), 0, 0};
            if (found.a != GUARD_TEXT_NONE && found.b != GUARD_TEXT_NONE)
                guard_pair_keep(p, found, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
