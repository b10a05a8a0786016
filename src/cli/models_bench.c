#include "cli/models_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "proxy/decoder_settings.h"
#include "cli/model_place.h"
#include "cli/models_verbs.h"
#include "config/config.h"

#define TOKENS_MAX  131072
#define THREADS_MAX 256
#define REPEATS_MAX 1000
#define CONTEXT_MIN 8 /* tokens: the half of fewer says nothing */

static const char usage[] =
    "usage: ibid models bench MODEL [-p N] [-n N] [-d N] [-t N] [-r N] [--json]\n"
    "       ibid models bench MODEL -b N [-n N] [-d N] [-t N] [-r N] [--json]\n"
    "       ibid models bench MODEL --guess FILE [-n N] [-t N] [-r N] [--json]\n"
    "       ibid models bench MODEL --perplexity FILE [-c N] [-t N] [--json]\n"
    "  Times a model: a decoder by tokens a second, an encoder by milliseconds a text.\n"
    "  MODEL                a name (ibid models list) or a path\n"
    "  -p, --prompt N       tokens of the prompt; 0: not timed (512)\n"
    "  -n, --generate N     tokens that are decoded; 0: not timed (128)\n"
    "  -d, --depth N        tokens in the context before those decoded (0)\n"
    "  -t, --threads N      (1)\n"
    "  -r, --repeats N      the median counts (3)\n"
    "  -b, --batch N        of a decoder, instead: N answers at a time beside one alone\n"
    "  --guess FILE         instead: answers with guesses beside those without; a line of "
    "FILE\n"
    "                       is a question, and behind a tab one whose answer may be like its\n"
    "  --precision P        of an encoder: int8 or f32 (int8)\n"
    "  --perplexity FILE    of the text in FILE, instead: chunks of -c tokens, of which the\n"
    "                       second half counts\n"
    "  -c, --context N      tokens of a chunk (512)\n"
    "  --json               one object instead of a table\n"
    "  -q, --quiet          no progress\n"
    "  What is measured of a decoder without -b, -d, --guess and --perplexity is kept in\n"
    "  speeds.json in model_dir: the router asks no model that would answer too late.\n"
    "  --forget             they are not\n"
    "  --config FILE        settings (model_dir, local.kv_type)\n";

struct job {
    struct config *config;
    const char *model;
    struct models_bench_options options;
    bool quiet, forget;
};

/* --- measurements -------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct models_bench_spread models_bench_spread_of(double *values, uint64_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return (struct models_bench_spread){(values[n / 2] + values[(n - 1) / 2]) / 2, values[0],
                                        values[n - 1]};
}

/* --- arguments ----------------------------------------------------------------------- */

/* An option that is a number. */
struct number {
    const char *brief, *name;
    uint64_t low, high, *to;
    const char *text;
};

/* -1: *j is filled, go on. */
static int parse(struct job *j, int argc, char **argv)
{
    struct models_bench_options *o = &j->options;
    struct number numbers[] = {
        {"-p", "--prompt", 0, TOKENS_MAX, &o->prompt, NULL},
        {"-n", "--generate", 0, TOKENS_MAX, &o->generate, NULL},
        {"-d", "--depth", 0, TOKENS_MAX, &o->depth, NULL},
        {"-t", "--threads", 1, THREADS_MAX, &o->threads, NULL},
        {"-r", "--repeats", 1, REPEATS_MAX, &o->repeats, NULL},
        {"-b", "--batch", 1, DECODER_SEQUENCES_MAX, &o->batch, NULL},
        {"-c", "--context", CONTEXT_MIN, TOKENS_MAX, &o->context, NULL},
    };
    const char *file = NULL;
    struct args a;
    int rc;

    args_init(&a, "models bench", usage, argc, argv);
    while (args_more(&a)) {
        bool taken = false;

        if (args_help(&a))
            return 0;
        for (size_t i = 0; i < ARRAY_LEN(numbers) && !taken; i++) {
            taken = args_value(&a, numbers[i].brief, numbers[i].name, &numbers[i].text);
            if (taken &&
                !args_number(numbers[i].text, numbers[i].low, numbers[i].high, numbers[i].to)) {
                a.at--; /* the value is what is not understood */
                return args_refuse(&a);
            }
        }
        if (taken || args_value(&a, NULL, "--perplexity", &o->text_path) ||
            args_value(&a, NULL, "--guess", &o->guess_path) ||
            args_value(&a, NULL, "--precision", &o->precision) ||
            args_value(&a, NULL, "--config", &file))
            continue;
        if (args_flag(&a, NULL, "--json"))
            o->json = true;
        else if (args_flag(&a, NULL, "--forget"))
            j->forget = true;
        else if (args_flag(&a, "-q", "--quiet"))
            j->quiet = true;
        else if (j->model != NULL || !args_word(&a, &j->model))
            return args_refuse(&a);
    }
    if (j->model == NULL ||
        (strcmp(o->precision, "int8") != 0 && strcmp(o->precision, "f32") != 0))
        return args_refuse(&a);
    rc = config_load_file(file, j->config);
    o->model_dir = j->forget ? NULL : j->config->model_dir;
    o->kv_type = decoder_settings(j->config).kv_type;
    return rc;
}

static int run(struct job *j)
{
    struct engine_error err = {.text = ""};
    struct model_place place;
    struct progress progress;
    int rc;

    if (model_place_find(j->config, j->model, &place, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    progress_init(&progress, j->quiet);
    if (j->options.text_path != NULL)
        rc = models_bench_perplexity(place.path, &j->options, &progress);
    else if (place.decoder && j->options.batch > 0)
        rc = models_bench_batch(place.path, &j->options, &progress);
    else if (place.decoder && j->options.guess_path != NULL)
        rc = models_bench_guess(place.path, &j->options, &progress);
    else if (place.decoder)
        rc = models_bench_decoder(place.path, &j->options, &progress);
    else
        rc = models_bench_encoder(place.path, &j->options, &progress);
    return rc;
}

int models_bench_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)),
                    .options = {.prompt = 512,
                                .generate = 128,
                                .threads = 1,
                                .repeats = 3,
                                .context = 512,
                                .precision = "int8"}};
    int rc = 1;

    if (j.config != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = run(&j);
    free(j.config);
    return rc;
}
