/* Another name, or another rare word: "France" / "Germany", "python" / "ruby". A slip of the
 * finger is neither. Names are known by their capital, or by being no word of everyday. */
#include <string.h>

#include "base/compiler.h"
#include "cache/guard_common.h"
#include "cache/guard_list.h"

/* Not in the list of common words, nor formed like an adjective, verb or abstract noun:
 * "unauthorized" may mean what "fraudulent" does. */
static bool is_rare(const struct guard_word *w)
{
    static const char *const tails[] = {"ed",   "ing",  "ly",  "ent",  "ant",  "ive",
                                        "able", "ible", "ous", "ful",  "less", "est",
                                        "ize",  "ise",  "ity", "ness", "tion", "sion"};

    if (w->weight < GUARD_COMMON_RARE || w->raw.len < 3 || w->code)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        size_t n = strlen(tails[i]);

        if (w->raw.len > n + 2 && memcmp(w->raw.ptr + w->raw.len - n, tails[i], n) == 0)
            return false;
    }
    return true;
}

static bool is_name(const struct guard_word *w)
{
    return guard_pair_own(w) && !w->number && (w->capital || is_rare(w)) &&
           (w->raw.len > 1 || w->capital);
}

/* What is left of a word when the beginning it shares with another is taken away is an ending
 * of a country, its people and language, a science and who is of it. */
static bool is_ending(struct span s)
{
    static const char *const endings[] = {"a", "ain", "an",  "ans", "er", "ers",  "ese",
                                          "i", "ia",  "ian", "ic",  "is", "ish",  "ist",
                                          "n", "ns",  "s",   "ans", "y",  "ians", "ists"};

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        if (span_eq(s, span_of(endings[i])))
            return true;
    }
    return false;
}

/* One is the other's beginning or its initials' beginning ("Mathematics" / "math"), or both
 * are forms of one name: "Britain" / "British". */
static bool is_short_form(struct span x, struct span y)
{
    size_t n = 0;

    while (n < x.len && n < y.len && x.ptr[n] == y.ptr[n])
        n++;
    return n >= 4 && (n == x.len || n == y.len ||
                      (is_ending((struct span){x.ptr + n, x.len - n}) &&
                       is_ending((struct span){y.ptr + n, y.len - n})));
}

/* A rare word without a capital is a name only against another, and where nothing else
 * differs. */
static bool are_names(const struct guard_pair *p, const struct guard_word *x,
                      const struct guard_word *y)
{
    bool alone = p->words_a == 1 && p->words_b == 1;

    return is_name(x) && is_name(y) &&
           (alone || (x->capital && y->capital) || (is_rare(x) && is_rare(y))) &&
           !guard_common_typo(x->raw, y->raw) && !is_short_form(x->raw, y->raw);
}

/* "Angela Merkel" is one name: where it begins, and how many words it has. */
static size_t find_whole(const struct guard_text *t, size_t *at)
{
    size_t end = *at + 1;

    while (*at > 0 && is_name(&t->words[*at - 1]))
        --*at;
    while (end < t->count && is_name(&t->words[end]))
        end++;
    return end - *at;
}

bool guard_name(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        for (size_t j = 0; guard_pair_own(&p->a->words[i]) && j < p->b->count; j++) {
            struct guard_conflict found = {i, j, 0, 0};

            if (!are_names(p, &p->a->words[i], &p->b->words[j]))
                continue;
            found.words_a = find_whole(p->a, &found.a);
            found.words_b = find_whole(p->b, &found.b);
            guard_pair_keep(p, found, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}
