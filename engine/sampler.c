#include "engine/sampler.h"

#include <math.h>
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

static int best_first(const void *a, const void *b)
{
    const struct sampler_item *x = a, *y = b;

    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* How many of the sorted items make up top_p of the mass; *sum is theirs. */
static size_t cut(const struct sampler *s, double *weights_sum, size_t n)
{
    double total = 0, sum = 0;
    size_t k = 0;

    for (size_t i = 0; i < n; i++)
        total += exp((double)(s->items[i].logit - s->items[0].logit) / (double)s->temperature);
    while (k < n) {
        sum += exp((double)(s->items[k].logit - s->items[0].logit) / (double)s->temperature);
        k++;
        if (sum >= (double)s->top_p * total)
            break;
    }
    *weights_sum = sum;
    return k;
}

uint32_t sampler_next(struct sampler *s, const float *logits, size_t n)
{
    size_t kept = 0, k;
    float best;
    double sum, at;

    if (s->temperature <= 0)
        return sampler_likeliest(logits, n);
    best = logits[sampler_likeliest(logits, n)];
    /* What is 40 temperatures below the best has e^-40 of its chance: not worth sorting. */
    for (size_t i = 0; i < n && kept < s->cap; i++) {
        if (logits[i] >= best - 40 * s->temperature)
            s->items[kept++] = (struct sampler_item){logits[i], (uint32_t)i};
    }
    if (kept == 0)
        return sampler_likeliest(logits, n);
    qsort(s->items, kept, sizeof(*s->items), best_first);
    if (s->top_k > 0 && kept > s->top_k)
        kept = s->top_k;
    k = cut(s, &sum, kept);
    at = uniform(s) * sum;
    for (size_t i = 0; i < k; i++) {
        at -= exp((double)(s->items[i].logit - s->items[0].logit) / (double)s->temperature);
        if (at < 0)
            return s->items[i].id;
    }
    return s->items[k - 1].id;
}
