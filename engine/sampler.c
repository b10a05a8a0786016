#include "engine/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum status sampler_init(struct sampler *s, float temperature, float top_p, uint32_t top_k,
                         uint64_t seed, size_t vocabulary)
{
    *s = (struct sampler){.temperature = temperature,
                          .top_p = top_p,
                          .top_k = top_k,
                          .state = seed,
                          .cap = vocabulary};
    if (temperature <= 0)
        return ST_OK;
    s->items = malloc(vocabulary * sizeof(*s->items));
    return s->items != NULL ? ST_OK : ST_NOMEM;
}

void sampler_release(struct sampler *s)
{
    free(s->items);
    s->items = NULL;
}

/* The largest first, in lanes, then the first that is it. */
uint32_t sampler_likeliest(const float *logits, size_t n)
{
    float lanes[16], most = -INFINITY;
    size_t i = 0;

    for (size_t k = 0; k < 16; k++)
        lanes[k] = -INFINITY;
    for (; i + 16 <= n; i += 16) {
        for (size_t k = 0; k < 16; k++)
            lanes[k] = logits[i + k] > lanes[k] ? logits[i + k] : lanes[k];
    }
    for (; i < n; i++)
        most = logits[i] > most ? logits[i] : most;
    for (size_t k = 0; k < 16; k++)
        most = lanes[k] > most ? lanes[k] : most;
    for (i = 0; i < n; i++) {
        if (logits[i] == most)
            return (uint32_t)i;
    }
    return 0;
}

/* splitmix64 (Steele, Lea, Flood 2014), as a number in [0, 1). */
static double uniform(struct sampler *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static bool is_before(const struct sampler_item *x, const struct sampler_item *y)
{
    return x->logit != y->logit ? x->logit > y->logit : x->id < y->id;
}

/* Puts items[at] where it belongs in a heap of n, the best on top. */
static void sink(struct sampler_item *items, size_t at, size_t n)
{
    struct sampler_item x = items[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= n)
            break;
        if (child + 1 < n && is_before(&items[child + 1], &items[child]))
            child++;
        if (!is_before(&items[child], &x))
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = x;
}

/* What is 40 temperatures below the best has e^-40 of its chance: it is left out. */
static size_t collect(struct sampler *s, const float *logits, size_t n, float best)
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < s->cap; i++) {
        if (logits[i] >= best - 40 * s->temperature)
            s->items[kept++] = (struct sampler_item){logits[i], (uint32_t)i};
    }
    return kept;
}

static double weight(const struct sampler *s, const struct sampler_item *x, float best)
{
    return (double)expf((x->logit - best) / s->temperature);
}

static double mass(const struct sampler *s, const struct sampler_item *items, size_t n,
                   float best)
{
    double total = 0;

    for (size_t i = 0; i < n; i++)
        total += weight(s, &items[i], best);
    return total;
}

/* Takes the best from the heap, to the end of the items, until they make up top_p of `total`
 * or are `most`: mostly a few of very many, so these are not sorted. */
static size_t take_best(struct sampler *s, size_t n, size_t most, double total, float best)
{
    double sum = 0;
    size_t taken = 0;

    while (taken < n && taken < most && (taken == 0 || sum < (double)s->top_p * total)) {
        struct sampler_item x = s->items[0];

        s->items[0] = s->items[n - taken - 1];
        sink(s->items, 0, n - taken - 1);
        s->items[n - ++taken] = x;
        sum += weight(s, &x, best);
    }
    return taken;
}

static uint32_t draw(struct sampler *s, const struct sampler_item *items, size_t n, float best)
{
    double at = uniform(s) * mass(s, items, n, best);

    for (size_t i = 0; i < n; i++) {
        at -= weight(s, &items[i], best);
        if (at < 0)
            return items[i].id;
    }
    return items[n - 1].id;
}

uint32_t sampler_next(struct sampler *s, const float *logits, size_t n)
{
    uint32_t likeliest = sampler_likeliest(logits, n);
    float best = logits[likeliest];
    size_t kept, taken;
    double total;

    if (s->temperature <= 0)
        return likeliest;
    kept = collect(s, logits, n, best);
    if (kept == 0)
        return likeliest;
    if (s->top_p >= 1 && s->top_k == 0)
        return draw(s, s->items, kept, best);
    for (size_t i = kept / 2; i-- > 0;)
        sink(s->items, i, kept);
    total = s->top_k == 0 ? mass(s, s->items, kept, best) : INFINITY;
    taken = take_best(s, kept, s->top_k > 0 ? s->top_k : kept, total, best);
    /* top_p is of what top_k has left. They stand behind the heap, the best last. */
    if (s->top_k > 0 && s->top_p < 1) {
        const struct sampler_item *end = s->items + kept;
        double sum = 0;

        total = mass(s, end - taken, taken, best);
        for (size_t i = 1; i <= taken; i++) {
            sum += weight(s, end - i, best);
            if (sum >= (double)s->top_p * total)
                taken = i;
        }
    }
    return draw(s, s->items + kept - taken, taken, best);
}
