/* One denies what the other asks: "contain gluten" / "do not contain gluten", "possible" /
 * "impossible". Two denials are none: "can't log in" / "unable to log in". What is said with
 * other words passes ("has not arrived" / "is missing"). */
#include <string.h>

#include "base/compiler.h"
#include "cache/guard_common.h"
#include "cache/guard_list.h"

static const char *const denials[] = {"not",     "no",     "never",   "without", "none",
                                      "nothing", "nobody", "nowhere", "neither", "nor",
                                      "except",  "unless", "hardly",  "non",     NULL};

/* Words that deny by themselves, when they stand against a denial or against nothing. */
static const char *const negatives[] = {
    "unable",    "fail",  "failed",   "fails",   "failing",  "refuse",  "refused",
    "refuses",   "lack",  "lacks",    "lacking", "missing",  "absent",  "denied",
    "invalid",   "wrong", "broken",   "stop",    "stopped",  "stops",   "avoid",
    "prevent",   "quit",  "declined", "decline", "rejected", "blocked", "forbidden",
    "excluding", "away",  NULL};

static const char *const prefixes[] = {"un", "dis", "non", "in", "im", "il", "ir", "de", "mis"};

/* The word without a prefix of negation, when a word of everyday is left. */
static bool is_prefixed(struct span w)
{
    static const char *const others[] = {
        "display", "discount", "discover", "disease", "disc", "distract", "dispose", "unit",
        "union",   "unique",   "under",    "uncle",   "disk", "dish",     "until"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        size_t n = strlen(others[i]);

        if (w.len >= n && memcmp(w.ptr, others[i], n) == 0)
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);

        if (i != 2 && i > 1 && i < 8)
            continue; /* "in", "im", …, "de": too many words only look like it */
        if (w.len >= n + 4 && memcmp(w.ptr, prefixes[i], n) == 0 && guard_common(w) &&
            guard_common((struct span){w.ptr + n, w.len - n}))
            return true;
    }
    return false;
}

/* "I do not know what …", "not sure how …"; not "how do you not know". */
static bool is_unsure(const struct guard_text *t, size_t i)
{
    static const char *const who[] = {"i", "we", NULL};
    static const char *const forms[] = {"do", "am", "are", "can", "did", "could", NULL};
    static const char *const knows[] = {"know", "sure", "understand", "remember", NULL};

    if (i + 1 >= t->count || !guard_text_among(&t->words[i + 1], knows))
        return false;
    if (i < 2 || t->words[i - 1].opens || t->words[i].opens)
        return true;
    return guard_text_among(&t->words[i - 1], forms) &&
           (guard_text_among(&t->words[i - 2], who) ||
            (i > 2 && guard_text_among(&t->words[i - 3], who)));
}

/* "or not", "not only", "no. 5" deny nothing. */
static bool is_empty(const struct guard_text *t, size_t i)
{
    static const char *const before[] = {"or", "why", NULL};
    static const char *const after[] = {"only", "just", NULL};

    if (i > 0 && guard_text_is(&t->words[i - 1], "or"))
        return true;
    if (i > 0 && i + 1 == t->count && guard_text_among(&t->words[i - 1], before))
        return true;
    return is_unsure(t, i) || (i + 1 < t->count &&
                               (guard_text_among(&t->words[i + 1], after) ||
                                (guard_text_is(&t->words[i], "no") && t->words[i + 1].number)));
}

static bool denies(const struct guard_text *t, size_t i)
{
    if (t->words[i].joined)
        return false;                       /* "non linear" is "nonlinear" */
    if (guard_text_is(&t->words[i], "yet")) /* "is yet to come" */
        return i + 1 < t->count && guard_text_is(&t->words[i + 1], "to");
    return guard_text_among(&t->words[i], denials) && !is_empty(t, i);
}

static bool is_negative(const struct guard_word *w)
{
    return guard_text_among(w, negatives) ||
           (w->partner == GUARD_TEXT_NONE && is_prefixed(w->raw));
}

