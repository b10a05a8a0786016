/* As training.c does it: each penalty of a grid, once for each fold that is held out; the one
 * with the least cost there is taken for the fit on everything, and the scores of held-out rows
 * give calibration (Platt's), lines and figures. */
#include "router/cascade_training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "router/regression.h"

#define FREE_PENALTY 1e-3 /* of the offset */
#define COLUMNS      (1 + CASCADE_INPUTS)
#define GRID         4

/* From the tightest. */
static const double grid[GRID] = {300, 100, 30, 10};

/* Rows of {1, cascade_inputs()}. */
struct table {
    const struct cascade_outcome *o;
    size_t rows;
    float *x;         /* owned, as the rest is */
    double *y, *held; /* held: score of each row by the fit without it */
    double *best, *p; /* … with the best penalty so far; P(right) of it */
    bool *use;
    struct curve_outcome *curve;
    struct cascade *scale; /* borrowed: its means and spreads */
};

static void table_release(struct table *t)
{
    free(t->x);
    free(t->y);
    free(t->held);
    free(t->best);
    free(t->p);
    free(t->use);
    free(t->curve);
}

static bool table_room(struct table *t, size_t n)
{
    t->x = calloc(n * COLUMNS, sizeof(*t->x));
    t->y = calloc(n, sizeof(*t->y));
    t->held = calloc(n, sizeof(*t->held));
    t->best = calloc(n, sizeof(*t->best));
    t->p = calloc(n, sizeof(*t->p));
    t->use = calloc(n, sizeof(*t->use));
    t->curve = calloc(n, sizeof(*t->curve));
    return t->x != NULL && t->y != NULL && t->held != NULL && t->best != NULL && t->p != NULL &&
           t->use != NULL && t->curve != NULL;
}

static void measure_sign(struct table *t, size_t k)
{
    double sum = 0, squares = 0, n = (double)t->rows;

    for (size_t i = 0; i < t->rows; i++)
        sum += t->o[i].signs[k];
    t->scale->mean[k] = sum / n;
    for (size_t i = 0; i < t->rows; i++)
        squares +=
            (t->o[i].signs[k] - t->scale->mean[k]) * (t->o[i].signs[k] - t->scale->mean[k]);
    /* One that never varies is 0 in all rows, and its weight too. */
    t->scale->spread[k] = squares > 1e-9 * n ? sqrt(squares / n) : 1;
}

static void table_fill(struct table *t)
{
    for (size_t k = 0; k < SIGNS_COUNT; k++)
        measure_sign(t, k);
    for (size_t i = 0; i < t->rows; i++) {
        float *x = t->x + i * COLUMNS;
        double in[CASCADE_INPUTS];

        cascade_inputs(t->scale, t->o[i].signs, in);
        x[0] = 1;
        for (size_t k = 0; k < CASCADE_INPUTS; k++)
            x[1 + k] = (float)in[k];
        t->y[i] = t->o[i].small;
    }
}

static enum status fit(struct table *t, double penalty, bool all, double *w)
{
    double penalties[COLUMNS];
    struct regression_data d = {t->x, t->y, all ? NULL : t->use, t->rows, COLUMNS, penalties};

    penalties[0] = FREE_PENALTY;
    for (size_t k = 1; k < COLUMNS; k++)
        penalties[k] = penalty;
    memset(w, 0, COLUMNS * sizeof(*w));
    return regression_fit(&d, w);
}

/* *cost: of the held-out rows. */
static enum status hold_out(struct table *t, double penalty, double *cost)
{
    double w[COLUMNS];

    *cost = 0;
    for (size_t fold = 0; fold < CASCADE_TRAINING_FOLDS; fold++) {
        enum status st;

        for (size_t i = 0; i < t->rows; i++)
            t->use[i] = i % CASCADE_TRAINING_FOLDS != fold;
        st = fit(t, penalty, false, w);
        if (st != ST_OK)
            return st;
        for (size_t i = fold; i < t->rows; i += CASCADE_TRAINING_FOLDS) {
            t->held[i] = regression_score(t->x + i * COLUMNS, w, COLUMNS);
            *cost += regression_cost(t->held[i], t->y[i]);
        }
    }
    return ST_OK;
}

static enum status choose_penalty(struct table *t, double *penalty)
{
    double least = INFINITY;

    for (size_t i = 0; i < GRID; i++) {
        double cost;
        enum status st = hold_out(t, grid[i], &cost);

        if (st != ST_OK)
            return st;
        if (cost < least) {
            least = cost;
            *penalty = grid[i];
            memcpy(t->best, t->held, t->rows * sizeof(*t->held));
        }
    }
    return ST_OK;
}

struct ranked {
    double p, y;
};

static int by_p(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->p, y = ((const struct ranked *)b)->p;

    return (x > y) - (x < y);
}

/* Mann and Whitney's statistic; a label between 0 and 1 counts as that much of either. */
static enum status area_of(const double *p, const double *y, size_t n, double *out)
{
    struct ranked *r = calloc(n, sizeof(*r));
    double wrong = 0, right = 0, sum = 0;

