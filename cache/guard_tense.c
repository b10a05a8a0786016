/* What was against what will be ("who won" has no such mark), or what I did against what I do:
 * "when did I" / "when do I". "What was" asks what "what is" does, "how did you" what "how can
 * I" does, and "would … was" supposes what "will … is" does. Only where every other word that
 * says something is the same. */
#include "cache/guard_list.h"

static size_t find(const struct guard_text *t, const char *const *list)
{
    for (size_t i = 0; i < t->count; i++) {
        if (guard_text_among(&t->words[i], list))
            return i;
    }
    return GUARD_TEXT_NONE;
}

static bool has_both(const struct guard_pair *p, const char *const *x, const char *const *y,
                     struct guard_conflict *where)
{
    *where = (struct guard_conflict){find(p->a, x), find(p->b, y), 0, 0};
    return where->a != GUARD_TEXT_NONE && where->b != GUARD_TEXT_NONE &&
           find(p->b, x) == GUARD_TEXT_NONE && find(p->a, y) == GUARD_TEXT_NONE;
}

/* "Would", "could": no time. */
static bool supposes(const struct guard_text *t)
{
    static const char *const words[] = {"would", "could", NULL};

    return find(t, words) != GUARD_TEXT_NONE;
}

/* Both speak of the same person who is here: "I", or "you". */
static bool is_of_the_same(const struct guard_pair *p)
{
    static const char *const i[] = {"i", "we", NULL}, *const you[] = {"you", NULL};

    return (find(p->a, i) != GUARD_TEXT_NONE && find(p->b, i) != GUARD_TEXT_NONE) ||
           (find(p->a, you) != GUARD_TEXT_NONE && find(p->b, you) != GUARD_TEXT_NONE);
}

bool guard_tense(const struct guard_pair *p, struct guard_conflict *where)
{
    static const char *const past[] = {"did", "was", "were", NULL}, *const did[] = {"did",
                                                                                    NULL};
    static const char *const present[] = {"do", "does", "should", "can", NULL};
    static const char *const future[] = {"will", "shall", NULL};

    if (p->words_a + p->words_b > 0 || supposes(p->a) || supposes(p->b))
        return false;
    if (has_both(p, past, future, where) || has_both(p, future, past, where))
        return true;
    return is_of_the_same(p) &&
           (has_both(p, did, present, where) || has_both(p, present, did, where));
}
