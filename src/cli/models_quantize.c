/* `ibid models quantize`: a model's file once more with smaller weights. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/models_verbs.h"
#include "cli/progress.h"
#include "engine/quantize.h"

#define MIB         1048576.0
#define THREADS_MAX 256

static const char usage[] =
    "usage: ibid models quantize IN OUT TYPE [-t N] [--requantize] [-q]\n"
    "  Writes the GGUF file OUT from IN; matrices become TYPE or llama.cpp's mixture of that\n"
    "  name, everything else stays.\n"
    "  TYPE: Q8_0, Q4_0, Q4_K_M, Q5_K_M, Q6_K, IQ4_NL, TQ2_0\n"
    "  --requantize     also of weights that are not F32, F16 or BF16: what they have lost\n"
    "                   stays lost\n"
    "  -t, --threads N  (2)\n"
    "  -q, --quiet      say only what goes wrong\n";

struct job {
    const char *words[3]; /* IN, OUT, TYPE */
    size_t count;
    struct quantize_options options;
    bool quiet;
};

static void on_progress(void *arg, size_t done, size_t of)
{
    progress_say(arg, "tensor %zu of %zu", done + 1, of);
}

static int run(struct job *j)
{
    struct engine_error err = {.text = ""};
    struct quantize_result r;
    struct progress progress;
    enum status st;

    progress_init(&progress, j->quiet);
    j->options.type = j->words[2];
    j->options.progress = on_progress;
    j->options.arg = &progress;
    st = quantize_file(j->words[0], j->words[1], &j->options, &r, &err);
    progress_end(&progress);
    if (st != ST_OK) {
        fprintf(stderr, "ibid: '%s': %s\n", j->words[0], err.text);
        return 1;
    }
    if (j->quiet)
        return 0;
    fprintf(stderr, "%zu tensors quantized, %zu kept; weights: %.1f MiB, before: %.1f\n",
            r.changed, r.kept, (double)r.bytes_after / MIB, (double)r.bytes_before / MIB);
    if (r.replaced > 0)
        fprintf(stderr,
                "%zu of them have rows that are no whole number of blocks, and got "
                "a type with smaller ones\n",
                r.replaced);
    return 0;
}

int models_quantize_main(int argc, char **argv)
{
    struct job j = {.options = {.threads = 2}};
    const char *threads = NULL, *word;
    uint64_t n;
    struct args a;

    args_init(&a, "models quantize", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--requantize"))
            j.options.requantize = true;
        else if (args_flag(&a, "-q", "--quiet"))
            j.quiet = true;
        else if (args_value(&a, "-t", "--threads", &threads))
            continue;
        else if (j.count < ARRAY_LEN(j.words) && args_word(&a, &word))
            j.words[j.count++] = word;
        else
            return args_refuse(&a);
    }
    if (j.count < ARRAY_LEN(j.words))
        return args_refuse(&a);
    if (threads != NULL) {
        if (!args_number(threads, 1, THREADS_MAX, &n))
            return args_refuse(&a);
        j.options.threads = (unsigned)n;
    }
    return run(&j);
}
