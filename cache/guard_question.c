/* Something else is asked of the same: "who" / "when", "why" / "is it", "how many" / "how
 * long". Only where every other word that says something is the same. "what" and "which", "how"
 * and "what is the way", "how" and "where" ask much the same. */
#include "base/compiler.h"
#include "cache/guard_list.h"

enum asked { ASKED_OPEN, ASKED_WHO, ASKED_WHEN, ASKED_WHERE, ASKED_WHY, ASKED_YES, ASKED_HOW };

static enum asked read_word(const struct guard_text *t, size_t i)
{
    static const char *const many[] = {"many", "much", "long", "often",
                                       "far",  "old",  "big",  NULL};
    static const struct {
        const char *word;
        enum asked asks;
    } words[] = {{"who", ASKED_WHO},   {"whom", ASKED_WHO},    {"whose", ASKED_WHO},
                 {"when", ASKED_WHEN}, {"where", ASKED_WHERE}, {"why", ASKED_WHY}};

    for (size_t k = 0; k < ARRAY_LEN(words); k++) {
        if (guard_text_is(&t->words[i], words[k].word))
            return words[k].asks;
    }
    if (!guard_text_is(&t->words[i], "how"))
        return ASKED_OPEN;
    return i + 1 < t->count && guard_text_among(&t->words[i + 1], many) ? ASKED_OPEN
                                                                        : ASKED_HOW;
}

/* What the first words ask for. */
static enum asked read_question(const struct guard_text *t)
{
    static const char *const verbs[] = {"is",  "are", "was",  "were", "do",     "does",
                                        "did", "has", "have", "will", "should", NULL};
    enum asked first;

    if (t->count == 0)
        return ASKED_OPEN;
    first = read_word(t, 0);
    if (first == ASKED_OPEN && guard_text_among(&t->words[0], verbs))
        return ASKED_YES;
    return first;
}

/* "when and why do …" asks both. */
static bool asks_too(const struct guard_text *t, enum asked what)
{
    for (size_t i = 0; i < t->count; i++) {
        if (read_word(t, i) == what)
            return true;
    }
    return false;
}

/* "How did it happen" is "why did it happen"; "how do I" is not "why do I". */
static bool is_of_somebody(const struct guard_text *t)
{
    return guard_text_find(t, "i") != GUARD_TEXT_NONE ||
           guard_text_find(t, "you") != GUARD_TEXT_NONE;
}

bool guard_question(const struct guard_pair *p, struct guard_conflict *where)
{
    enum asked a = read_question(p->a), b = read_question(p->b);
    bool how = a == ASKED_HOW || b == ASKED_HOW;

    *where = (struct guard_conflict){0, 0, 0, 0};
    if (a == b || a == ASKED_OPEN || b == ASKED_OPEN || p->words_a + p->words_b > 0)
        return false;
    if (asks_too(p->a, b) || asks_too(p->b, a))
        return false;
    if (how && (a == ASKED_WHY || b == ASKED_WHY))
        return is_of_somebody(p->a) && is_of_somebody(p->b);
    /* "How do I …", "Is there a way to …", "Where do I …": one answer may serve all. */
    return !(how && (a == ASKED_YES || b == ASKED_YES || a == ASKED_WHERE || b == ASKED_WHERE));
}
