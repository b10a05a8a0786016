/* `ibid explain`: why two questions are taken for the same, or not; what `serve` decides of
 * them with these settings. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_writer.h"
#include "cache/decision.h"
#include "cache/explain.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/embed_texts.h"
#include "cli/output.h"
#include "config/config.h"

#define EXIT_SAME      0
#define EXIT_DIFFERENT 1
#define EXIT_TROUBLE   2

static const char usage[] =
    "usage: ibid explain [--json] [-m MODEL] [-c FILE] QUESTION_A QUESTION_B\n"
    "  Prints what is compared of two questions and whether an answer to one would be\n"
    "  served for the other. Exit status: 0 the same, 1 different, 2 trouble.\n"
    "  --json             as one JSON object\n"
    "  -m, --model MODEL  a name or a path (encoder.model)\n"
    "  -c, --config FILE  settings: encoder.*, cache.threshold, cache.floor\n";

struct job {
    struct config *config;
    const char *model;
    struct span questions[2];
    size_t count;
    bool json;
};

static void print_words(const char *label, const struct guard_text *t)
{
    struct span word;
    size_t at = 0;

    printf("%-12s", label);
    while (explain_next_word(t, &at, &word))
        printf(" %.*s", (int)word.len, word.ptr);
    printf("\n");
}

/* Two a line: all of it is to fit one screen. */
static void print_guards(const struct guard_report *each)
{
    for (size_t i = 0; i < GUARD_COUNT; i++) {
        if (i % 2 == 0)
            printf("%-12s", i == 0 ? "guards" : "");
        printf(" %-10s ", each[i].name);
        if (i % 2 == 1 || i + 1 == GUARD_COUNT)
            printf("%s\n", guard_verdict_name(each[i].verdict));
        else
            printf("%-12s", guard_verdict_name(each[i].verdict));
    }
}

static void print_text(const struct job *j, const struct decision *d,
                       const struct explanation *e)
{
    printf("A            %.*s\n", (int)j->questions[0].len, j->questions[0].ptr);
    printf("B            %.*s\n", (int)j->questions[1].len, j->questions[1].ptr);
    printf("cosine       %.4f, floor %.4g\n", (double)d->similarity, j->config->cache.floor);
    printf("overlap      %.2f of the wording, exchanged %.2f\n", e->outcome.overlap,
           e->outcome.exchanged);
    printf("words        %u in the shorter%s\n", e->outcome.words,
           e->outcome.names ? ", each has a name of its own" : "");
    print_words("only in A", &e->a);
    print_words("only in B", &e->b);
    print_guards(e->guards);
    printf("P(same)      %.4f, threshold %.4g", d->probability, d->threshold);
    if (e->outcome.fired != NULL)
        printf(" (%.4f if no guard had fired)", e->unguarded);
    printf("\nverdict      %s", d->hit ? "the same\n" : "different");
    if (!d->hit)
        printf(": %s\n", d->reason);
}

struct told {
    const struct job *job;
    const struct decision *decision;
    const struct explanation *explanation;
};

static void write_json(struct json_writer *w, const void *of)
{
    const struct told *t = of;
    const struct decision *d = t->decision;

    json_writer_text(w, "a", t->job->questions[0]);
    json_writer_text(w, "b", t->job->questions[1]);
    json_writer_real(w, "similarity", (double)d->similarity);
    json_writer_real(w, "floor", t->job->config->cache.floor);
    json_writer_real(w, "probability", d->probability);
    json_writer_real(w, "threshold", d->threshold);
    json_writer_bool(w, "hit", d->hit);
    json_writer_text(w, "reason", span_of(d->reason));
    explain_write(w, t->explanation, true);
}

static int explain(const struct job *j, float similarity, struct explanation *e)
{
    const struct decision_policy policy = {.threshold = j->config->cache.threshold,
                                           .floor = (float)j->config->cache.floor,
                                           .strangers = config_has_strangers(j->config)};
    struct decision_candidate c = {.similarity = similarity, .question = j->questions[1]};
    struct decision d;

    decision_make(j->questions[0], &c, 1, &policy, &d);
    explain_pair(j->questions[0], j->questions[1], similarity, e);
    if (!j->json)
        print_text(j, &d, e);
    else if (!output_json(write_json, &(struct told){j, &d, e}))
        return EXIT_TROUBLE;
    return d.hit ? EXIT_SAME : EXIT_DIFFERENT;
}

static int embed_and_explain(const struct job *j)
{
    struct explanation *e;
    size_t dimensions;
    double dot = 0;
    float *v;
    int rc = EXIT_TROUBLE;

    if (!embed_texts(j->config, j->model, NULL, j->questions, 2, &v, &dimensions))
        return EXIT_TROUBLE;
    for (size_t i = 0; i < dimensions; i++)
        dot += (double)v[i] * (double)v[dimensions + i];
    free(v);
    e = malloc(sizeof(*e));
    if (e != NULL)
        rc = explain(j, (float)dot, e);
    else
        fprintf(stderr, "ibid: out of memory\n");
    free(e);
    return rc;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *word;
    struct args a;

    args_init(&a, "explain", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, "-m", "--model", &j->model))
            continue;
        else if (j->count < 2 && args_word(&a, &word))
            j->questions[j->count++] = span_of(word);
        else
            return args_refuse(&a);
    }
    return j->count == 2 ? config_load_file(file, j->config) : args_refuse(&a);
}

int explain_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config))};
    int rc = EXIT_TROUBLE;

    if (j.config != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = embed_and_explain(&j);
    else if (rc != 0)
        rc = EXIT_TROUBLE; /* 1 would say that they differ */
    free(j.config);
    return rc;
}
