/* Tokens a second. The tokens are random: what is computed does not depend on them, but for
 * the experts that a mixture chooses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/day.h"
#include "cli/models_bench.h"
#include "proxy/model_speeds.h"

struct bench {
    const struct models_bench_options *o;
    const char *path;
    struct progress *progress;
    struct decoder_session *s;
    struct model_info info;
    uint32_t *ids;                 /* of the longest prompt */
    double *prompt_s, *generate_s; /* tokens a second, [repeats] */
};

static const struct engine_stop never = {NULL, NULL};

/* Knuth's generator of 64 bits: the same tokens in every run. */
static uint32_t next_id(uint64_t *state, uint32_t vocabulary)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % vocabulary;
}

static double rate(uint64_t tokens, uint64_t from_us)
{
    uint64_t took = clock_now_us() - from_us;

    return (double)tokens * 1e6 / (double)(took > 0 ? took : 1);
}

static enum status time_prompt(struct bench *b, uint64_t repeat)
{
    uint64_t t0 = clock_now_us();
    enum status st = decoder_prefill(b->s, b->ids, b->o->prompt, never);

    b->prompt_s[repeat] = rate(b->o->prompt, t0);
    return st;
}

/* One token stands before the first that is decoded, at least: a context is never empty. */
static enum status time_decode(struct bench *b, uint64_t repeat)
{
    uint64_t depth = b->o->depth > 0 ? b->o->depth : 1, state = repeat + 1, t0;
    enum status st = decoder_prefill(b->s, b->ids, depth, never);

    t0 = clock_now_us();
    for (uint64_t i = 0; st == ST_OK && i < b->o->generate; i++)
        st = decoder_step(b->s, next_id(&state, b->info.vocabulary));
    b->generate_s[repeat] = rate(b->o->generate, t0);
    return st;
}

static enum status measure(struct bench *b)
{
    enum status st = ST_OK;

    /* Pages that were never touched are not what is timed. */
    if (b->o->prompt > 0)
        st = decoder_prefill(b->s, b->ids, b->o->prompt < 64 ? b->o->prompt : 64, never);
    for (uint64_t i = 0; st == ST_OK && i < b->o->repeats; i++) {
        progress_say(b->progress, "run %llu of %llu", (unsigned long long)i + 1,
                     (unsigned long long)b->o->repeats);
        if (b->o->prompt > 0)
            st = time_prompt(b, i);
        if (st == ST_OK && b->o->generate > 0)
            st = time_decode(b, i);
    }
    progress_end(b->progress);
    return st;
}

/* --- what is printed ------------------------------------------------------------------ */

static void print_json(const struct bench *b, struct models_bench_spread prompt,
                       struct models_bench_spread decode)
{
    const struct models_bench_options *o = b->o;

    printf("{\"architecture\":\"%s\",\"weights\":\"%s\",\"kernels\":\"%s\",\"threads\":%llu,"
           "\"prompt\":%llu,\"generate\":%llu,\"depth\":%llu,\"repeats\":%llu",
           b->info.architecture, b->info.weights, cpu_kernels(), (unsigned long long)o->threads,
           (unsigned long long)o->prompt, (unsigned long long)o->generate,
           (unsigned long long)o->depth, (unsigned long long)o->repeats);
    if (o->prompt > 0)
        printf(",\"prompt_tokens_per_s\":%.2f,\"prompt_tokens_per_s_least\":%.2f,"
               "\"prompt_tokens_per_s_most\":%.2f",
               prompt.median, prompt.least, prompt.most);
    if (o->generate > 0)
        printf(",\"decode_tokens_per_s\":%.2f,\"decode_tokens_per_s_least\":%.2f,"
               "\"decode_tokens_per_s_most\":%.2f",
               decode.median, decode.least, decode.most);
    printf("}\n");
}

static void print_row(const char *what, uint64_t tokens, uint64_t depth,
                      struct models_bench_spread s)
{
    if (tokens > 0)
        printf("%-8s %7llu %7llu %10.1f %10.1f %10.1f\n", what, (unsigned long long)tokens,
               (unsigned long long)depth, s.median, s.least, s.most);
}

