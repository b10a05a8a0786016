/* What guesses bring: answers with and without them in turns, which must be the same. A line
 * of the file is a question, and, behind a tab, one whose answer stands in for that of a cached
 * neighbour. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/models_bench.h"

#define TEXT_MAX (1024 * 1024)
#define SHOWN    32  /* characters of a question */
#define NEAR     80u /* percent of an answer that stands in another: a near one */

struct said {
    struct buf text;
    struct decoder_result result;
};

struct bench {
    const struct models_bench_options *o;
    struct decoder_session *s;
    struct model_info info;
    double *plain, *guessed; /* tokens a second of a line, [repeats] */
    double *ratios, *near;   /* [lines]: of all, and of those with a near answer */
    size_t lines, count, near_count;
    bool differs;
};

static void add_text(void *arg, struct span text)
{
    struct said *s = arg;

    if (buf_append(&s->text, text) != ST_OK)
        buf_clear(&s->text);
}

static enum status say(struct bench *b, struct span question, struct span like, bool guesses,
                       struct said *to)
{
    const struct decoder_turn turn = {SPAN("user"), question};
    const struct decoder_request q = {
        .turns = &turn,
        .turn_count = 1,
        .params = {.top_p = 1, .max_tokens = (uint32_t)b->o->generate},
        .like = like,
        .no_guesses = !guesses,
        .on_text = add_text,
        .arg = to,
    };
    struct decoder_answer *a;
    enum status st = decoder_answer_open(b->s, &q, &a);

    buf_clear(&to->text);
    if (st != ST_OK)
        return st;
    while (!decoder_answer_ended(a, &st, &to->result))
        decoder_session_pass(b->s);
    decoder_answer_close(a);
    return st;
}

static double rate(const struct decoder_result *r)
{
    return (double)(r->completion_tokens - 1) * 1e6 / (double)(r->decode_us + 1);
}

static unsigned percent(uint32_t part, uint32_t all)
{
    return all > 0 ? 100 * part / all : 0;
}

/* Percent of a that stands in b in the same order: the longest common subsequence of bytes. */
static unsigned alike(struct span a, struct span b)
{
    size_t *row = calloc(b.len + 1, sizeof(*row)), most = 0;

    for (size_t i = 0; row != NULL && i < a.len; i++) {
        size_t above = 0; /* of the row before, one to the left */

        for (size_t j = 0; j < b.len; j++) {
            size_t before = row[j + 1], both = above + 1;

            if (a.ptr[i] != b.ptr[j])
                both = before > row[j] ? before : row[j];
            above = before;
            row[j + 1] = both;
        }
    }
    if (row != NULL)
        most = row[b.len];
    free(row);
    return a.len > 0 ? (unsigned)(100 * most / a.len) : 0;
}

/* What is said of all lines is said of those with a near answer apart. */
static void print_line(struct bench *b, struct span question, unsigned share,
                       const struct decoder_result *r)
{
    struct models_bench_spread plain = models_bench_spread_of(b->plain, b->o->repeats);
    struct models_bench_spread guessed = models_bench_spread_of(b->guessed, b->o->repeats);
    uint32_t near = r->guessed[DECODER_GUESS_NEIGHBOUR], own = r->guessed[DECODER_GUESS_PROMPT];

    b->ratios[b->count++] = guessed.median / plain.median;
    if (share >= NEAR)
        b->near[b->near_count++] = guessed.median / plain.median;
    if (b->o->json)
        return;
    printf("%-*.*s %6u %4u%% %6u %3u%% %6u %3u%% %8.1f %8.1f %6.2f\n", SHOWN,
           (int)(question.len < SHOWN ? question.len : SHOWN), question.ptr,
           r->completion_tokens, share, near, percent(r->right[DECODER_GUESS_NEIGHBOUR], near),
           own, percent(r->right[DECODER_GUESS_PROMPT], own), plain.median, guessed.median,
           guessed.median / plain.median);
}

static enum status run_line(struct bench *b, struct span question, struct span neighbour,
                            struct said said[3])
{
    struct said *near = &said[0], *plain = &said[1], *guessed = &said[2];
    enum status st = ST_OK;

    buf_clear(&near->text);
    if (neighbour.len > 0)
        st = say(b, neighbour, (struct span){NULL, 0}, false, near);
    for (uint64_t i = 0; st == ST_OK && i < b->o->repeats; i++) {
        st = say(b, question, (struct span){NULL, 0}, false, plain);
        if (st == ST_OK)
            st = say(b, question, buf_span(&near->text), true, guessed);
        if (st != ST_OK)
            break;
        b->plain[i] = rate(&plain->result);
        b->guessed[i] = rate(&guessed->result);
        if (!span_eq(buf_span(&plain->text), buf_span(&guessed->text))) {
            fprintf(stderr, "ibid: with guesses the answer is another: %.*s\n",
                    (int)question.len, question.ptr);
            b->differs = true;
        }
    }
    if (st == ST_OK)
        print_line(b, question, alike(buf_span(&plain->text), buf_span(&near->text)),
                   &guessed->result);
    return st;
}