struct count {
    size_t denials, negatives, others;
    size_t first; /* place of the first of them */
};

static struct count count(const struct guard_text *t)
{
    struct count c = {.first = GUARD_TEXT_NONE};

    for (size_t i = 0; i < t->count; i++) {
        const struct guard_word *w = &t->words[i];
        bool denial = denies(t, i);
        bool negative = !denial && is_negative(w);

        c.denials += denial;
        c.negatives += negative;
        if ((denial || negative) && w->partner == GUARD_TEXT_NONE && c.first == GUARD_TEXT_NONE)
            c.first = i;
        c.others += guard_pair_own(w) && !denial && !negative && !guard_text_is(w, "not");
    }
    return c;
}

/* "able" / "unable", "enable" / "disable": b is a with a prefix. */
static bool is_opposite(const struct guard_word *a, const struct guard_word *b)
{
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        struct span x = a->base, tail;

        if (b->base.len < n + 3 || memcmp(b->base.ptr, prefixes[i], n) != 0)
            continue;
        tail = (struct span){b->base.ptr + n, b->base.len - n};
        if (span_eq(tail, x) || (x.len > 4 && memcmp(x.ptr, "en", 2) == 0 &&
                                 span_eq(tail, (struct span){x.ptr + 2, x.len - 2})))
            return true;
    }
    return false;
}

/* "useful" / "useless". */
static bool is_lessened(const struct guard_word *a, const struct guard_word *b)
{
    struct span x = a->text, y = b->text;

    return x.len > 5 && y.len > 6 && memcmp(x.ptr + x.len - 3, "ful", 3) == 0 &&
           memcmp(y.ptr + y.len - 4, "less", 4) == 0 &&
           span_eq((struct span){x.ptr, x.len - 3}, (struct span){y.ptr, y.len - 4});
}

static bool find_opposites(const struct guard_pair *p, struct guard_conflict *where)
{
    for (size_t i = 0; i < p->a->count; i++) {
        const struct guard_word *x = &p->a->words[i];

        for (size_t j = 0; guard_pair_own(x) && j < p->b->count; j++) {
            const struct guard_word *y = &p->b->words[j];

            if (guard_pair_own(y) && (is_opposite(x, y) || is_opposite(y, x) ||
                                      is_lessened(x, y) || is_lessened(y, x)))
                guard_pair_keep(p, (struct guard_conflict){i, j, 0, 0}, where);
        }
    }
    return where->a != GUARD_TEXT_NONE;
}

/* "I can't find my bag" asks what "help me find my bag" and "how do I find …" do. */
static bool is_plea(const struct guard_text *denying, const struct guard_text *other)
{
    static const char *const pleas[] = {"need", "help", "how", "where", "want", "assist", NULL};
    size_t not = guard_text_find(denying, "not");

    if (not == GUARD_TEXT_NONE || not == 0 || !(guard_text_is(&denying->words[not -1], "can")))
        return false;
    for (size_t i = 0; i < other->count; i++) {
        if (guard_text_among(&other->words[i], pleas))
            return guard_text_find(denying, "why") == GUARD_TEXT_NONE;
    }
    return false;
}

bool guard_negation(const struct guard_pair *p, struct guard_conflict *where)
{
    struct count a = count(p->a), b = count(p->b);
    bool plain_odd = (a.denials + b.denials) % 2 == 1;
    bool odd = (a.denials + b.denials + a.negatives + b.negatives) % 2 == 1;

    /* An opposite beside a denial is none: "is it not possible" / "is it impossible". */
    if (!plain_odd && find_opposites(p, where))
        return true;
    *where = (struct guard_conflict){a.first, b.first, 0, 0};
    if (is_plea(p->a, p->b) || is_plea(p->b, p->a))
        return false;
    /* A denial may come with one other word, a negative word with none. */
    return odd && a.others + b.others <= (plain_odd ? 1u : 0u);
}
