/* Tokens a second of several answers written at once, beside those of one: in turns, by the
 * passes that the proxy runs. The tokens are the model's own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/models_bench.h"

struct bench {
    const struct models_bench_options *o;
    struct decoder_session *s;
    struct model_info info;
    struct decoder_answer **answers; /* [batch] */
    uint32_t *ids;                   /* of a prompt */
    double *one, *all;               /* tokens a second, [repeats] */
};

static uint64_t depth_of(const struct models_bench_options *o)
{
    return o->depth > 0 ? o->depth : 1;
}

static void ignore_text(void *arg, struct span text)
{
    (void)arg;
    (void)text;
}

static enum status open_answers(struct bench *b, uint64_t n)
{
    enum status st = ST_OK;

    for (uint64_t i = 0; st == ST_OK && i < n; i++) {
        const struct decoder_request q = {.ids = b->ids,
                                          .id_count = depth_of(b->o),
                                          .params = {.top_p = 1},
                                          .no_end = true,
                                          .partition = i, /* nobody takes another's prompt */
                                          .on_text = ignore_text};

        for (uint64_t k = 0; k < depth_of(b->o); k++)
            b->ids[k] = (uint32_t)((i + 1) * 7919 + k * 104729) % b->info.vocabulary;
        st = decoder_answer_open(b->s, &q, &b->answers[i]);
    }
    return st;
}

/* Tokens of all n answers; *least: of the one that has fewest. */
static uint64_t count_tokens(const struct bench *b, uint64_t n, uint64_t *least)
{
    struct decoder_result r;
    enum status st;
    uint64_t all = 0;

    *least = UINT64_MAX;
    for (uint64_t i = 0; i < n; i++) {
        (void)decoder_answer_ended(b->answers[i], &st, &r);
        all += r.completion_tokens;
        if (r.completion_tokens < *least)
            *least = r.completion_tokens;
    }
    return all;
}

/* Passes until all prompts are behind, then those that count. */
static enum status time_answers(struct bench *b, uint64_t n, double *tokens_per_s)
{
    enum status st = open_answers(b, n);
    uint64_t before, least = 0, t0;

    if (st == ST_OK) {
        while (least == 0) {
            decoder_session_pass(b->s);
            (void)count_tokens(b, n, &least);
        }
        before = count_tokens(b, n, &least);
        t0 = clock_now_us();
        for (uint64_t i = 0; i < b->o->generate; i++)
            decoder_session_pass(b->s);
        *tokens_per_s = (double)(count_tokens(b, n, &least) - before) * 1e6 /
                        (double)(clock_now_us() - t0 + 1);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (b->answers[i] != NULL)
            decoder_answer_close(b->answers[i]);
        b->answers[i] = NULL;
    }
    return st;
}

static enum status measure(struct bench *b, struct progress *p)
{
    enum status st = ST_OK;

    for (uint64_t i = 0; st == ST_OK && i < b->o->repeats; i++) {
        progress_say(p, "run %llu of %llu", (unsigned long long)i + 1,
                     (unsigned long long)b->o->repeats);
        st = time_answers(b, 1, &b->one[i]);
        if (st == ST_OK)
            st = time_answers(b, b->o->batch, &b->all[i]);
    }
    progress_end(p);
    return st;
}

static void print_figures(const struct bench *b)
{
    const struct models_bench_options *o = b->o;
    struct models_bench_spread one = models_bench_spread_of(b->one, o->repeats);
    struct models_bench_spread all = models_bench_spread_of(b->all, o->repeats);
    double ratio = all.median / one.median;

    if (o->json)
        printf("{\"architecture\":\"%s\",\"weights\":\"%s\",\"kernels\":\"%s\","
               "\"threads\":%llu,\"batch\":%llu,\"generate\":%llu,\"depth\":%llu,"
               "\"repeats\":%llu,\"one_tokens_per_s\":%.2f,\"batch_tokens_per_s\":%.2f,"
               "\"ratio\":%.3f}\n",
               b->info.architecture, b->info.weights, cpu_kernels(),
               (unsigned long long)o->threads, (unsigned long long)o->batch,
               (unsigned long long)o->generate, (unsigned long long)o->depth,
               (unsigned long long)o->repeats, one.median, all.median, ratio);
    else
        printf("%s, %s; %s; threads: %llu, repeats: %llu, depth: %llu\n"
               "%-10s %10s %10s %10s\n"
               "%-10u %10.1f %10.1f %10.1f\n"
               "%-10llu %10.1f %10.1f %10.1f\n"
               "%.2f times the tokens a second of one\n",
               b->info.architecture, b->info.weights, cpu_kernels(),
               (unsigned long long)o->threads, (unsigned long long)o->repeats,
               (unsigned long long)o->depth, "answers", "tokens/s", "least", "most", 1,
               one.median, one.least, one.most, (unsigned long long)o->batch, all.median,
               all.least, all.most, ratio);
}

static enum status prepare(struct bench *b, const struct decoder *d)
{
    const struct models_bench_options *o = b->o;

    decoder_info(d, &b->info);
    b->ids = malloc(depth_of(o) * sizeof(*b->ids));
    b->one = calloc(o->repeats, sizeof(*b->one));
    b->all = calloc(o->repeats, sizeof(*b->all));
    b->answers = calloc(o->batch, sizeof(struct decoder_answer *));
    if (b->ids == NULL || b->one == NULL || b->all == NULL || b->answers == NULL)
        return ST_NOMEM;
    return decoder_session_open(d, (unsigned)o->threads, &b->s);
}

static int run(struct bench *b, const struct decoder *d, uint64_t context, struct progress *p)
{
    enum status st = prepare(b, d);

    if (st == ST_OK && b->info.context_max < context) {
        fprintf(stderr, "ibid: %llu tokens do not fit the model's context of %u\n",
                (unsigned long long)context, b->info.context_max);
    } else if (st == ST_OK) {
        st = measure(b, p);
        if (st == ST_OK) {
            print_figures(b);
            return 0;
        }
    }
    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    return 1;
}

int models_bench_batch(const char *path, const struct models_bench_options *o,
                       struct progress *p)
{
    /* The first goes on while the prompts of the others are read, at 32 columns a pass. */
    uint64_t context = depth_of(o) + o->generate + o->batch * (depth_of(o) / 32 + 2);
    const struct decoder_options wanted = {
        .context_max = (uint32_t)context,
        .tokens_only = true,
        .kv_type = o->kv_type,
        .sequences = (uint32_t)o->batch,
        .cache_tokens = (uint32_t)(o->batch * (context + 64)),
    };
    struct bench b = {.o = o};
    struct engine_error err = {.text = ""};
    struct decoder *d;
    int rc;

    progress_say(p, "opening '%s'", path);
    if (decoder_open(path, &wanted, &d, &err) != ST_OK) {
        progress_end(p);
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    rc = run(&b, d, context, p);
    if (b.s != NULL)
        decoder_session_close(b.s);
    free(b.answers);
    free(b.all);
    free(b.one);
    free(b.ids);
    decoder_close(d);
    return rc;
}
