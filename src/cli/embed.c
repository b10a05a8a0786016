/* `ibid embed`: the vectors that the semantic cache compares, to look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/encoder_settings.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"

static const char usage[] =
    "usage: ibid embed [-m MODEL] [--similarity] [-c FILE] TEXT…\n"
    "  Prints one JSON array of numbers a text, its unit vector.\n"
    "  -m, --model MODEL  a name or a path (encoder.model)\n"
    "  --precision P      int8 or f32 (encoder.precision)\n"
    "  --similarity       print the cosine of every pair instead, a row a text\n"
    "  -c, --config FILE  settings\n";

struct job {
    struct config *config;
    const char *model, *precision;
    struct span *texts;
    size_t count;
    bool similarity;
};

static void print_vector(const float *v, size_t dimensions)
{
    for (size_t i = 0; i < dimensions; i++)
        printf("%s%.8g", i == 0 ? "[" : ",", (double)v[i]);
    printf("]\n");
}

static void print_row(const float *vectors, size_t row, size_t count, size_t dimensions)
{
    for (size_t i = 0; i < count; i++) {
        double dot = 0;

        for (size_t k = 0; k < dimensions; k++)
            dot += (double)vectors[row * dimensions + k] * (double)vectors[i * dimensions + k];
        printf("%s%.4f", i == 0 ? "" : "\t", dot);
    }
    printf("\n");
}

static int print(const struct job *j, const float *vectors, const enum status *each,
                 size_t dimensions)
{
    for (size_t i = 0; i < j->count; i++) {
        if (each[i] != ST_OK) {
            fprintf(stderr, "ibid: text %zu: %s\n", i + 1,
                    each[i] == ST_LIMIT      ? "is longer than the encoder's window"
                    : each[i] == ST_NOTFOUND ? "has no word that the encoder knows"
                                             : status_text(each[i]));
            return 1;
        }
    }
    for (size_t i = 0; i < j->count; i++) {
        if (j->similarity)
            print_row(vectors, i, j->count, dimensions);
        else
            print_vector(vectors + i * dimensions, dimensions);
    }
    return 0;
}

static int embed(const struct job *j, const struct encoder *e)
{
    const struct engine_stop never = {NULL, NULL};
    struct encoder_session *s;
    struct model_info info;
    enum status *each;
    float *vectors;
    int rc = 1;

    encoder_info(e, &info);
    if (encoder_session_open(e, &s) != ST_OK) {
        fprintf(stderr, "ibid: out of memory\n");
        return 1;
    }
    vectors = malloc(j->count * info.dimensions * sizeof(*vectors));
    each = calloc(j->count, sizeof(*each));
    if (vectors != NULL && each != NULL &&
        encoder_embed(s, j->texts, j->count, vectors, each, never) == ST_OK)
        rc = print(j, vectors, each, info.dimensions);
    free(each);
    free(vectors);
    encoder_session_close(s);
    return rc;
}

static int open_and_embed(const struct job *j)
{
    const char *model = j->model != NULL ? j->model : j->config->encoder.model;
    struct encoder_options o = encoder_settings(j->config);
    struct engine_error err = {.text = ""};
    char path[CONFIG_TEXT_MAX];
    struct encoder *e;
    int rc;

    if (j->precision != NULL)
        o.precision = strcmp(j->precision, "f32") == 0 ? ENCODER_F32 : ENCODER_INT8;
    if (model_path_encoder(j->config->model_dir, model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        encoder_open(path, &o, &e, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    rc = embed(j, e);
    encoder_close(e);
    return rc;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *word;
    struct args a;

    args_init(&a, "embed", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--similarity"))
            j->similarity = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, "-m", "--model", &j->model) ||
                 args_value(&a, NULL, "--precision", &j->precision))
            continue;
        else if (args_word(&a, &word))
            j->texts[j->count++] = span_of(word);
        else
            return args_refuse(&a);
    }
    if (j->count == 0 || (j->precision != NULL && strcmp(j->precision, "f32") != 0 &&
                          strcmp(j->precision, "int8") != 0))
        return args_refuse(&a);
    return config_load_file(file, j->config);
}

int embed_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)),
                    .texts = calloc((size_t)argc + 1, sizeof(*j.texts))};
    int rc = 1;

    if (j.config != NULL && j.texts != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = open_and_embed(&j);
    free(j.texts);
    free(j.config);
    return rc;
}
