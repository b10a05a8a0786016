#include "engine/format_fit.h"

#include <math.h>

#define STEPS 9    /* scales that are tried on each side of the obvious one */
#define STEP  0.1f /* of a code */

int format_fit_code(float x, float d, float m, int low, int high)
{
    float q = d != 0 ? rintf((x - m) / d) : 0;

    if (!(q > (float)low)) /* no number: the lowest */
        return low;
    return q < (float)high ? (int)q : high;
}

size_t format_fit_place(float x, float d, const int8_t *table, size_t count)
{
    float v = d != 0 ? x / d : 0;
    size_t at = 0;

    while (at + 1 < count && v - (float)table[at] > (float)table[at + 1] - v)
        at++;
    return at;
}

static float largest(const float *x, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    return most;
}

/* For given codes the error is least at d = sum(w x q) / sum(w q^2), and smaller by
 * sum(w x q)^2 / sum(w q^2) than without any. */
struct best {
    double gain;
    float d;
};

static void consider(struct best *b, double xq, double qq)
{
    if (qq > 0 && xq * xq > b->gain * qq) {
        b->gain = xq * xq / qq;
        b->d = (float)(xq / qq);
    }
}

float format_fit_scale(const float *x, const float *w, size_t n, int low, int high)
{
    struct best best = {0, 0};
    float most = largest(x, n);

    if (most == 0)
        return 0;
    /* The largest value may stand at either end. */
    for (int end = 0; end < 2; end++) {
        for (int k = -STEPS; k <= STEPS; k++) {
            float d = most / ((float)(end == 0 ? low : high) + STEP * (float)k);
            double xq = 0, qq = 0;

            for (size_t i = 0; i < n; i++) {
                int q = format_fit_code(x[i], d, 0, low, high);

                xq += (double)w[i] * (double)x[i] * q;
                qq += (double)w[i] * q * q;
            }
            consider(&best, xq, qq);
        }
    }
    return best.d;
}

float format_fit_table(const float *x, const float *w, size_t n, const int8_t *table,
                       size_t count)
{
    struct best best = {0, 0};
    float most = largest(x, n);

    if (most == 0)
        return 0;
    for (int end = 0; end < 2; end++) {
        float edge = (float)table[end == 0 ? 0 : count - 1];

        for (int k = -STEPS; k <= STEPS; k++) {
            float d = most / (edge * (1 + 0.02f * (float)k));
            double xq = 0, qq = 0;

            for (size_t i = 0; i < n; i++) {
                int q = table[format_fit_place(x[i], d, table, count)];

                xq += (double)w[i] * (double)x[i] * q;
                qq += (double)w[i] * q * q;
            }
            consider(&best, xq, qq);
        }
    }
    return best.d;
}

/* --- with an offset -------------------------------------------------------------------- */

struct sums {
    double w, x, q, xq, qq;
};

/* Least squares of two unknowns for the codes that d and m give. */
static struct sums sums_of(const float *x, const float *w, size_t n, int high, float d, float m)
{
    struct sums s = {0, 0, 0, 0, 0};

    for (size_t i = 0; i < n; i++) {
        int q = format_fit_code(x[i], d, m, 0, high);
        double weight = (double)w[i];

        s.w += weight;
        s.x += weight * (double)x[i];
        s.q += weight * q;
        s.xq += weight * (double)x[i] * q;
        s.qq += weight * q * q;
    }
    return s;
}

static double error_of(const float *x, const float *w, size_t n, int high, float d, float m)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double e =
            (double)x[i] - ((double)d * format_fit_code(x[i], d, m, 0, high) + (double)m);

        sum += (double)w[i] * e * e;
    }
    return sum;
}

static void solve(const struct sums *s, int below, float *d, float *m)
{
    double det = s->w * s->qq - s->q * s->q;
    double a = det > 0 ? (s->w * s->xq - s->q * s->x) / det : 0;
    double b = (s->x - a * s->q) / s->w;

    if (below && b > 0) {
        b = 0;
        a = s->qq > 0 ? s->xq / s->qq : 0;
    }
    *d = a > 0 ? (float)a : 0;
    *m = (float)b;
}

void format_fit_offset(const float *x, const float *w, size_t n, int high, int below, float *d,
                       float *m)
{
    float least = x[0], most = x[0];
    double best;

    for (size_t i = 1; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    if (below && least > 0)
        least = 0;
    *m = least;
    *d = most > least ? (most - least) / (float)high : 0;
    best = error_of(x, w, n, high, *d, *m);
    if (!(most > least))
        return;
    for (int k = -STEPS; k <= STEPS; k++) {
        float td = (most - least) / ((float)high + STEP * (float)k), tm = least;
        struct sums s = sums_of(x, w, n, high, td, tm);
        double e;

        solve(&s, below, &td, &tm);
        e = error_of(x, w, n, high, td, tm);
        if (e < best) {
            best = e;
            *d = td;
            *m = tm;
        }
    }
}
