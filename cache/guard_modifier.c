/* What somebody or something is said to be is narrowed by a word of one question alone: "Is it
 * a bridge?" / "Is it a wooden bridge?". Only where a yes or a no is the answer, and by a word
 * directly between "a" and what both name ("a real bridge" is asked by who doubts it).
 * Elsewhere such a word changes little: "What is a good way to …", "Is there an easy way to …".
 */
#include "cache/guard_list.h"

static bool is_article(const struct guard_text *t, size_t i)
{
    return guard_text_is(&t->words[i], "a") || guard_text_is(&t->words[i], "an");
}

/* "Is it a …", "Will it be a …"; not "Is there a …". `at`: where the article is. */
static bool says_what_it_is(const struct guard_text *t, size_t at)
{
    static const char *const asks[] = {"is",   "are",   "was",  "were",   "am",  "can", "could",
                                       "will", "would", "does", "should", "may", NULL};
    static const char *const forms[] = {"is", "are", "was", "were", "am", NULL};
    static const char *const verbs[] = {"be", "become", "been", NULL};
    size_t first = at;

    while (first > 0 && !t->words[first].opens)
        first--;
    if (first + 1 >= at || guard_text_is(&t->words[first + 1], "there") ||
        !guard_text_among(&t->words[first], asks))
        return false;
    return guard_text_among(&t->words[first], forms) ||
           guard_text_among(&t->words[at - 1], verbs);
}

/* The only own word of t, which stands as the guard wants it, or GUARD_TEXT_NONE. */
static size_t find_modifier(const struct guard_text *t, const struct guard_text *other)
{
    for (size_t i = 1; i + 1 < t->count; i++) {
        size_t named = t->words[i + 1].partner;

        if (!guard_pair_own(&t->words[i]))
            continue;
        if (is_article(t, i - 1) && !t->words[i].number && !t->words[i + 1].stop &&
            named != GUARD_TEXT_NONE && named > 0 && is_article(other, named - 1) &&
            says_what_it_is(t, i - 1))
            return i;
        return GUARD_TEXT_NONE;
    }
    return GUARD_TEXT_NONE;
}

bool guard_modifier(const struct guard_pair *p, struct guard_conflict *where)
{
    size_t at;

    if (p->words_a + p->words_b != 1)
        return false;
    if (p->words_a == 1) {
        at = find_modifier(p->a, p->b);
        *where = (struct guard_conflict){at, GUARD_TEXT_NONE, 0, 0};
    } else {
        at = find_modifier(p->b, p->a);
        *where = (struct guard_conflict){GUARD_TEXT_NONE, at, 0, 0};
    }
    return at != GUARD_TEXT_NONE;
}