static void print_table(const struct bench *b, struct models_bench_spread prompt,
                        struct models_bench_spread decode)
{
    const struct models_bench_options *o = b->o;

    printf("%s, %s, %.1f M parameters; %s; threads: %llu, repeats: %llu\n",
           b->info.architecture, b->info.weights, (double)b->info.parameters / 1e6,
           cpu_kernels(), (unsigned long long)o->threads, (unsigned long long)o->repeats);
    printf("%-8s %7s %7s %10s %10s %10s\n", "", "tokens", "depth", "tokens/s", "least", "most");
    print_row("prompt", o->prompt, 0, prompt);
    print_row("decode", o->generate, o->depth, decode);
}

/* Who may not write there has the figures all the same. */
static void keep(const struct bench *b, double prompt, double decode)
{
    struct model_speed s = {
        .prompt_per_s = prompt, .decode_per_s = decode, .threads = b->o->threads};
    enum status st;

    if (b->o->model_dir == NULL || b->o->prompt == 0 || b->o->generate == 0 || b->o->depth > 0)
        return;
    day_write((uint32_t)(clock_wall_ms() / DAY_MS), s.day);
    st = model_speeds_put(b->o->model_dir, b->path, &s);
    if (st != ST_OK)
        fprintf(stderr, "ibid: '%s/" MODEL_SPEEDS_FILE "' was not written: %s\n",
                b->o->model_dir,
                st == ST_UNAVAILABLE ? strerror(errno) : "what is there is no such file");
}

static void print_figures(struct bench *b)
{
    struct models_bench_spread prompt = models_bench_spread_of(b->prompt_s, b->o->repeats);
    struct models_bench_spread decode = models_bench_spread_of(b->generate_s, b->o->repeats);

    if (b->o->json)
        print_json(b, prompt, decode);
    else
        print_table(b, prompt, decode);
    keep(b, prompt.median, decode.median);
}

/* --- the whole ------------------------------------------------------------------------ */

static enum status prepare(struct bench *b, const struct decoder *d, uint64_t longest)
{
    uint64_t state = 0;

    decoder_info(d, &b->info);
    b->ids = malloc(longest * sizeof(*b->ids));
    b->prompt_s = calloc(b->o->repeats, sizeof(*b->prompt_s));
    b->generate_s = calloc(b->o->repeats, sizeof(*b->generate_s));
    if (b->ids == NULL || b->prompt_s == NULL || b->generate_s == NULL)
        return ST_NOMEM;
    for (uint64_t i = 0; i < longest; i++)
        b->ids[i] = next_id(&state, b->info.vocabulary);
    return decoder_session_open(d, (unsigned)b->o->threads, &b->s);
}

int models_bench_decoder(const char *path, const struct models_bench_options *o,
                         struct progress *p)
{
    uint64_t depth = o->depth > 0 ? o->depth : 1;
    uint64_t longest = depth + o->generate > o->prompt ? depth + o->generate : o->prompt;
    const struct decoder_options wanted = {
        .context_max = (uint32_t)longest, .kv_type = o->kv_type, .tokens_only = true};
    struct bench b = {.o = o, .path = path, .progress = p};
    struct engine_error err = {.text = ""};
    struct decoder *d;
    enum status st;

    progress_say(p, "opening '%s'", path);
    if (decoder_open(path, &wanted, &d, &err) != ST_OK) {
        progress_end(p);
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    st = prepare(&b, d, longest);
    if (st == ST_OK && b.info.context_max < longest) {
        fprintf(stderr, "ibid: %llu tokens do not fit the model's context of %u\n",
                (unsigned long long)longest, b.info.context_max);
        st = ST_LIMIT;
    } else if (st == ST_OK) {
        st = measure(&b);
        if (st == ST_OK)
            print_figures(&b);
    }
    if (st != ST_OK && st != ST_LIMIT)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    if (b.s != NULL)
        decoder_session_close(b.s);
    free(b.generate_s);
    free(b.prompt_s);
    free(b.ids);
    decoder_close(d);
    return st == ST_OK ? 0 : 1;
}
