/* The engine by itself, for tests and benches in other languages:
 *
 *     engine_probe tokens  MODEL                      < TEXTS > IDS
 *     engine_probe vectors MODEL int8|f32 [KERNELS]   < TEXTS > VECTORS
 *     engine_probe logits  MODEL THREADS [KERNELS]    < IDS > LOGITS
 *
 * MODEL is an encoder's folder or a decoder's file. A line is a text, as a JSON string, or
 * numbers: the length of the prompt, then all ids. Ids go out as a line of numbers, vectors
 * as one row of floats a text (zeros for a text that is refused), logits as one row for the
 * prompt and one for each id behind it. KERNELS: ref, avx2, avxvnni, avx512vnni,
 * neon, neondot; for logits
 * also exact (tests/golden/exact.h). Exit status 77: this machine has not these kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/engine.h"
#include "golden/exact.h"

#define BATCH   32
#define IDS_MAX 65536

static void stop_with(const char *what)
{
    fprintf(stderr, "engine_probe: %s\n", what);
    exit(1);
}

/* The next line; NULL at the end. */
static char *next_line(void)
{
    static char *line;
    static size_t cap;
    ssize_t len = getline(&line, &cap, stdin);

    if (len <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static bool next_text(struct arena *arena, struct span *out)
{
    char *line = next_line();
    struct json_error why;
    struct json *v;

    if (line == NULL)
        return false;
    if (json_parse(arena, span_of(line), 1, &v, &why) != ST_OK || v->type != JSON_STRING)
        stop_with("a line is no JSON string");
    *out = v->text;
    return true;
}

static void print_ids(const uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf(i + 1 < n ? "%u " : "%u", ids[i]);
    printf("\n");
}

static int tokens(const struct encoder *e, const struct decoder *d)
{
    static uint32_t ids[IDS_MAX];
    struct arena arena;
    struct span text;
    size_t n;

    arena_init(&arena, 65536, 64u << 20);
    while (next_text(&arena, &text)) {
        enum status st = e != NULL ? encoder_tokenize(e, text, ids, IDS_MAX, &n)
                                   : decoder_tokenize(d, text, false, ids, IDS_MAX, &n);

        if (st != ST_OK || n > IDS_MAX)
            stop_with("a text is no UTF-8, or too long");
        print_ids(ids, n);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return 0;
}

static int vectors(const struct encoder *e)
{
    const struct engine_stop never = {NULL, NULL};
    struct encoder_session *s;
    struct model_info info;
    struct arena arena;
    float *out;

    encoder_info(e, &info);
    out = malloc(BATCH * info.dimensions * sizeof(*out));
    if (out == NULL || encoder_session_open(e, &s) != ST_OK)
        return 1;
    arena_init(&arena, 65536, 64u << 20);
    for (;;) {
        struct span texts[BATCH];
        enum status each[BATCH];
        size_t n = 0;

        while (n < BATCH && next_text(&arena, &texts[n]))
            n++;
        if (n == 0)
            break;
        memset(out, 0, BATCH * info.dimensions * sizeof(*out));
        if (encoder_embed(s, texts, n, out, each, never) != ST_OK)
            stop_with("embedding failed");
        fwrite(out, info.dimensions * sizeof(*out), n, stdout);
        arena_reset(&arena);
    }
    arena_release(&arena);
    encoder_session_close(s);
    free(out);
    return 0;
}

static size_t read_numbers(char *line, uint32_t *out, size_t cap)
{
    size_t n = 0;

    for (char *end = line; n < cap; line = end, n++) {
        unsigned long v = strtoul(line, &end, 10);

        if (end == line)
            break;
        out[n] = (uint32_t)v;
    }
    return n;
}

static int logits(const struct decoder *d, unsigned threads)
{
    static uint32_t ids[IDS_MAX];
    const struct engine_stop never = {NULL, NULL};
    struct decoder_session *s;
    struct model_info info;
    char *line;

    decoder_info(d, &info);
    if (decoder_session_open(d, threads, &s) != ST_OK)
        return 1;
    while ((line = next_line()) != NULL) {
        size_t n = read_numbers(line, ids, IDS_MAX);

        if (n < 2 || ids[0] >= n || decoder_prefill(s, ids + 1, ids[0], never) != ST_OK)
            stop_with("a line is no usable list of ids");
        fwrite(decoder_logits(s), sizeof(float), info.vocabulary, stdout);
        for (size_t i = ids[0] + 1; i < n; i++) {
            if (decoder_step(s, ids[i]) != ST_OK)
                stop_with("a line is longer than the context");
            fwrite(decoder_logits(s), sizeof(float), info.vocabulary, stdout);
        }
        fflush(stdout);
    }
    decoder_session_close(s);
    return 0;
}

static int exact_logits(const char *path)
{
    static uint32_t ids[IDS_MAX];
    static struct exact e;
    struct engine_error why;
    char *line;

    if (exact_open(path, 2048, &e, &why) != ST_OK)
        stop_with(why.text);
    while ((line = next_line()) != NULL) {
        size_t n = read_numbers(line, ids, IDS_MAX), at = 1;

        if (n < 2 || ids[0] == 0 || ids[0] >= n)
            stop_with("a line is no usable list of ids");
        for (size_t take = ids[0]; at < n; at += take, take = 1) {
            if (exact_feed(&e, ids + at, take, at == 1) != ST_OK)
                stop_with("a line is no usable list of ids");
            fwrite(e.state.logits, sizeof(float), e.weights.shape.vocabulary, stdout);
        }
    }
    exact_close(&e);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: engine_probe tokens MODEL | vectors MODEL int8|f32 [KERNELS] | "
                    "logits MODEL THREADS [KERNELS]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    bool is_logits = strcmp(what, "logits") == 0, is_vectors = strcmp(what, "vectors") == 0;
    bool is_file = argc > 2 && strstr(argv[2], ".gguf") != NULL;
    struct encoder_options eo = {.precision = ENCODER_F32};
    struct decoder_options od = {.context_max = 0};
    struct engine_error why;
    struct encoder *e = NULL;
    struct decoder *d = NULL;
    int code;

    if ((!is_logits && !is_vectors && strcmp(what, "tokens") != 0) ||
        argc < (is_logits || is_vectors ? 4 : 3) || (is_logits && !is_file) ||
        (is_vectors && is_file))
        return usage();
    if (is_logits && argc > 4 && strcmp(argv[4], "exact") == 0)
        return exact_logits(argv[2]);
    if (argc > 4 && cpu_force(argv[4]) != ST_OK) {
        fprintf(stderr, "engine_probe: this machine has not the kernels '%s'\n", argv[4]);
        return 77;
    }
    if (is_vectors && strcmp(argv[3], "int8") == 0)
        eo.precision = ENCODER_INT8;
    if ((is_file ? decoder_open(argv[2], &od, &d, &why)
                 : encoder_open(argv[2], &eo, &e, &why)) != ST_OK)
        stop_with(why.text);
    code = is_logits    ? logits(d, (unsigned)strtoul(argv[3], NULL, 10))
           : is_vectors ? vectors(e)
                        : tokens(e, d);
    if (e != NULL)
        encoder_close(e);
    if (d != NULL)
        decoder_close(d);
    return code;
}
