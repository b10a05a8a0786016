#include "cache/guard_pair.h"

#include <math.h>
#include <string.h>

#include "cache/guard_quantity.h"

/* A word in another form or spelling ("3" for "three", "closed" for "close") is nearly,
 * not quite, the same. */
#define OTHER_FORM 0.85
/* A word of fewer letters is not looked for as two. */
#define WHOLE_MIN 6

static bool equal(const struct guard_word *x, const struct guard_word *y)
{
    if (x->number && y->number)
        return guard_quantity_equal(x, y);
    if (x->number || y->number)
        return span_eq(x->raw, y->raw);
    if (x->unit != 0 && x->unit == y->unit && fabs(x->factor - y->factor) < 1e-9)
        return true; /* km, kilometers */
    return guard_text_same(x, y);
}

/* The word is these two written together: "Chatroulette" / "Chat Roulette". */
static bool is_both(const struct guard_word *whole, const struct guard_word *first)
{
    const struct guard_word *second = first + 1;
    size_t n = first->raw.len;

    return whole->raw.len >= WHOLE_MIN && whole->raw.len == n + second->raw.len && n > 0 &&
           second->raw.len > 0 && memcmp(whole->raw.ptr, first->raw.ptr, n) == 0 &&
           memcmp(whole->raw.ptr + n, second->raw.ptr, second->raw.len) == 0;
}

/* Words of x that are two of y; these two have the same partner then. */
static void match_split(struct guard_text *x, struct guard_text *y)
{
    for (size_t i = 0; i < x->count; i++) {
        if (x->words[i].partner != GUARD_TEXT_NONE || x->words[i].number)
            continue;
        for (size_t j = 0; j + 1 < y->count; j++) {
            struct guard_word *first = &y->words[j], *second = first + 1;

            if (first->partner != GUARD_TEXT_NONE || second->partner != GUARD_TEXT_NONE ||
                !is_both(&x->words[i], first))
                continue;
            x->words[i].partner = j;
            first->partner = second->partner = i;
            first->joined = second->joined = true;
            break;
        }
    }
}

static void match(struct guard_pair *p)
{
    for (size_t j = 0; j < p->b->count; j++) {
        p->b->words[j].partner = GUARD_TEXT_NONE;
        p->b->words[j].joined = false;
    }
    for (size_t i = 0; i < p->a->count; i++) {
        struct guard_word *x = &p->a->words[i];

        x->partner = GUARD_TEXT_NONE;
        x->joined = false;
        for (size_t j = 0; j < p->b->count; j++) {
            struct guard_word *y = &p->b->words[j];

            if (y->partner != GUARD_TEXT_NONE || !equal(x, y))
                continue;
            x->partner = j;
            y->partner = i;
            break;
        }
    }
    match_split(p->a, p->b);
    match_split(p->b, p->a);
}

/* Weights are the mean of both words, so that it does not matter who came first. */
static void weigh_common(struct guard_pair *p, const struct guard_word *x,
                         const struct guard_word *y)
{
    double weight = (x->weight + y->weight) / 2;
    bool same = span_eq(x->text, y->text);

    p->common += same ? weight : weight * OTHER_FORM;
    p->own_a += same ? 0 : weight * (1 - OTHER_FORM) / 2;
    p->own_b += same ? 0 : weight * (1 - OTHER_FORM) / 2;
    p->respelled += !same && x->number;
}

static void weigh(struct guard_pair *p)
{
    for (size_t i = 0; i < p->a->count; i++) {
        const struct guard_word *w = &p->a->words[i];

        if (w->partner != GUARD_TEXT_NONE) {
            weigh_common(p, w, &p->b->words[w->partner]);
            continue;
        }
        p->own_a += w->weight;
        p->words_a += !w->stop;
    }
    for (size_t i = 0; i < p->b->count; i++) {
        const struct guard_word *w = &p->b->words[i];

        if (w->partner == GUARD_TEXT_NONE) {
            p->own_b += w->weight;
            p->words_b += !w->stop;
        } else if (p->a->words[w->partner].partner != i) { /* the second of two */
            weigh_common(p, &p->a->words[w->partner], w);
        }
    }
}

void guard_pair_compare(struct guard_text *a, struct guard_text *b, struct guard_pair *out)
{
    double all;

    *out = (struct guard_pair){.a = a, .b = b};
    match(out);
    weigh(out);
    all = out->common + out->own_a + out->own_b;
    out->overlap = all > 0 ? out->common / all : 1;
}

double guard_pair_weight(const struct guard_text *t, size_t first, size_t count)
{
    double sum = 0;

    for (size_t i = first; i < t->count && i - first < count; i++) {
        if (t->words[i].partner == GUARD_TEXT_NONE)
            sum += t->words[i].weight;
    }
    return sum;
}

double guard_pair_rest(const struct guard_pair *p, double forgiven)
{
    double own = p->own_a + p->own_b - forgiven;

    if (own < 0)
        own = 0;
    return p->common + own > 0 ? p->common / (p->common + own) : 0;
}

double guard_pair_forgiven(const struct guard_pair *p, const struct guard_conflict *at)
{
    size_t words_a = at->words_a > 0 ? at->words_a : 1;
    size_t words_b = at->words_b > 0 ? at->words_b : 1;

    return guard_pair_weight(p->a, at->a, words_a) + guard_pair_weight(p->b, at->b, words_b);
}

void guard_pair_keep(const struct guard_pair *p, struct guard_conflict found,
                     struct guard_conflict *kept)
{
    if (guard_pair_forgiven(p, &found) > guard_pair_forgiven(p, kept))
        *kept = found;
}

bool guard_pair_own(const struct guard_word *w)
{
    return w->partner == GUARD_TEXT_NONE && !w->stop;
}
