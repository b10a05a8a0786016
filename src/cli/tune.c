/* `ibid tune`: what each threshold would do to pairs that somebody labelled, and which one
 * keeps to an error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_writer.h"
#include "cache/decision.h"
#include "cache/guard.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/embed_texts.h"
#include "cli/tune_cascade.h"
#include "cli/tune_curve.h"
#include "cli/tune_judge.h"
#include "cli/tune_plot.h"
#include "cli/tune_router.h"
#include "cli/tune_watch.h"
#include "cli/output.h"
#include "config/config.h"

#define GUARDS_SHOWN  64
#define TABLE_FROM    30 /* hundredths: below it nobody serves */
#define TABLE_STEP    5
#define WATCH_EVERY_S 10
#define WATCH_MAX_S   (31ull * 86400)

static const char usage[] =
    "usage: ibid tune [--error-max E] [--json] [--svg FILE] [-m MODEL] [-c FILE] PAIRS\n"
    "       ibid tune watch [--for S] [--every S] [--admin ADDRESS] …\n"
    "       ibid tune router …: which questions a small model is enough for; --help says more\n"
    "       ibid tune cascade …: when its answer is good enough; --help says more\n"
    "       ibid tune judge …: what a judge is worth; --help says more\n"
    "  What each threshold does to labelled pairs of questions, what the guards refuse, and\n"
    "  the least threshold that keeps to an error. PAIRS: JSON lines, '-': standard input:\n"
    "    {\"a\": \"How do I reset my PIN?\", \"b\": \"I forgot my PIN\", \"same\": true}\n"
    "  or NAME.csv, whose first row names the columns a, b and same\n"
    "  watch: pairs out of live traffic. A running ibid with cache.semantic: shadow, which\n"
    "  decides and serves nothing, or with cache.policy: bounded, compares fresh answers with\n"
    "  those of near questions; until it is interrupted\n"
    "  --for S            seconds to watch (until interrupted)\n"
    "  --every S          seconds between two looks (10)\n"
    "  --admin ADDRESS    of its admin listener (admin.listen)\n"
    "  --error-max E      wrong answers of all pairs that are tolerable (cache.error_max)\n"
    "  --json             as one JSON object\n"
    "  --svg FILE         also a plot of hits and wrong answers over the threshold\n"
    "  -m, --model MODEL  a name or a path (encoder.model)\n"
    "  -c, --config FILE  settings: encoder.*, cache.floor, cache.error_max\n";

struct job {
    struct config *config;
    const char *model, *path, *svg;
    double error_max;
    bool json, watch;
    struct tune_watch watching;
    struct tune_pairs pairs;
    struct tune_curve curve;
    struct tune_guard guards[GUARDS_SHOWN];
    size_t guard_count;
};

/* --- measuring -------------------------------------------------------------------- */

static void measure(struct tune_pair *x, const float *a, const float *b, size_t dimensions)
{
    struct guard_outcome g, unguarded;
    double dot = 0;

    for (size_t i = 0; i < dimensions; i++)
        dot += (double)a[i] * (double)b[i];
    guard_check(x->a, x->b, &g);
    unguarded = g;
    if (g.fired != NULL) /* what it would have been worth */
        unguarded.doubt = 0;
    x->similarity = (float)dot;
    x->probability = decision_probability(x->similarity, &unguarded);
    x->guard = g.fired;
}