static enum status run_lines(struct bench *b, FILE *file)
{
    struct said said[3];
    char line[8192];
    enum status st = ST_OK;

    for (size_t i = 0; i < 3; i++)
        buf_init(&said[i].text, TEXT_MAX);
    if (!b->o->json)
        printf("%-*s %6s %5s %6s %4s %6s %4s %8s %8s %6s\n", SHOWN, "question", "tokens",
               "alike", "near", "ok", "own", "ok", "plain/s", "guess/s", "ratio");
    while (st == ST_OK && b->count < b->lines && fgets(line, sizeof(line), file) != NULL) {
        char *end = line + strcspn(line, "\n"), *tab = line + strcspn(line, "\t\n");

        if (tab == line)
            continue;
        *end = '\0';
        st = run_line(b, (struct span){line, (size_t)(tab - line)},
                      tab < end ? span_of(tab + 1) : (struct span){NULL, 0}, said);
    }
    for (size_t i = 0; i < 3; i++)
        buf_release(&said[i].text);
    return st;
}

static void print_summary(const struct bench *b)
{
    struct models_bench_spread s = models_bench_spread_of(b->ratios, b->count), n = {0, 0, 0};

    if (b->near_count > 0)
        n = models_bench_spread_of(b->near, b->near_count);
    if (b->o->json)
        printf("{\"architecture\":\"%s\",\"weights\":\"%s\",\"kernels\":\"%s\","
               "\"threads\":%llu,\"lines\":%zu,\"ratio\":%.3f,\"ratio_least\":%.3f,"
               "\"ratio_most\":%.3f,\"near_lines\":%zu,\"near_ratio\":%.3f,"
               "\"near_ratio_least\":%.3f,\"same\":%s}\n",
               b->info.architecture, b->info.weights, cpu_kernels(),
               (unsigned long long)b->o->threads, b->count, s.median, s.least, s.most,
               b->near_count, n.median, n.least, b->differs ? "false" : "true");
    else
        printf("%.2f times the tokens a second (%.2f to %.2f); %zu with %u%% of a near answer: "
               "%.2f (%.2f to %.2f); answers: %s\n",
               s.median, s.least, s.most, b->near_count, NEAR, n.median, n.least, n.most,
               b->differs ? "NOT THE SAME" : "the same");
}

static enum status run(struct bench *b, const struct decoder *d, FILE *file)
{
    enum status st;

    decoder_info(d, &b->info);
    b->lines = 1000;
    b->plain = calloc(b->o->repeats, sizeof(*b->plain));
    b->guessed = calloc(b->o->repeats, sizeof(*b->guessed));
    b->ratios = calloc(b->lines, sizeof(*b->ratios));
    b->near = calloc(b->lines, sizeof(*b->near));
    if (b->plain == NULL || b->guessed == NULL || b->ratios == NULL || b->near == NULL)
        return ST_NOMEM;
    st = decoder_session_open(d, (unsigned)b->o->threads, &b->s);
    if (st == ST_OK)
        st = run_lines(b, file);
    if (st == ST_OK && b->count > 0)
        print_summary(b);
    return st;
}

int models_bench_guess(const char *path, const struct models_bench_options *o,
                       struct progress *p)
{
    const struct decoder_options wanted = {
        .context_max = 2048, .guessing = DECODER_GUESS_WORTH, .kv_type = o->kv_type};
    struct bench b = {.o = o};
    struct engine_error err = {.text = ""};
    FILE *file = fopen(o->guess_path, "r");
    struct decoder *d;
    enum status st;

    if (file == NULL) {
        fprintf(stderr, "ibid: '%s' cannot be read\n", o->guess_path);
        return 1;
    }
    progress_say(p, "opening '%s'", path);
    if (decoder_open(path, &wanted, &d, &err) != ST_OK) {
        progress_end(p);
        fprintf(stderr, "ibid: %s\n", err.text);
        fclose(file);
        return 1;
    }
    progress_end(p);
    st = run(&b, d, file);
    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    if (b.s != NULL)
        decoder_session_close(b.s);
    free(b.plain);
    free(b.guessed);
    free(b.ratios);
    free(b.near);
    decoder_close(d);
    fclose(file);
    return st == ST_OK && !b.differs ? 0 : 1;
}
