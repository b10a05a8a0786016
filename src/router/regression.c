#include "router/regression.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEWTON_STEPS_MAX  30
#define CG_STEPS_MAX      60
#define CG_TOLERANCE      0.1  /* of the gradient */
#define NEWTON_TOLERANCE  1e-4 /* of the first gradient, or what is near nothing */
#define HALVINGS_MAX      20
#define CALIBRATION_STEPS 50
/* The slope is thought to be 1, give or take 0.25: a few hundred labels know less than that,
 * and what they say by chance must not turn the order round. */
#define SLOPE_PULL  16
#define OFFSET_PULL 1e-3

double regression_score(const float *x, const double *w, size_t columns)
{
    double sum[8] = {0};
    size_t i = 0;

    for (; i + 8 <= columns; i += 8) {
        for (size_t k = 0; k < 8; k++)
            sum[k] += (double)x[i + k] * w[i + k];
    }
    for (; i < columns; i++)
        sum[0] += (double)x[i] * w[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

double regression_of(double score)
{
    return 1 / (1 + exp(-score));
}

double regression_cost(double score, double y)
{
    /* log(1 + exp(s)) - y s, without an overflow. */
    return fmax(score, 0) + log1p(exp(-fabs(score))) - y * score;
}

/* What a fit works with; all of one block. */
struct fit {
    const struct regression_data *d;
    double *gradient, *step, *residual, *direction, *product, *trial; /* columns each */
    double *curve;                                                    /* rows */
};

static bool used(const struct regression_data *d, size_t row)
{
    return d->use == NULL || d->use[row];
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add(double *to, const float *x, double times, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += times * (double)x[i];
}

static double cost(const struct regression_data *d, const double *w)
{
    double sum = 0;

    for (size_t i = 0; i < d->rows; i++) {
        if (used(d, i))
            sum += regression_cost(regression_score(d->x + i * d->columns, w, d->columns),
                                   d->y[i]);
    }
    for (size_t k = 0; k < d->columns; k++)
        sum += d->penalty[k] * w[k] * w[k] / 2;
    return sum;
}

/* Gradient of the cost at w, and p (1 - p) of each row. */
static void look(struct fit *f, const double *w)
{
    const struct regression_data *d = f->d;

    for (size_t k = 0; k < d->columns; k++)
        f->gradient[k] = d->penalty[k] * w[k];
    for (size_t i = 0; i < d->rows; i++) {
        const float *x = d->x + i * d->columns;
        double p;

        if (!used(d, i))
            continue;
        p = regression_of(regression_score(x, w, d->columns));
        f->curve[i] = p * (1 - p);
        add(f->gradient, x, p - d->y[i], d->columns);
    }
}

/* The Hessian, X' diag(p (1 - p)) X + diag(penalty), times v. */
static void multiply(const struct fit *f, const double *v, double *out)
{
    const struct regression_data *d = f->d;

    for (size_t k = 0; k < d->columns; k++)
        out[k] = d->penalty[k] * v[k];
    for (size_t i = 0; i < d->rows; i++) {
        const float *x = d->x + i * d->columns;

        if (used(d, i))
            add(out, x, f->curve[i] * regression_score(x, v, d->columns), d->columns);
    }
}

/* step: Hessian · step = -gradient, about. */
static void solve(struct fit *f)
{
    size_t n = f->d->columns;
    double *r = f->residual, *p = f->direction, *hp = f->product;
    double rr, enough;

    for (size_t k = 0; k < n; k++) {
        f->step[k] = 0;
        r[k] = p[k] = -f->gradient[k];
    }
    rr = dot(r, r, n);
    enough = rr * CG_TOLERANCE * CG_TOLERANCE;
    for (int i = 0; i < CG_STEPS_MAX && rr > enough; i++) {
        double before = rr, length;

        multiply(f, p, hp);
        length = rr / dot(p, hp, n);
        for (size_t k = 0; k < n; k++) {
            f->step[k] += length * p[k];
            r[k] -= length * hp[k];
        }
        rr = dot(r, r, n);
        for (size_t k = 0; k < n; k++)
            p[k] = r[k] + rr / before * p[k];
    }
}

/* Along the step as far as the cost falls. false: it falls no more. */
static bool walk(struct fit *f, double *w, double *now)
{
    size_t n = f->d->columns;
    double length = 1;

    for (int i = 0; i < HALVINGS_MAX; i++, length /= 2) {
        double there;

        for (size_t k = 0; k < n; k++)
            f->trial[k] = w[k] + length * f->step[k];
        there = cost(f->d, f->trial);
        if (there < *now) {
            *now = there;
            memcpy(w, f->trial, n * sizeof(*w));
            return true;
        }
    }
    return false;
}

enum status regression_fit(const struct regression_data *d, double *w)
{
    size_t n = d->columns;
    struct fit f = {.d = d};
    double *room = calloc(6 * n + d->rows, sizeof(*room));
    double now, first = -1;

    if (room == NULL)
        return ST_NOMEM;
    f.gradient = room;
    f.step = room + n;
    f.residual = room + 2 * n;
    f.direction = room + 3 * n;
    f.product = room + 4 * n;
    f.trial = room + 5 * n;
    f.curve = room + 6 * n;
    now = cost(d, w);
    for (int i = 0; i < NEWTON_STEPS_MAX; i++) {
        double size;

        look(&f, w);
        size = sqrt(dot(f.gradient, f.gradient, n));
        if (first < 0)
            first = fmax(size, (double)d->rows * 0.01);
        if (size <= NEWTON_TOLERANCE * first)
            break;
        solve(&f);
        if (!walk(&f, w, &now))
            break;
    }
    free(room);
    return ST_OK;
}

/* What a scale costs: of the labels, and for being far from (1, 0). */
static double scale_cost(struct regression_scale s, const double *score, const double *y,
                         const bool *use, size_t n)
{
    double sum =
        SLOPE_PULL * (s.slope - 1) * (s.slope - 1) / 2 + OFFSET_PULL * s.offset * s.offset / 2;

    for (size_t i = 0; i < n; i++) {
        if (use == NULL || use[i])
            sum += regression_cost(s.slope * score[i] + s.offset, y[i]);
    }
    return sum;
}

/* Gradient and curvature of the cost. */
struct scale_slope {
    double g0, g1, h00, h01, h11;
};

static struct scale_slope scale_look(struct regression_scale s, const double *score,
                                     const double *y, const bool *use, size_t n)
{
    struct scale_slope l = {.g0 = SLOPE_PULL * (s.slope - 1),
                            .g1 = OFFSET_PULL * s.offset,
                            .h00 = SLOPE_PULL,
                            .h11 = OFFSET_PULL};

    for (size_t i = 0; i < n; i++) {
        double p, c;

        if (use != NULL && !use[i])
            continue;
        p = regression_of(s.slope * score[i] + s.offset);
        c = p * (1 - p);
        l.g0 += (p - y[i]) * score[i];
        l.g1 += p - y[i];
        l.h00 += c * score[i] * score[i];
        l.h01 += c * score[i];
        l.h11 += c;
    }
    return l;
}

/* Newton's step: in two dimensions, or along the offset alone. */
static struct regression_scale scale_step(const struct scale_slope *l, bool offset_only)
{
    double det = l->h00 * l->h11 - l->h01 * l->h01;

    if (offset_only)
        return (struct regression_scale){0, l->g1 / l->h11};
    return (struct regression_scale){(l->h11 * l->g0 - l->h01 * l->g1) / det,
                                     (l->h00 * l->g1 - l->h01 * l->g0) / det};
}

static struct regression_scale scale_fit(struct regression_scale s, bool offset_only,
                                         const double *score, const double *y, const bool *use,
                                         size_t n)
{
    double now = scale_cost(s, score, y, use, n);

    for (int i = 0; i < CALIBRATION_STEPS; i++) {
        struct scale_slope l = scale_look(s, score, y, use, n);
        struct regression_scale step = scale_step(&l, offset_only), to = s;
        double length = 1, there = INFINITY;

        for (int k = 0; k < HALVINGS_MAX && !(there < now); k++, length /= 2) {
            to = (struct regression_scale){s.slope - length * step.slope,
                                           s.offset - length * step.offset};
            there = scale_cost(to, score, y, use, n);
        }
        if (!(there < now))
            break;
        now = there;
        s = to;
    }
    return s;
}

struct regression_scale regression_calibrate(const double *score, const double *y,
                                             const bool *use, size_t n, double caution)
{
    struct regression_scale s =
        scale_fit((struct regression_scale){1, 0}, false, score, y, use, n);
    struct scale_slope l = scale_look(s, score, y, use, n);
    /* The slope's variance is its place in the inverse of the curvature. */
    double error = sqrt(l.h11 / (l.h00 * l.h11 - l.h01 * l.h01));

    s.slope = fmax(s.slope - caution * error, 0);
    return scale_fit(s, true, score, y, use, n);
}
