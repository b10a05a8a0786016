#include "cache/logistic.h"

#include <math.h>
#include <string.h>

#define N LOGISTIC_INPUTS
/* Of an observation's information: keeps the precision well above rounding. */
#define CURVE_MIN 1e-4

/* Cholesky. */
static void find_root(struct logistic *l)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = l->precision[i][j];

            for (int k = 0; k < j; k++)
                sum -= l->root[i][k] * l->root[j][k];
            l->root[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / l->root[j][j];
        }
    }
}

/* Lz = x. */
static void solve_lower(const struct logistic *l, const double *x, double *z)
{
    for (int i = 0; i < N; i++) {
        z[i] = x[i];
        for (int k = 0; k < i; k++)
            z[i] -= l->root[i][k] * z[k];
        z[i] /= l->root[i][i];
    }
}

/* L'v = z. */
static void solve_upper(const struct logistic *l, const double *z, double *v)
{
    for (int i = N - 1; i >= 0; i--) {
        v[i] = z[i];
        for (int k = i + 1; k < N; k++)
            v[i] -= l->root[k][i] * v[k];
        v[i] /= l->root[i][i];
    }
}

void logistic_init(struct logistic *l, const double *weight, const double *precision)
{
    *l = (struct logistic){.weight = {0}};
    memcpy(l->weight, weight, sizeof(l->weight));
    for (int i = 0; i < N; i++)
        l->precision[i][i] = precision[i];
    find_root(l);
}

double logistic_score(const struct logistic *l, const double *x)
{
    double sum = 0;

    for (int i = 0; i < N; i++)
        sum += l->weight[i] * x[i];
    return sum;
}

/* Var(w·x) = x'(LL')^-1 x = |z|^2 with Lz = x. */
double logistic_deviation(const struct logistic *l, const double *x)
{
    double z[N], sum = 0;

    solve_lower(l, x, z);
    for (int i = 0; i < N; i++)
        sum += z[i] * z[i];
    return sqrt(sum);
}

double logistic_of(double score)
{
    return 1 / (1 + exp(-score));
}

/* With P(label 1) = (1 - f) p: the slope of log P(label) in the score, and the information
 * of the observation, where for a label 0 only what speaks against 1 counts. */
void logistic_learn(struct logistic *l, const double *x, bool y, double flipped, double fade,
                    const double *prior_precision)
{
    double p = logistic_of(logistic_score(l, x));
    double zero = 1 - (1 - flipped) * p; /* P(label 0) */
    double slope = y ? 1 - p : -(1 - flipped) * p * (1 - p) / zero;
    double curve = p * (1 - p) * (y ? 1 : 1 - flipped * p / zero);
    double z[N], step[N];

    if (curve < CURVE_MIN)
        curve = CURVE_MIN;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            l->precision[i][j] = (1 - fade) * l->precision[i][j] + curve * x[i] * x[j];
        l->precision[i][i] += fade * prior_precision[i];
    }
    find_root(l);
    solve_lower(l, x, z);
    solve_upper(l, z, step);
    for (int i = 0; i < N; i++)
        l->weight[i] += slope * step[i];
}

void logistic_fade(struct logistic *l, double share, const double *prior_weight,
                   const double *prior_precision)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            l->precision[i][j] *= share;
        l->precision[i][i] += (1 - share) * prior_precision[i];
        l->weight[i] = prior_weight[i] + share * (l->weight[i] - prior_weight[i]);
    }
    find_root(l);
}
