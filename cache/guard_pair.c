#include "cache/guard_pair.h"

#include <math.h>

#include "cache/guard_quantity.h"

/* A word in another form or spelling ("3" for "three", "closed" for "close") is nearly,
 * not quite, the same. */
#define OTHER_FORM 0.85

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

static void match(struct guard_pair *p)
{
    for (size_t j = 0; j < p->b->count; j++)
        p->b->words[j].partner = GUARD_TEXT_NONE;
    for (size_t i = 0; i < p->a->count; i++) {
        struct guard_word *x = &p->a->words[i];

        x->partner = GUARD_TEXT_NONE;
        for (size_t j = 0; j < p->b->count; j++) {
            struct guard_word *y = &p->b->words[j];

            if (y->partner != GUARD_TEXT_NONE || !equal(x, y))
                continue;
            x->partner = j;
            y->partner = i;
            break;
        }
    }
}

/* Weights are the mean of both words, so that it does not matter who came first. */
static void weigh_common(struct guard_pair *p, const struct guard_word *x)
{
    const struct guard_word *y = &p->b->words[x->partner];
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
            weigh_common(p, w);
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
