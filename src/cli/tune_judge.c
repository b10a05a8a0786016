/* `ibid tune judge`: what a judge is worth, on cases of which somebody said what is true of
 * them. A judge that tells hardly better than chance is better left off. */
#include "cli/tune_judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "cache/admission.h"
#include "cache/decision.h"
#include "cache/guard.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/embed_texts.h"
#include "cli/local_judge.h"
#include "cli/progress.h"
#include "cli/tune_pairs.h"
#include "cli/output.h"
#include "config/config.h"
#include "proxy/judge_case.h"

#define LOG_ODDS_MAX 20.0

static const char usage[] =
    "usage: ibid tune judge [--by rules|local] [--answers] [--scores FILE] [--json] PAIRS\n"
    "  How well a judge tells labelled pairs of questions apart. PAIRS: JSON lines, '-':\n"
    "  standard input: {\"a\": …, \"b\": …, \"same\": true}\n"
    "  --by JUDGE         rules: guards and verifier, as they decide about hits (default);\n"
    "                     local: the chance that a model on this machine answers Yes\n"
    "  --answers          'b' is an answer to 'a', and 'same' says whether it answers it\n"
    "  --scores FILE      writes P(yes) of each pair, a line each; -1: no verdict\n"
    "  --json             as one JSON object\n"
    "  -m, --model MODEL  a name or a path (judge.local_model; of rules: encoder.model)\n"
    "  -q, --quiet        no progress\n"
    "  -c, --config FILE  settings: judge.*, local.*, encoder.*\n";

struct job {
    struct config *config;
    const char *path, *model, *by, *scores;
    bool answers, json, quiet;
    struct tune_pairs pairs; /* probability: P(yes); below 0: no verdict */
    double us;               /* for all of them */
};

/* --- asking ------------------------------------------------------------------------------- */

static bool ask_rules(struct job *j)
{
    size_t n = j->pairs.count, dimensions;
    struct span *texts = malloc(2 * n * sizeof(*texts));
    float *v;
    bool ok;

    if (texts == NULL) {
        fprintf(stderr, "ibid: out of memory\n");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        texts[2 * i] = j->pairs.pair[i].a;
        texts[2 * i + 1] = j->pairs.pair[i].b;
    }
    ok = embed_texts(j->config, j->model, NULL, texts, 2 * n, &v, &dimensions);
    for (size_t i = 0; ok && i < n; i++) {
        const float *a = v + 2 * i * dimensions, *b = a + dimensions;
        struct guard_outcome g;
        double dot = 0;

        for (size_t k = 0; k < dimensions; k++)
            dot += (double)a[k] * (double)b[k];
        guard_check(j->pairs.pair[i].a, j->pairs.pair[i].b, &g);
        /* A guard that fires refuses, whatever is left of the probability. */
        j->pairs.pair[i].probability =
            g.fired != NULL ? 0 : decision_probability((float)dot, &g);
    }
    if (ok)
        free(v);
    free(texts);
    return ok;
}

static bool ask_admission(struct job *j)
{
    for (size_t i = 0; i < j->pairs.count; i++)
        j->pairs.pair[i].probability =
            admission_no_answer(j->pairs.pair[i].b, clock_wall_ms()) == NULL;
    return true;
}

static bool ask_local(struct job *j)
{
    enum judge_about about = j->answers ? JUDGE_ANSWERS : JUDGE_SAME;
    struct local_judge *judge;
    struct progress p;
    bool ok = local_judge_open(j->config, j->model, &judge);

    progress_init(&p, j->quiet);
    if (!ok)
        return false;
    for (size_t i = 0; ok && i < j->pairs.count; i++) {
        struct tune_pair *x = &j->pairs.pair[i];
        struct judge_case c = {about, x->a, x->b};
        enum status st = local_judge_ask(judge, &c, &x->probability);

        if (st == ST_LIMIT)
            x->probability = -1;
        else if (st != ST_OK)
            ok = false;
        progress_say(&p, "%zu of %zu pairs", i + 1, j->pairs.count);
    }
    progress_end(&p);
    local_judge_close(judge);
    if (!ok)
        fprintf(stderr, "ibid: the model failed\n");
    return ok;
}

