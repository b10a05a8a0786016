/* `ibid models quantize`: a model's file once more with smaller weights. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/models_verbs.h"
#include "cli/progress.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/importance.h"
#include "engine/importance_file.h"
#include "engine/quantize.h"

#define MIB         1048576.0
#define THREADS_MAX 256
#define IMATRIX_MAX (1024u * 1024 * 1024) /* bytes: of a text, 64 MiB are plenty */

static const char usage[] =
    "usage: ibid models quantize IN OUT TYPE [--imatrix FILE] [-t N] [--requantize] [-q]\n"
    "  Writes the GGUF file OUT from IN; matrices become TYPE or llama.cpp's mixture of that\n"
    "  name, everything else stays.\n"
    "  TYPE: F16, Q8_0, Q4_0, Q4_K_M, Q5_K_M, Q6_K, IQ4_NL, IQ2_XS, TQ2_0\n"
    "  --imatrix FILE   which columns matter, for smaller errors there: a text like those the\n"
    "                   model is for, which is run through IN, or an importance matrix\n"
    "                   (imatrix) of this program or llama.cpp. IQ2_XS needs one\n"
    "  --save-imatrix F keep what was made from the text\n"
    "  --requantize     also of weights that are not F32, F16 or BF16: what they have lost\n"
    "                   stays lost\n"
    "  -t, --threads N  (2)\n"
    "  -q, --quiet      say only what goes wrong\n";

struct job {
    const char *words[3]; /* IN, OUT, TYPE */
    size_t count;
    const char *imatrix, *save_imatrix; /* NULL: none */
    struct quantize_options options;
    struct importance importance;
    struct progress progress;
    bool quiet;
};

static void on_text(void *arg, size_t done, size_t of)
{
    progress_say(arg, "importance matrix: chunk %zu of %zu", done + 1, of);
}

static enum status use_text(struct job *j, struct span text, struct engine_error *err)
{
    const char *name = strrchr(j->imatrix, '/');
    enum status st = importance_collect(&j->importance, j->words[0], text, j->options.threads,
                                        on_text, &j->progress, err);

    name = name != NULL ? name + 1 : j->imatrix;
    if (st == ST_OK && j->save_imatrix != NULL)
        st = importance_file_save(&j->importance, j->save_imatrix,
                                  (struct span){name, strlen(name)}, err);
    return st;
}

/* The importance matrix, or the text it is made from. */
static enum status use_imatrix(struct job *j, struct engine_error *err)
{
    struct file file = {{NULL, 0}};
    enum status st;

    if (j->imatrix == NULL)
        return ST_OK;
    st = file_read(j->imatrix, IMATRIX_MAX, &file, err);
    if (st != ST_OK)
        return st;
    j->options.importance = &j->importance;
    if (file.bytes.len < 4 || memcmp(file.bytes.ptr, "GGUF", 4) != 0)
        st = use_text(j, file.bytes, err);
    else if (j->save_imatrix != NULL)
        st = error_set(err, ST_INVALID, "'%s' is an importance matrix already", j->imatrix);
    else
        st = importance_file_load(&j->importance, j->imatrix, err);
    file_release(&file);
    return st;
}

static void on_progress(void *arg, size_t done, size_t of)
{
    progress_say(arg, "tensor %zu of %zu", done + 1, of);
}

static void print_result(const struct quantize_result *r)
{
    fprintf(stderr, "%zu tensors quantized, %zu kept; weights: %.1f MiB, before: %.1f\n",
            r->changed, r->kept, (double)r->bytes_after / MIB, (double)r->bytes_before / MIB);
    if (r->weighted > 0)
        fprintf(stderr, "%zu of them by the importance of their columns\n", r->weighted);
    if (r->replaced > 0)
        fprintf(stderr,
                "%zu of them have rows that are no whole number of blocks, and got "
                "a type with smaller ones\n",
                r->replaced);
}

static int run(struct job *j)
{
    struct engine_error err = {.text = ""};
    struct quantize_result r;
    enum status st;

    importance_init(&j->importance);
    progress_init(&j->progress, j->quiet);
    j->options.type = j->words[2];
    j->options.progress = on_progress;
    j->options.arg = &j->progress;
    st = quantize_check(&j->options, j->imatrix != NULL, &err);
    if (st == ST_OK)
        st = use_imatrix(j, &err);
    if (st == ST_OK)
        st = quantize_file(j->words[0], j->words[1], &j->options, &r, &err);
    progress_end(&j->progress);
    importance_release(&j->importance);
    if (st != ST_OK)
        fprintf(stderr, "ibid: '%s': %s\n", j->words[0], err.text);
    else if (!j->quiet)
        print_result(&r);
    return st == ST_OK ? 0 : 1;
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
        else if (args_value(&a, "-t", "--threads", &threads) ||
                 args_value(&a, NULL, "--imatrix", &j.imatrix) ||
                 args_value(&a, NULL, "--save-imatrix", &j.save_imatrix))
            continue;
        else if (j.count < ARRAY_LEN(j.words) && args_word(&a, &word))
            j.words[j.count++] = word;
        else
            return args_refuse(&a);
    }
    if (j.count < ARRAY_LEN(j.words) || (j.save_imatrix != NULL && j.imatrix == NULL))
        return args_refuse(&a);
    if (threads != NULL) {
        if (!args_number(threads, 1, THREADS_MAX, &n))
            return args_refuse(&a);
        j.options.threads = (unsigned)n;
    }
    return run(&j);
}
