/* Perplexity of a text the way llama.cpp's llama-perplexity counts it, so that figures can be
 * compared: the text's tokens in chunks of `context`, each by itself; a chunk's first token
 * gives way to the beginning token where the model has texts begin with one; the
 * tokens of the second half of a chunk count, each given all before it in the chunk:
 *
 *     exp(-mean(log p)),  error: exp's slope times the standard error of the mean */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/models_bench.h"

#define TEXT_MAX (64 * 1024 * 1024)
#define COLUMNS  16 /* of a pass; each has logits of the vocabulary */

struct score {
    const struct models_bench_options *o;
    struct progress *progress;
    struct decoder_session *s;
    uint32_t vocabulary;
    uint32_t *ids;
    size_t count;
    uint64_t tokens;     /* that counted */
    double sum, squares; /* of -log p */
};

/* -log of the probability of `id`: log(sum(exp(x))) - x[id]. */
static double surprise(const float *logits, uint32_t n, uint32_t id)
{
    float most = logits[0];
    double sum = 0;

    for (uint32_t i = 1; i < n; i++)
        most = logits[i] > most ? logits[i] : most;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)expf(logits[i] - most);
    return log(sum) + (double)most - (double)logits[id];
}

static void count_token(struct score *c, const float *logits, uint32_t id)
{
    double v = surprise(logits, c->vocabulary, id);

    c->sum += v;
    c->squares += v * v;
    c->tokens++;
}

/* ids[0..context), of which those from first + 1 on count. */
static enum status score_chunk(struct score *c, const uint32_t *ids)
{
    const struct engine_stop never = {NULL, NULL};
    size_t first = c->o->context / 2;
    enum status st = decoder_prefill(c->s, ids, first, never);
    size_t n;

    for (size_t i = first; st == ST_OK && i + 1 < c->o->context; i += n) {
        n = c->o->context - 1 - i < COLUMNS ? c->o->context - 1 - i : COLUMNS;
        st = decoder_steps(c->s, ids + i, n);
        for (size_t t = 0; st == ST_OK && t < n; t++)
            count_token(c, decoder_logits(c->s) + t * c->vocabulary, ids[i + t + 1]);
    }
    return st;
}

static enum status score_text(struct score *c, const struct decoder *d)
{
    size_t chunks = c->count / c->o->context;
    enum status st = ST_OK;
    uint32_t begin;
    bool begins = decoder_begin(d, &begin);

    for (size_t i = 0; st == ST_OK && i < chunks; i++) {
        uint32_t *ids = c->ids + i * c->o->context;

        progress_say(c->progress, "chunk %zu of %zu", i + 1, chunks);
        if (begins)
            ids[0] = begin;
        st = score_chunk(c, ids);
    }
    progress_end(c->progress);
    return st;
}

static void print_figures(const struct score *c, const struct model_info *m)
{
    double n = (double)c->tokens, mean = c->sum / n, value = exp(mean);
    double error = value * sqrt(fmax(c->squares / n - mean * mean, 0) / fmax(n - 1, 1));

    if (c->o->json)
        printf(
            "{\"architecture\":\"%s\",\"weights\":\"%s\",\"kernels\":\"%s\",\"context\":%llu,"
            "\"chunks\":%llu,\"tokens\":%llu,\"perplexity\":%.4f,\"perplexity_error\":%.4f}\n",
            m->architecture, m->weights, cpu_kernels(), (unsigned long long)c->o->context,
            (unsigned long long)(c->count / c->o->context), (unsigned long long)c->tokens,
            value, error);
    else
        printf("perplexity: %.4f +/- %.4f (%llu tokens of %llu chunks of %llu)\n", value, error,
               (unsigned long long)c->tokens, (unsigned long long)(c->count / c->o->context),
               (unsigned long long)c->o->context);
}

/* --- the text ------------------------------------------------------------------------- */

static enum status read_text(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    enum status st = f != NULL ? ST_OK : ST_NOTFOUND;
    size_t n = 1;

    while (st == ST_OK && n > 0) {
        st = buf_reserve(out, 65536);
        if (st != ST_OK)
            break;
        n = fread(out->ptr + out->len, 1, out->cap - out->len, f);
        out->len += n;
    }
    if (f != NULL && ferror(f))
        st = ST_CLOSED;
    if (f != NULL)
        fclose(f);
    return st;
}

/* The beginning token, if there is one, and those of the text. */
static enum status tokenize(struct score *c, const struct decoder *d, struct span text)
{
    size_t begins, n;
    uint32_t begin;
    enum status st = decoder_tokenize(d, text, false, NULL, 0, &n);

    if (st != ST_OK)
        return st;
    begins = decoder_begin(d, &begin) ? 1 : 0;
    c->ids = malloc((n + 1) * sizeof(*c->ids));
    if (c->ids == NULL)
        return ST_NOMEM;
    c->ids[0] = begins ? begin : 0;
    c->count = n + begins;
    return decoder_tokenize(d, text, false, c->ids + begins, n, &n);
}

static int run(struct score *c, const struct decoder *d, struct span text)
{
    struct model_info info;
    enum status st = tokenize(c, d, text);

    decoder_info(d, &info);
    c->vocabulary = info.vocabulary;
    if (st == ST_OK && c->count < c->o->context) {
        fprintf(stderr, "ibid: '%s' has %zu tokens, fewer than a chunk of %llu (-c)\n",
                c->o->text_path, c->count, (unsigned long long)c->o->context);
        return 1;
    }
    if (st == ST_OK && info.context_max < c->o->context) {
        fprintf(stderr, "ibid: a chunk of %llu tokens does not fit the model's context of %u\n",
                (unsigned long long)c->o->context, info.context_max);
        return 1;
    }
    if (st == ST_OK)
        st = decoder_session_open(d, (unsigned)c->o->threads, &c->s);
    if (st == ST_OK)
        st = score_text(c, d);
    if (st != ST_OK) {
        fprintf(stderr, "ibid: '%s': %s\n", c->o->text_path, status_text(st));
        return 1;
    }
    print_figures(c, &info);
    return 0;
}

int models_bench_perplexity(const char *path, const struct models_bench_options *o,
                            struct progress *p)
{
    const struct decoder_options wanted = {.context_max = (uint32_t)o->context,
                                           .kv_type = o->kv_type,
                                           .tokens_only = true,
                                           .sequences = COLUMNS};
    struct score c = {.o = o, .progress = p};
    struct engine_error err = {.text = ""};
    struct decoder *d;
    struct buf text;
    enum status st;
    int rc = 1;

    buf_init(&text, TEXT_MAX);
    st = read_text(o->text_path, &text);
    if (st != ST_OK) {
        fprintf(stderr, "ibid: '%s': %s\n", o->text_path,
                st == ST_LIMIT ? "larger than 64 MiB" : status_text(st));
    } else if (decoder_open(path, &wanted, &d, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
    } else {
        rc = run(&c, d, buf_span(&text));
        if (c.s != NULL)
            decoder_session_close(c.s);
        free(c.ids);
        decoder_close(d);
    }
    buf_release(&text);
    return rc;
}