    if (r == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < n; i++)
        r[i] = (struct ranked){p[i], y[i]};
    qsort(r, n, sizeof(*r), by_p);
    for (size_t i = 0, end; i < n; i = end) {
        double here_wrong = 0, here_right = 0;

        for (end = i; end < n && !(r[end].p > r[i].p); end++) {
            here_right += r[end].y;
            here_wrong += 1 - r[end].y;
        }
        sum += here_right * (wrong + here_wrong / 2);
        wrong += here_wrong;
        right += here_right;
    }
    free(r);
    *out = wrong > 0 && right > 0 ? sum / wrong / right : 0.5;
    return ST_OK;
}

static enum status report_on(const struct cascade *c, const struct table *t, double loss_max,
                             struct cascade_report *r)
{
    double n = (double)t->rows;

    r->right = r->stays = r->lost = 0;
    r->line = cascade_line(c, loss_max);
    for (size_t i = 0; i < t->rows; i++) {
        r->right += t->y[i] / n;
        if (t->p[i] < r->line)
            continue;
        r->stays += 1 / n;
        r->lost += fmax(0, t->o[i].large - t->o[i].small) / n;
    }
    r->calibration_error = curve_calibration_error(t->p, t->y, t->rows);
    return area_of(t->p, t->y, t->rows, &r->area);
}

/* Of the group that loses most of its answers where what is not above `loss` stays. *least: how
 * many the smallest group has. */
static double worst_loss(const struct table *t, double loss, uint64_t *least)
{
    double lost[CASCADE_TRAINING_GROUPS] = {0}, worst = 0;
    uint64_t n[CASCADE_TRAINING_GROUPS] = {0};

    for (size_t i = 0; i < t->rows; i++) {
        n[t->o[i].group]++;
        if (1 - t->p[i] <= loss)
            lost[t->o[i].group] += fmax(0, t->o[i].large - t->o[i].small);
    }
    *least = t->rows;
    for (size_t g = 0; g < CASCADE_TRAINING_GROUPS; g++) {
        if (n[g] == 0)
            continue;
        worst = fmax(worst, lost[g] / (double)n[g]);
        *least = n[g] < *least ? n[g] : *least;
    }
    return worst;
}

/* What is lost counts, not what an answer of the small model may be better by. */
static int by_loss(const void *a, const void *b)
{
    double x = ((const struct curve_outcome *)a)->loss;
    double y = ((const struct curve_outcome *)b)->loss;

    return (x < y) - (x > y);
}

static void draw(struct table *t, struct cascade *out)
{
    for (size_t i = 0; i < t->rows; i++)
        t->curve[i] = (struct curve_outcome){.small = fmin(t->o[i].small, t->o[i].large),
                                             .large = t->o[i].large,
                                             .loss = 1 - t->p[i]};
    qsort(t->curve, t->rows, sizeof(*t->curve), by_loss);
    curve_settings(t->curve, t->rows, out->settings);
    for (size_t i = 0; i < CURVE_SETTINGS; i++)
        out->settings[i].quality = worst_loss(t, out->settings[i].loss, &out->least);
}

static enum status learn(struct table *t, double loss_max, struct cascade *out,
                         struct cascade_report *report)
{
    struct regression_scale scale;
    double w[COLUMNS];
    enum status st = choose_penalty(t, &report->penalty);

    if (st == ST_OK)
        st = fit(t, report->penalty, true, w);
    if (st != ST_OK)
        return st;
    scale = regression_calibrate(t->best, t->y, NULL, t->rows, 0);
    for (size_t i = 0; i < t->rows; i++)
        t->p[i] = regression_of(scale.slope * t->best[i] + scale.offset);
    out->offset = scale.slope * w[0] + scale.offset;
    for (size_t k = 0; k < CASCADE_INPUTS; k++)
        out->weight[k] = scale.slope * w[1 + k];
    out->outcomes = t->rows;
    draw(t, out);
    return report_on(out, t, loss_max, report);
}

static bool can_learn(const struct cascade_outcome *o, size_t n)
{
    double right = 0;

    for (size_t i = 0; i < n; i++)
        right += o[i].small;
    return n >= CASCADE_TRAINING_MIN && n <= CASCADE_TRAINING_MAX && right > 0 &&
           right < (double)n;
}

enum status cascade_training_run(const struct cascade_outcome *o, size_t n, double loss_max,
                                 struct cascade *out, struct cascade_report *report)
{
    struct table t = {.o = o, .rows = n, .scale = out};
    enum status st = ST_NOMEM;

    if (!can_learn(o, n))
        return ST_INVALID;
    *out = (struct cascade){.models = ""};
    if (table_room(&t, n)) {
        table_fill(&t);
        st = learn(&t, loss_max, out, report);
    }
    table_release(&t);
    return st;
}

enum status cascade_training_test(const struct cascade *c, const struct cascade_outcome *o,
                                  size_t n, double loss_max, struct cascade_report *report)
{
    struct table t = {.o = o, .rows = n};
    enum status st = ST_NOMEM;

    if (n == 0)
        return ST_INVALID;
    if (table_room(&t, n)) {
        for (size_t i = 0; i < n; i++) {
            t.p[i] = cascade_sure(c, o[i].signs);
            t.y[i] = o[i].small;
        }
        report->penalty = 0;
        st = report_on(c, &t, loss_max, report);
    }
    table_release(&t);
    return st;
}
