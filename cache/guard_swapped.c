/* Who does what to whom is the other way round: "does A own B" / "does B own A", and "did A
 * use B" / "was A used by B". Two words have changed places around one that has not; where
 * it is symmetric ("A and B", "A is married to B") it says nothing; "better than" is not. */
#include "cache/guard_list.h"

/* Order does not matter beside these. */
static const char *const symmetric[] = {
    "and",       "or",        "vs",         "versus",  "between",      "difference",
    "compare",   "compared",  "comparison", "similar", "equal",        "equivalent",
    "same",      "different", "married",    "related", "relationship", "cousins",
    "friends",   "siblings",  "compatible", "both",    "plus",         "together",
    "identical", "near",      "meet",       "synonym", "mix",          "combine",
    "combined",  NULL};

static bool is_symmetric(const struct guard_text *t)
{
    if (guard_text_find(t, "than") != GUARD_TEXT_NONE)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        bool future = i + 1 < t->count && guard_text_is(&t->words[i + 1], "future");

        if (!future && guard_text_among(&t->words[i], symmetric))
            return true;
    }
    return false;
}

static bool is_passive(const struct guard_text *t)
{
    static const char *const be[] = {"is", "are", "was", "were", "be", "been", "being", NULL};
    size_t by = guard_text_find(t, "by");

    for (size_t i = 0; by != GUARD_TEXT_NONE && i < by; i++) {
        if (guard_text_among(&t->words[i], be))
            return true;
    }
    return false;
}

static bool is_article(const struct guard_word *w)
{
    return guard_text_is(w, "the") || guard_text_is(w, "a") || guard_text_is(w, "an");
}

/* Everything but articles. */
static size_t read_words(const struct guard_text *t, const struct guard_word **out)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (!is_article(&t->words[i]))
            out[n++] = &t->words[i];
    }
    return n;
}

static size_t read_content(const struct guard_text *t, const struct guard_word **out)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (!t->words[i].stop)
            out[n++] = &t->words[i];
    }
    return n;
}

/* "U.S." is no "us". */
static bool says_something(const struct guard_word *w)
{
    return !w->stop || w->capital;
}

/* Word for word the same but for two that say something and stand apart. */
static bool are_turned(const struct guard_pair *p)
{
    const struct guard_word *a[GUARD_TEXT_WORDS_MAX], *b[GUARD_TEXT_WORDS_MAX];
    size_t n = read_words(p->a, a), apart[2], k = 0;

    if (n != read_words(p->b, b))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (guard_text_same(a[i], b[i]))
            continue;
        if (k == 2 || !says_something(a[i]) || !says_something(b[i]))
            return false;
        apart[k++] = i;
    }
    return k == 2 && apart[1] - apart[0] > 1 && guard_text_same(a[apart[0]], b[apart[1]]) &&
           guard_text_same(a[apart[1]], b[apart[0]]);
}

/* "did A use B" / "was A used by B": the order is the same, and that is the difference. */
static bool is_passive_of(const struct guard_pair *p)
{
    const struct guard_word *a[GUARD_TEXT_WORDS_MAX], *b[GUARD_TEXT_WORDS_MAX];
    static const char *const active[] = {"did", "does", "do", "has", "will", "can", NULL};
    size_t n = read_content(p->a, a);

    if (n < 3 || n != read_content(p->b, b) || is_passive(p->a) == is_passive(p->b) ||
        !guard_text_among(is_passive(p->a) ? &p->b->words[0] : &p->a->words[0], active))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!guard_text_same(a[i], b[i]))
            return false;
    }
    return true;
}

bool guard_swapped(const struct guard_pair *p, struct guard_conflict *where)
{
    (void)where;
    if (p->words_a + p->words_b > 0 || (is_symmetric(p->a) && is_symmetric(p->b)))
        return false;
    return are_turned(p) || is_passive_of(p);
}