static bool ask(struct job *j)
{
    uint64_t t0 = clock_now_us();
    bool ok = strcmp(j->by, "local") == 0 ? ask_local(j)
              : j->answers                ? ask_admission(j)
                                          : ask_rules(j);

    j->us = (double)(clock_now_us() - t0);
    return ok;
}

/* --- figures ------------------------------------------------------------------------------ */

struct score {
    double yes; /* log-odds */
    bool same;
};

struct side {
    size_t count, right;
};

struct figures {
    size_t judged, same;
    double auc;
    size_t right;                  /* as it comes: P(yes) of .5 and more is a yes */
    size_t right_with_bias;        /* with the bias that fits the other half best */
    double bias;                   /* that fits them all best */
    struct side sure_yes, sure_no; /* with that bias, at judge.sure */
};

static double log_odds(double p)
{
    double x = p <= 0 ? -LOG_ODDS_MAX : p >= 1 ? LOG_ODDS_MAX : log(p / (1 - p));

    return x > LOG_ODDS_MAX ? LOG_ODDS_MAX : x < -LOG_ODDS_MAX ? -LOG_ODDS_MAX : x;
}

static int by_yes(const void *a, const void *b)
{
    const struct score *x = a, *y = b;

    return (x->yes > y->yes) - (x->yes < y->yes);
}

/* Of the sorted: how often one of the same has more than one of the others, ties half. */
static double area(const struct score *s, size_t n)
{
    double sum = 0, below = 0, same = 0;

    for (size_t i = 0, k; i < n; i = k) {
        double others = 0, here = 0;

        for (k = i; k < n && s[k].yes == s[i].yes; k++) {
            here += s[k].same;
            others += !s[k].same;
        }
        sum += here * (below + others / 2);
        below += others;
        same += here;
    }
    return below > 0 && same > 0 ? sum / below / same : NAN;
}

/* Of the sorted that `half` says (2: all): the line at which both kinds are told best, each
 * weighing the same (Youden 1950). */
static double best_line(const struct score *s, size_t n, unsigned half)
{
    double same = 0, others = 0, yes, no = 0, most = -1, line = 0, before = -LOG_ODDS_MAX;

    for (size_t i = 0; i < n; i++) {
        if (half != 2 && i % 2 != half)
            continue;
        same += s[i].same;
        others += !s[i].same;
    }
    yes = same;
    for (size_t i = 0; i < n && same > 0 && others > 0; i++) {
        double told = yes / same + no / others;

        if (half != 2 && i % 2 != half)
            continue;
        if (told > most && (i == 0 || s[i].yes > before)) {
            most = told;
            line = (before + s[i].yes) / 2;
        }
        yes -= s[i].same;
        no += !s[i].same;
        before = s[i].yes;
    }
    return line;
}

static void count_sure(const struct score *s, double p, double sure, struct figures *f)
{
    if (p >= sure) {
        f->sure_yes.count++;
        f->sure_yes.right += s->same;
    } else if (p <= 1 - sure) {
        f->sure_no.count++;
        f->sure_no.right += !s->same;
    }
}

static bool measure(const struct job *j, struct figures *f)
{
    struct score *s = malloc(j->pairs.count * sizeof(*s));
    double lines[2];

    *f = (struct figures){.judged = 0};
    if (s == NULL) {
        fprintf(stderr, "ibid: out of memory\n");
        return false;
    }
    for (size_t i = 0; i < j->pairs.count; i++) {
        const struct tune_pair *x = &j->pairs.pair[i];

        f->same += x->same;
        if (x->probability >= 0)
            s[f->judged++] = (struct score){log_odds(x->probability), x->same};
    }
    qsort(s, f->judged, sizeof(*s), by_yes);
    f->auc = area(s, f->judged);
    f->bias = -best_line(s, f->judged, 2);
    lines[0] = best_line(s, f->judged, 1); /* of the one half, for the other */
    lines[1] = best_line(s, f->judged, 0);
    for (size_t i = 0; i < f->judged; i++) {
        f->right += (s[i].yes >= 0) == s[i].same;
        f->right_with_bias += (s[i].yes >= lines[i % 2]) == s[i].same;
        count_sure(&s[i], 1 / (1 + exp(-(s[i].yes + f->bias))), j->config->judge.sure, f);
    }
    free(s);
    return true;
}

static double share(size_t k, size_t n)
{
    return n > 0 ? (double)k / (double)n : 0;
}

