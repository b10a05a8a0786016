/* The two ends of a relation have changed places: "from Paris to Rome" / "from Rome to
 * Paris", "convert miles to km" / "km to miles", "feet in a mile" / "miles in a foot". */
#include "cache/guard_list.h"

/* Between the two, with nothing but stop words beside it. Not "of", "and", "with": there
 * the order says little. */
static const char *const towards[] = {"to",    "into", "from", "than",    "over",   "before",
                                      "after", "in",   "onto", "without", "inside", NULL};

/* The word at place i that says something, beyond the mark, or NULL. */
static const struct guard_word *next_content(const struct guard_text *t, size_t i)
{
    while (i < t->count && t->words[i].stop && !guard_text_among(&t->words[i], towards))
        i++;
    return i < t->count && !t->words[i].stop ? &t->words[i] : NULL;
}

static const struct guard_word *content_before(const struct guard_text *t, size_t i)
{
    while (i > 0 && t->words[i - 1].stop && !guard_text_among(&t->words[i - 1], towards))
        i--;
    return i > 0 && !t->words[i - 1].stop ? &t->words[i - 1] : NULL;
}

/* "the", "my": what they stand before is meant. */
static bool is_marker(const struct guard_word *w)
{
    static const char *const markers[] = {"a",    "an",  "the", "my",    "your", "our",
                                          "his",  "her", "its", "their", "this", "that",
                                          "some", "any", "me",  NULL};

    return guard_text_among(w, markers);
}

/* The end behind a mark; also one that is a stop word elsewhere: "from May", "to the US". */
static const struct guard_word *end_after(const struct guard_text *t, size_t mark)
{
    size_t i = mark + 1;

    while (i + 1 < t->count && is_marker(&t->words[i]) &&
           !guard_text_among(&t->words[i + 1], towards))
        i++;
    return i < t->count && !guard_text_among(&t->words[i], towards) ? &t->words[i] : NULL;
}

static bool same(const struct guard_word *x, const struct guard_word *y)
{
    return guard_text_same(x, y) || (x->unit != 0 && x->unit == y->unit && !x->number &&
                                     x->factor >= y->factor && x->factor <= y->factor);
}

/* Does t have "y MARK x"? */
static bool turned(const struct guard_text *t, const struct guard_word *mark,
                   const struct guard_word *x, const struct guard_word *y)
{
    for (size_t i = 1; i + 1 < t->count; i++) {
        const struct guard_word *before, *after;

        if (!span_eq(t->words[i].raw, mark->raw))
            continue;
        before = content_before(t, i);
        after = next_content(t, i + 1);
        if (before != NULL && after != NULL && same(before, y) && same(after, x))
            return true;
    }
    return false;
}

/* What follows each of two marks: "to Rome from Paris" is "from Paris to Rome". */
static bool ends_turned(const struct guard_pair *p)
{
    const struct guard_word *end[2][2];
    const struct guard_text *t[2] = {p->a, p->b};

    for (size_t i = 0; i < 2; i++) {
        size_t from = guard_text_find(t[i], "from"), to = GUARD_TEXT_NONE;

        if (from == GUARD_TEXT_NONE)
            return false;
        /* The first behind it, else the last before it. */
        for (size_t k = 0; k < t[i]->count && (k < from || to == GUARD_TEXT_NONE || to < from);
             k++) {
            if (guard_text_is(&t[i]->words[k], "to") || guard_text_is(&t[i]->words[k], "into"))
                to = k;
        }
        if (to == GUARD_TEXT_NONE)
            return false;
        end[i][0] = end_after(t[i], from);
        end[i][1] = end_after(t[i], to);
        if (end[i][0] == NULL || end[i][1] == NULL)
            return false;
    }
    return same(end[0][0], end[1][1]) && same(end[0][1], end[1][0]) &&
           !same(end[0][0], end[0][1]);
}

/* "translate hello to English" / "translate English to hello": a greeting is no stop word
 * there. */
static bool words_turned(const struct guard_pair *p)
{
    static const char *const marks[] = {"to", "into", NULL};
    const struct guard_text *a = p->a, *b = p->b;

    if (p->words_a + p->words_b > 0)
        return false;
    for (size_t i = 1; i + 1 < a->count; i++) {
        for (size_t j = 1; j + 1 < b->count && guard_text_among(&a->words[i], marks); j++) {
            if (span_eq(a->words[i].raw, b->words[j].raw) &&
                same(&a->words[i - 1], &b->words[j + 1]) &&
                same(&a->words[i + 1], &b->words[j - 1]) &&
                !same(&a->words[i - 1], &a->words[i + 1]))
                return true;
        }
    }
    return false;
}

/* "to Rome from Paris" / "from Rome to Paris" turns twice: the marks say where. */
static bool has_both_ends(const struct guard_text *t)
{
    return guard_text_find(t, "from") != GUARD_TEXT_NONE &&
           guard_text_find(t, "to") != GUARD_TEXT_NONE;
}

bool guard_direction(const struct guard_pair *p, struct guard_conflict *where)
{
    (void)where;
    if (ends_turned(p) || words_turned(p))
        return true;
    if (has_both_ends(p->a) && has_both_ends(p->b))
        return false;
    for (size_t i = 1; i + 1 < p->a->count; i++) {
        const struct guard_word *mark = &p->a->words[i], *x, *y;

        if (!guard_text_among(mark, towards))
            continue;
        x = content_before(p->a, i);
        y = next_content(p->a, i + 1);
        if (x == NULL || y == NULL || same(x, y))
            continue;
        /* Who says both ways means both. */
        if (turned(p->b, mark, x, y) && !turned(p->a, mark, x, y) && !turned(p->b, mark, y, x))
            return true;
    }
    return false;
}
