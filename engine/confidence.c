#include "engine/confidence.h"

#include <math.h>

#define LANES 16
/* Further below the best nothing has a chance that a float knows. */
#define FAR 60.0f

/* Sums in lanes: of a large vocabulary one after the other they would lose digits, and time. */
struct lanes {
    float mass[LANES], leaning[LANES]; /* of exp(d), and of d exp(d), d below the best */
    float next[LANES];                 /* the largest below the best */
    int best[LANES];                   /* how many are the best */
};

static float largest(const float *x, size_t n)
{
    float lanes[LANES], most = -INFINITY;
    size_t i = 0;

    for (size_t k = 0; k < LANES; k++)
        lanes[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++)
            lanes[k] = x[i + k] > lanes[k] ? x[i + k] : lanes[k];
    }
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (size_t k = 0; k < LANES; k++)
        most = lanes[k] > most ? lanes[k] : most;
    return most;
}

/* e^x for x in [-FAR, 0]: 2^n with n = round(x / ln 2) and a polynomial for the rest (Cephes'
 * expf), which compilers turn into vectors. */
static inline float exponential(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float n = x * 1.44269504f + magic - magic, r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    union {
        int32_t i;
        float f;
    } power = {.i = ((int32_t)n + 127) * (1 << 23)};

    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (p * r * r + r + 1.0f) * power.f;
}

static inline void add(struct lanes *l, float most, const float *x, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        float d = x[k] - most > -FAR ? x[k] - most : -FAR;
        float p = exponential(d), below = x[k] < most ? x[k] : -INFINITY;

        l->mass[k] += p;
        l->leaning[k] += p * d;
        l->next[k] = below > l->next[k] ? below : l->next[k];
        l->best[k] += x[k] == most;
    }
}

void confidence_look(const float *logits, size_t n, struct confidence_row *out)
{
    struct lanes l = {.mass = {0}};
    double mass = 0, leaning = 0;
    int best = 0;
    size_t i = 0;

    for (size_t k = 0; k < LANES; k++)
        l.next[k] = -INFINITY;
    out->most = largest(logits, n);
    out->next = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        add(&l, out->most, logits + i, LANES);
    add(&l, out->most, logits + i, n - i);
    for (size_t k = 0; k < LANES; k++) {
        mass += (double)l.mass[k];
        leaning += (double)l.leaning[k];
        out->next = l.next[k] > out->next ? l.next[k] : out->next;
        best += l.best[k];
    }
    if (best > 1)
        out->next = out->most;
    out->log_sum = log(mass);
    out->entropy = out->log_sum - leaning / mass;
}

void confidence_add(struct decoder_confidence *c, const struct confidence_row *row, float logit)
{
    double log_p = (double)logit - (double)row->most - row->log_sum;
    double margin =
        exp(-row->log_sum) - exp((double)row->next - (double)row->most - row->log_sum);

    if (c->tokens == 0)
        c->first_margin = margin;
    if (c->tokens == 0 || log_p < c->least_log_p)
        c->least_log_p = log_p;
    if (c->tokens == 0 || margin < c->least_margin)
        c->least_margin = margin;
    c->tokens++;
    c->log_p += log_p;
    c->entropy += row->entropy;
}
