/* Perplexity of a text the way llama.cpp's llama-perplexity counts it, so that figures can be
 * compared: the text's tokens in chunks of `context`, each by itself; a chunk's first token
 * gives way to the beginning token where the model has texts begin with one; the
 * tokens of the second half of a chunk count, each given all before it in the chunk:
 *
 *     exp(-mean(log p)),  error: exp's slope times the standard error of the mean */
#include <math.h>
#include <stdio.h>

#include "cli/models_bench.h"
#include "engine/file.h"
#include "engine/text_chunks.h"

#define TEXT_MAX (64 * 1024 * 1024)
#define COLUMNS  16 /* of a pass; each has logits of the vocabulary */

struct score {
    const struct models_bench_options *o;
    struct progress *progress;
    struct decoder_session *s;
    uint32_t vocabulary;
    struct text_chunks chunks; /* owned */
    uint64_t tokens;           /* that counted */
    double sum, squares;       /* of -log p */
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

static enum status score_text(struct score *c)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < c->chunks.count; i++) {
        progress_say(c->progress, "chunk %zu of %zu", i + 1, c->chunks.count);
        st = score_chunk(c, text_chunks_get(&c->chunks, i));
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
            (unsigned long long)c->chunks.count, (unsigned long long)c->tokens, value, error);
    else
        printf("perplexity: %.4f +/- %.4f (%llu tokens of %llu chunks of %llu)\n", value, error,
               (unsigned long long)c->tokens, (unsigned long long)c->chunks.count,
               (unsigned long long)c->o->context);
}

/* --- the text ------------------------------------------------------------------------- */

static int run(struct score *c, const struct decoder *d, struct span text)
{
    struct model_info info;
    enum status st = text_chunks_open(d, text, c->o->context, &c->chunks);

    decoder_info(d, &info);
    c->vocabulary = info.vocabulary;
    if (st == ST_OK && c->chunks.count == 0) {
        fprintf(stderr, "ibid: '%s' has %zu tokens, fewer than a chunk of %llu (-c)\n",
                c->o->text_path, c->chunks.tokens, (unsigned long long)c->o->context);
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
        st = score_text(c);
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
    struct file text = {{NULL, 0}};
    int rc = 1;

    if (file_read(o->text_path, TEXT_MAX, &text, &err) != ST_OK ||
        decoder_open(path, &wanted, &d, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
    } else {
        rc = run(&c, d, text.bytes);
        if (c.s != NULL)
            decoder_session_close(c.s);
        text_chunks_close(&c.chunks);
        decoder_close(d);
    }
    file_release(&text);
    return rc;
}
