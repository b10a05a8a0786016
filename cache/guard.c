#include "cache/guard.h"

#include "base/compiler.h"
#include "cache/guard_list.h"
#include "cache/guard_stops.h"
#include "cache/guard_trouble.h"

/* No guard names more own words of a question than a name has. */
#define FORGIVEN_MAX 3
/* is_enclosed(): the share of a that is in b, and the weight and number of b's words. */
#define ENCLOSED_MIN  0.6
#define RUN_MIN       1.0
#define RUN_WORDS_MIN 2

static const struct {
    const char *name;
    guard_fn *fires;
    double heard, refuses, doubt;
} guards[] = {
#define ROW(name, heard, refuses, doubt) {#name, guard_##name, heard, refuses, doubt},
    GUARD_LIST(ROW)
#undef ROW
};

/* The weight of the heaviest own words: more is never forgiven. */
static double heaviest(const struct guard_text *t)
{
    double most[FORGIVEN_MAX] = {0}, sum = 0;

    for (size_t i = 0; i < t->count; i++) {
        double w = t->words[i].partner == GUARD_TEXT_NONE ? t->words[i].weight : 0;

        for (size_t k = 0; k < FORGIVEN_MAX; k++) {
            if (w > most[k]) {
                double less = most[k];

                most[k] = w;
                w = less;
            }
        }
    }
    for (size_t k = 0; k < FORGIVEN_MAX; k++)
        sum += most[k];
    return sum;
}

/* A gate that can not be passed spares the asking. */
static double most_alike(const struct guard_pair *p)
{
    return guard_pair_rest(p, heaviest(p->a) + heaviest(p->b));
}

static enum guard_verdict ask(const struct guard_pair *p, size_t guard, double alike)
{
    struct guard_conflict at = {GUARD_TEXT_NONE, GUARD_TEXT_NONE, 0, 0};
    double rest;

    if (alike < guards[guard].heard)
        return GUARD_GATED;
    if (!guards[guard].fires(p, &at))
        return GUARD_PASSED;
    rest = guard_pair_rest(p, guard_pair_forgiven(p, &at));
    if (rest >= guards[guard].refuses)
        return GUARD_FIRED;
    return rest >= guards[guard].heard ? GUARD_DOUBTED : GUARD_GATED;
}

static void note(size_t guard, enum guard_verdict says, struct guard_outcome *out)
{
    if (says != GUARD_FIRED && says != GUARD_DOUBTED)
        return;
    if (out->doubt <= 0)
        out->doubt = guards[guard].doubt;
    if (says == GUARD_FIRED && out->fired == NULL)
        out->fired = guards[guard].name;
}

static void find_fired(const struct guard_pair *p, struct guard_outcome *out)
{
    double alike = most_alike(p);

    for (size_t i = 0; i < ARRAY_LEN(guards) && out->fired == NULL; i++)
        note(i, ask(p, i, alike), out);
}

/* The words that carry meaning are in both, as they are written but for their form, and in
 * the same order: what differs is how the question is put. */
static bool is_bare(const struct guard_pair *p)
{
    size_t last = 0, count = 0;

    if (p->words_a + p->words_b + p->respelled > 0)
        return false;
    for (size_t i = 0; i < p->a->count; i++) {
        const struct guard_word *w = &p->a->words[i];

        if (w->stop || w->partner == GUARD_TEXT_NONE)
            continue;
        if (count++ > 0 && w->partner < last)
            return false;
        last = w->partner;
    }
    return count > 0;
}

/* Most of a is in b, and b says more: by so much altogether, or by words in a row, but for
 * common stop words between them. As it looks when somebody puts words of his into a question
 * that he expects. Many honest paraphrases look like that as well. */
static bool is_enclosed(const struct guard_pair *p)
{
    double run = 0;
    size_t words = 0;

    if (p->common < ENCLOSED_MIN * (p->common + p->own_a))
        return false;
    if (p->own_b - p->own_a >= RUN_MIN && p->words_b >= p->words_a + RUN_WORDS_MIN)
        return true;
    for (size_t i = 0; i < p->b->count; i++) {
        const struct guard_word *w = &p->b->words[i];

        if (w->partner == GUARD_TEXT_NONE) {
            run += w->weight;
            words += !w->stop;
        } else if (!w->stop) {
            run = 0;
            words = 0;
        }
        if (run >= RUN_MIN && words >= RUN_WORDS_MIN)
            return true;
    }
    return false;
}

static bool has_own_name(const struct guard_text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->words[i].capital && guard_pair_own(&t->words[i]))
            return true;
    }
    return false;
}

static void compare(struct guard_text *a, struct guard_text *b, struct guard_pair *p,
                    struct guard_outcome *out)
{
    bool enclosed;

    guard_pair_compare(a, b, p);
    enclosed = is_enclosed(p);
    *out = (struct guard_outcome){
        .overlap = p->overlap,
        .common = p->common,
        .stops = guard_stops_differ(p, enclosed),
        .respelled = p->respelled,
        .exchanged = p->own_a < p->own_b ? p->own_a : p->own_b,
        .bare = is_bare(p),
        .words = (unsigned)(a->count < b->count ? a->count : b->count),
        .names = has_own_name(a) && has_own_name(b),
        .substituted = p->words_a == 1 && p->words_b == 1,
        .added = p->words_a + p->words_b == 1,
        .reworded = p->words_a > 1 && p->words_b > 1,
        .trouble = guard_trouble_told(a) != guard_trouble_told(b),
        .enclosed = enclosed,
    };
}

void guard_check_read(struct guard_text *a, struct span b, struct guard_outcome *out)
{
    struct guard_text text;
    struct guard_pair p;

    guard_text_read(b, &text);
    compare(a, &text, &p, out);
    find_fired(&p, out);
}

void guard_check(struct span a, struct span b, struct guard_outcome *out)
{
    struct guard_text text;

    guard_text_read(a, &text);
    guard_check_read(&text, b, out);
}

void guard_explain(struct guard_text *a, struct guard_text *b, struct guard_outcome *out,
                   struct guard_report each[GUARD_COUNT])
{
    struct guard_pair p;
    double alike;

    compare(a, b, &p, out);
    alike = most_alike(&p);
    for (size_t i = 0; i < ARRAY_LEN(guards); i++) {
        each[i] = (struct guard_report){guards[i].name, ask(&p, i, alike)};
        note(i, each[i].verdict, out);
    }
}

const char *guard_verdict_name(enum guard_verdict v)
{
    static const char *const names[] = {[GUARD_PASSED] = "passed",
                                        [GUARD_GATED] = "gated",
                                        [GUARD_DOUBTED] = "doubted",
                                        [GUARD_FIRED] = "fired"};

    return names[v];
}