static void print_text(const struct job *j, const struct figures *f)
{
    double sure = j->config->judge.sure;

    printf("%zu pairs, %zu the same; %zu judged by %s, %.2f ms each\n\n", j->pairs.count,
           f->same, f->judged, j->by, j->us / 1e3 / (double)j->pairs.count);
    printf("  area under the ROC curve       %.3f\n", f->auc);
    printf("  right, as it comes             %.3f\n", share(f->right, f->judged));
    printf("  right, with the best bias      %.3f  (halves exchanged)\n",
           share(f->right_with_bias, f->judged));
    printf("  with it, sure (%.2f) of a yes  %.3f of all, %.3f of them right\n", sure,
           share(f->sure_yes.count, f->judged), share(f->sure_yes.right, f->sure_yes.count));
    printf("  … and of a no                  %.3f of all, %.3f of them right\n",
           share(f->sure_no.count, f->judged), share(f->sure_no.right, f->sure_no.count));
    if (strcmp(j->by, "local") == 0)
        printf("\njudge:\n  local_bias: %.2f\n", j->config->judge.local_bias + f->bias);
}

static void write_side(struct json_writer *w, const char *name, const struct side *s)
{
    json_writer_open(w, name, '{');
    json_writer_u64(w, "count", s->count);
    json_writer_u64(w, "right", s->right);
    json_writer_close(w, '}');
}

struct told {
    const struct job *job;
    const struct figures *figures;
};

static void write_json(struct json_writer *w, const void *of)
{
    const struct job *j = ((const struct told *)of)->job;
    const struct figures *f = ((const struct told *)of)->figures;

    json_writer_text(w, "judge", span_of(j->by));
    json_writer_u64(w, "pairs", j->pairs.count);
    json_writer_u64(w, "same", f->same);
    json_writer_u64(w, "judged", f->judged);
    if (isfinite(f->auc))
        json_writer_real(w, "auc", f->auc);
    json_writer_u64(w, "right", f->right);
    json_writer_u64(w, "right_with_bias", f->right_with_bias);
    json_writer_real(w, "local_bias", j->config->judge.local_bias + f->bias);
    write_side(w, "sure_yes", &f->sure_yes);
    write_side(w, "sure_no", &f->sure_no);
    json_writer_real(w, "ms_each", j->us / 1e3 / (double)j->pairs.count);
}

static bool write_scores(const struct job *j)
{
    FILE *f = fopen(j->scores, "we");
    bool ok = f != NULL;

    for (size_t i = 0; ok && i < j->pairs.count; i++)
        ok = fprintf(f, "%.9g\n", j->pairs.pair[i].probability) > 0;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "ibid: '%s' can not be written\n", j->scores);
    return ok;
}

static int run(struct job *j)
{
    struct figures f;

    bool ok = tune_pairs_read(j->path, &j->pairs) && ask(j) && measure(j, &f);

    if (ok && j->scores != NULL)
        ok = write_scores(j);
    if (ok && !j->json)
        print_text(j, &f);
    else if (ok)
        ok = output_json(write_json, &(struct told){j, &f});
    tune_pairs_release(&j->pairs);
    return ok ? 0 : 1;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL;
    struct args a;

    args_init(&a, "tune judge", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_flag(&a, NULL, "--answers"))
            j->answers = true;
        else if (args_flag(&a, "-q", "--quiet"))
            j->quiet = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, NULL, "--by", &j->by) ||
                 args_value(&a, NULL, "--scores", &j->scores) ||
                 args_value(&a, "-m", "--model", &j->model))
            continue;
        else if (j->path != NULL || !args_word(&a, &j->path))
            return args_refuse(&a);
    }
    if (j->path == NULL)
        return args_refuse(&a);
    if (strcmp(j->by, "rules") != 0 && strcmp(j->by, "local") != 0) {
        fprintf(stderr, "ibid tune judge: --by: '%s' is neither rules nor local\n", j->by);
        return EXIT_USAGE;
    }
    return config_load_file(file, j->config);
}

int tune_judge_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)), .by = "rules"};
    int rc = 1;

    if (j.config != NULL) {
        rc = parse(&j, argc, argv);
        if (rc < 0)
            rc = run(&j);
    }
    free(j.config);
    return rc;
}
