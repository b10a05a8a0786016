/* Milliseconds from texts to their vectors, tokenizing included, by number of tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/models_bench.h"

#define TEXTS_MAX  8
#define TOKENS_MAX 256
#define TEXT_BYTES (TOKENS_MAX * 8)
#define RUNS_MIN   12 /* of a repeat */
#define RUNS_MAX   500
#define REPEAT_US  150000 /* of a repeat, at the least */

static const struct load {
    const char *name;
    size_t tokens, texts;
} loads[] = {{"8", 8, 1},     {"16", 16, 1},   {"32", 32, 1},
             {"128", 128, 1}, {"256", 256, 1}, {"8x16", 16, 8}};

struct bench {
    const struct models_bench_options *o;
    struct progress *progress;
    const struct encoder *e;
    struct encoder_session *s;
    struct model_info info;
    char text[TEXT_BYTES];
    float *vectors; /* [TEXTS_MAX][dimensions] */
    double *ms;     /* [repeats * RUNS_MAX] */
    struct models_bench_spread results[ARRAY_LEN(loads)];
    bool done[ARRAY_LEN(loads)]; /* longer than the window: not timed */
};

/* Common words are one token each; what is not counted so in a vocabulary is passed over. */
static bool make_text(struct bench *b, size_t tokens)
{
    static const char *const words[] = {"the", "of",   "and",  "to",   "in",   "house",
                                        "is",  "time", "that", "with", "year", "people"};
    size_t len = 0, had = 0, count;

    for (size_t i = 0; len + 8 < TEXT_BYTES && i < 4 * TOKENS_MAX; i++) {
        const char *word = words[i % ARRAY_LEN(words)];
        size_t more =
            (size_t)snprintf(b->text + len, TEXT_BYTES - len, "%s%s", len > 0 ? " " : "", word);

        if (encoder_tokenize(b->e, (struct span){b->text, len + more}, NULL, 0, &count) !=
            ST_OK)
            return false;
        if (count > tokens)
            continue;
        len += more;
        had = count;
        if (had == tokens)
            break;
    }
    b->text[len] = '\0';
    return had == tokens;
}

static enum status time_load(struct bench *b, size_t load)
{
    const struct load *l = &loads[load];
    const struct engine_stop never = {NULL, NULL};
    struct span texts[TEXTS_MAX];
    enum status each[TEXTS_MAX], st = ST_OK;
    uint64_t runs = 0, end = clock_now_us() + b->o->repeats * REPEAT_US;

    for (size_t i = 0; i < l->texts; i++)
        texts[i] = span_of(b->text);
    while (st == ST_OK && runs < b->o->repeats * RUNS_MAX &&
           (runs < b->o->repeats * RUNS_MIN || clock_now_us() < end)) {
        uint64_t t0 = clock_now_us();

        st = encoder_embed(b->s, texts, l->texts, b->vectors, each, never);
        b->ms[runs++] = (double)(clock_now_us() - t0) / 1e3;
        if (st == ST_OK && each[0] != ST_OK)
            return each[0] == ST_LIMIT ? ST_OK : each[0];
    }
    if (st != ST_OK)
        return st;
    b->results[load] = models_bench_spread_of(b->ms, runs);
    b->done[load] = true;
    return ST_OK;
}

static enum status measure(struct bench *b)
{
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        enum status st;

        progress_say(b->progress, "%s tokens", loads[i].name);
        if (!make_text(b, loads[i].tokens)) {
            progress_end(b->progress);
            fprintf(stderr, "ibid: no text of %zu tokens can be made of this vocabulary\n",
                    loads[i].tokens);
            return ST_LIMIT;
        }
        st = time_load(b, i);
        if (st != ST_OK)
            return st;
    }
    progress_end(b->progress);
    return ST_OK;
}

/* --- what is printed ------------------------------------------------------------------ */

static void print_json_figures(const struct bench *b, const char *name, size_t which)
{
    const char *comma = "";

    printf(",\"%s\":{", name);
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        const struct models_bench_spread *r = &b->results[i];

        if (!b->done[i])
            continue;
        printf("%s\"%s\":%.4f", comma, loads[i].name, which == 0 ? r->median : r->least);
        comma = ",";
    }
    printf("}");
}

static void print_figures(const struct bench *b)
{
    const struct model_info *m = &b->info;

    if (b->o->json) {
        printf("{\"architecture\":\"%s\",\"weights\":\"%s\",\"kernels\":\"%s\",\"threads\":1",
               m->architecture, m->weights, cpu_kernels());
        print_json_figures(b, "ms_p50", 0);
        print_json_figures(b, "ms_least", 1);
        printf("}\n");
        return;
    }
    printf("%s, %s, %.1f M parameters; %s; threads: 1\n", m->architecture, m->weights,
           (double)m->parameters / 1e6, cpu_kernels());
    printf("%-10s %10s %10s\n", "tokens", "ms, p50", "least");
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        if (b->done[i])
            printf("%-10s %10.3f %10.3f\n", loads[i].name, b->results[i].median,
                   b->results[i].least);
    }
}

/* --- the whole ------------------------------------------------------------------------ */

static enum status run(struct bench *b, const struct encoder *e)
{
    enum status st;

    b->e = e;
    encoder_info(e, &b->info);
    b->vectors = malloc((size_t)TEXTS_MAX * b->info.dimensions * sizeof(*b->vectors));
    b->ms = malloc(b->o->repeats * RUNS_MAX * sizeof(*b->ms));
    if (b->vectors == NULL || b->ms == NULL)
        return ST_NOMEM;
    st = encoder_session_open(e, &b->s);
    if (st == ST_OK)
        st = measure(b);
    if (st == ST_OK)
        print_figures(b);
    return st;
}

int models_bench_encoder(const char *path, const struct models_bench_options *o,
                         struct progress *p)
{
    const struct encoder_options wanted = {
        .precision = strcmp(o->precision, "f32") == 0 ? ENCODER_F32 : ENCODER_INT8};
    struct bench *b = calloc(1, sizeof(*b));
    struct engine_error err = {.text = "out of memory"};
    struct encoder *e = NULL;
    enum status st = b != NULL ? encoder_open(path, &wanted, &e, &err) : ST_NOMEM;

    if (st != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        free(b);
        return 1;
    }
    if (o->threads > 1)
        fprintf(stderr, "ibid: an encoder computes a batch on one thread; -t is passed over\n");
    b->o = o;
    b->progress = p;
    st = run(b, e);
    if (st != ST_OK && st != ST_LIMIT)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    if (b->s != NULL)
        encoder_session_close(b->s);
    free(b->vectors);
    free(b->ms);
    free(b);
    encoder_close(e);
    return st == ST_OK ? 0 : 1;
}