static bool measure_all(struct job *j)
{
    size_t n = j->pairs.count, dimensions;
    struct span *texts = malloc(2 * n * sizeof(*texts));
    float *v;

    if (texts == NULL) {
        fprintf(stderr, "ibid: out of memory\n");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        texts[2 * i] = j->pairs.pair[i].a;
        texts[2 * i + 1] = j->pairs.pair[i].b;
    }
    if (!embed_texts(j->config, j->model, NULL, texts, 2 * n, &v, &dimensions)) {
        free(texts);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        measure(&j->pairs.pair[i], v + 2 * i * dimensions, v + (2 * i + 1) * dimensions,
                dimensions);
    free(v);
    free(texts);
    return true;
}

/* --- saying it -------------------------------------------------------------------- */

static double share(size_t k, size_t n)
{
    return n > 0 ? (double)k / (double)n : 0;
}

static void print_point(const struct job *j, const struct tune_point *p, const char *mark)
{
    struct tune_interval e = tune_curve_interval(p->wrong, j->pairs.count);
    size_t hits = p->right + p->wrong;

    printf("  %9.2f  %5.3f  %6.3f  %9.3f  %6.4f (%.4f to %.4f)%s\n", p->threshold,
           share(hits, j->pairs.count), share(p->right, j->curve.same), share(p->right, hits),
           share(p->wrong, j->pairs.count), e.low, e.high, mark);
}

static void print_guards(const struct job *j)
{
    if (j->guard_count > 0)
        printf("\n  guard       refused  rightly  share of true pairs lost\n");
    for (size_t i = 0; i < j->guard_count; i++) {
        const struct tune_guard *g = &j->guards[i];

        printf("  %-10s  %7zu  %7.3f  %.4f\n", g->name, g->other + g->same,
               share(g->other, g->other + g->same), share(g->same, j->curve.same));
    }
}

static void print_advice(const struct job *j)
{
    const struct tune_curve *c = &j->curve;

    if (c->best < 0) {
        printf(
            "\nNo threshold is sure to keep to an error of %g with these pairs: the upper end "
            "of its interval is above it.\nMore pairs tell more; with no wrong one %.0f "
            "suffice.\n",
            j->error_max, 3.84 / j->error_max);
        return;
    }
    printf("\nFor an error of %g at most, with 95 %% confidence in pairs like these:\n\n"
           "cache:\n  threshold: %.2f\n",
           j->error_max, c->points[c->best].threshold);
}

static void print_text(const struct job *j)
{
    const struct tune_curve *c = &j->curve;

    printf("%zu pairs, %zu the same, %zu not\n\n  threshold   hits  recall  precision  error: "
           "wrong ones of all pairs\n",
           j->pairs.count, c->same, c->other);
    for (int t = TABLE_FROM; t < TUNE_STEPS; t++) {
        if (t % TABLE_STEP == 0 || t == c->best)
            print_point(j, &c->points[t], t == c->best ? "  <-" : "");
    }
    print_guards(j);
    print_advice(j);
}

static void write_points(struct json_writer *w, const struct job *j)
{
    json_writer_open(w, "thresholds", '[');
    for (int t = 0; t < TUNE_STEPS; t++) {
        const struct tune_point *p = &j->curve.points[t];
        struct tune_interval e = tune_curve_interval(p->wrong, j->pairs.count);

        json_writer_open(w, NULL, '{');
        json_writer_real(w, "threshold", p->threshold);
        json_writer_u64(w, "right", p->right);
        json_writer_u64(w, "wrong", p->wrong);
        json_writer_real(w, "error_low", e.low);
        json_writer_real(w, "error_high", e.high);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static void write_json(struct json_writer *w, const void *of)
{
    const struct job *j = of;

    json_writer_u64(w, "pairs", j->pairs.count);
    json_writer_u64(w, "same", j->curve.same);
    json_writer_real(w, "error_max", j->error_max);
    if (j->curve.best >= 0)
        json_writer_real(w, "threshold", j->curve.points[j->curve.best].threshold);
    write_points(w, j);
    json_writer_open(w, "guards", '{');
    for (size_t i = 0; i < j->guard_count; i++) {
        json_writer_open(w, j->guards[i].name, '{');
        json_writer_u64(w, "other", j->guards[i].other);
        json_writer_u64(w, "same", j->guards[i].same);
        json_writer_close(w, '}');
    }
    json_writer_close(w, '}');
}

/* --- the command ------------------------------------------------------------------ */

static int tune(struct job *j)
{
    if (j->watch ? !tune_watch(&j->watching, &j->pairs)
                 : !tune_pairs_read(j->path, &j->pairs) || !measure_all(j))
        return 1;
    tune_curve_make(&j->pairs, (float)j->config->cache.floor, j->error_max, &j->curve);
    j->guard_count = tune_curve_guards(&j->pairs, j->guards, GUARDS_SHOWN);
    if (j->svg != NULL && !tune_plot_write(j->svg, &j->curve, j->pairs.count))
        return 1;
    if (!j->json)
        print_text(j);
    else if (!output_json(write_json, j))
        return 1;
    return j->curve.best >= 0 ? 0 : 1;
}

static bool read_share(const char *text, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *out > 0 && *out < 1;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *error_max = NULL, *time = NULL, *every = NULL;
    struct args a;
    int rc;

    args_init(&a, "tune", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, "-m", "--model", &j->model) ||
                 args_value(&a, NULL, "--svg", &j->svg) ||
                 args_value(&a, NULL, "--for", &time) ||
                 args_value(&a, NULL, "--every", &every) ||
                 args_value(&a, NULL, "--admin", &j->watching.address) ||
                 args_value(&a, NULL, "--error-max", &error_max))
            continue;
        else if (j->path != NULL || !args_word(&a, &j->path))
            return args_refuse(&a);
    }
    j->watch = j->path != NULL && strcmp(j->path, "watch") == 0;
    if (j->path == NULL ||
        (!j->watch && (time != NULL || every != NULL || j->watching.address != NULL)) ||
        (time != NULL && !args_number(time, 1, WATCH_MAX_S, &j->watching.for_s)) ||
        (every != NULL && !args_number(every, 1, 3600, &j->watching.every_s)))
        return args_refuse(&a);
    rc = config_load_file(file, j->config);
    j->watching.config = j->config;
    j->error_max = j->config->cache.error_max;
    if (rc < 0 && error_max != NULL && !read_share(error_max, &j->error_max)) {
        fprintf(stderr, "ibid tune: --error-max: '%s' is no number between 0 and 1\n",
                error_max);
        return EXIT_USAGE;
    }
    return rc;
}

int tune_main(int argc, char **argv)
{
    struct job *j;
    int rc = 1;

    if (argc > 1 && strcmp(argv[1], "router") == 0)
        return tune_router_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "cascade") == 0)
        return tune_cascade_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "judge") == 0)
        return tune_judge_main(argc - 1, argv + 1);
    j = calloc(1, sizeof(*j));
    if (j != NULL)
        j->config = calloc(1, sizeof(*j->config));
    if (j != NULL && j->config != NULL) {
        j->watching.every_s = WATCH_EVERY_S;
        rc = parse(j, argc, argv);
        if (rc < 0) {
            rc = tune(j);
            tune_pairs_release(&j->pairs);
        }
        free(j->config);
    }
    free(j);
    return rc;
}
