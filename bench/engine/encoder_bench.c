/* Times the encoder by number of tokens, and eight texts at once, for every kernel set of this
 * machine:
 *     encoder_bench MODEL [SECONDS]
 * One thread. Prints milliseconds: median, best. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"

#define WORDS_MAX 256
#define RUNS_MAX  2000
#define TEXTS_MAX 8

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void write_text(char *text, unsigned tokens)
{
    text[0] = '\0';
    for (unsigned i = 0; i + 2 < tokens; i++)
        memcpy(text + strlen(text), i % 2 ? "house " : "green ", 7);
}

/* Texts of so many word pieces, together. */
static void time_texts(struct encoder_session *s, const char *name, const unsigned *tokens,
                       size_t n, size_t dimensions, double seconds)
{
    static char text[TEXTS_MAX][WORDS_MAX * 8];
    float *vectors = malloc(n * dimensions * sizeof(*vectors));
    struct span texts[TEXTS_MAX];
    enum status each[TEXTS_MAX];
    double ms[RUNS_MAX];
    size_t runs = 0;
    uint64_t end = clock_now_us() + (uint64_t)(seconds * 1e6);
    struct engine_stop never = {NULL, NULL};

    for (size_t i = 0; i < n; i++) {
        write_text(text[i], tokens[i]);
        texts[i] = span_of(text[i]);
    }
    while (vectors != NULL && runs < RUNS_MAX && (runs < 3 || clock_now_us() < end)) {
        uint64_t t0 = clock_now_us();

        if (encoder_embed(s, texts, n, vectors, each, never) != ST_OK || each[0] != ST_OK)
            exit(1);
        ms[runs++] = (double)(clock_now_us() - t0) / 1e3;
    }
    if (runs == 0)
        exit(1);
    qsort(ms, runs, sizeof(ms[0]), by_value);
    printf(" %s %.3f (%.3f)", name, ms[runs / 2], ms[0]);
    free(vectors);
}

static int run(const char *path, enum encoder_precision precision, double seconds)
{
    static const unsigned lengths[] = {8, 16, 32, 128, 256};
    static const unsigned alike[TEXTS_MAX] = {16, 16, 16, 16, 16, 16, 16, 16};
    static const unsigned mixed[TEXTS_MAX] = {4, 6, 30, 10, 26, 12, 22, 18};
    struct model_info info;
    struct encoder_options o = {.precision = precision};
    struct engine_error err;
    struct encoder *e;
    struct encoder_session *s;
    uint64_t t0 = clock_now_us();

    if (encoder_open(path, &o, &e, &err) != ST_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%-10s %-5s open %.0f ms;", cpu_kernels(), precision == ENCODER_F32 ? "f32" : "int8",
           (double)(clock_now_us() - t0) / 1e3);
    if (encoder_session_open(e, &s) != ST_OK)
        return 1;
    encoder_info(e, &info);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char name[32];

        snprintf(name, sizeof(name), "%u tokens", lengths[i]);
        time_texts(s, name, &lengths[i], 1, info.dimensions, seconds);
    }
    time_texts(s, "8 x 16", alike, TEXTS_MAX, info.dimensions, seconds);
    time_texts(s, "8 of 4 to 30", mixed, TEXTS_MAX, info.dimensions, seconds);
    printf(" ms\n");
    encoder_session_close(s);
    encoder_close(e);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const sets[] = {"avx2", "avxvnni", "avx512vnni", "neon", "neondot"};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;

    if (argc < 2) {
        fprintf(stderr, "usage: encoder_bench MODEL [SECONDS]\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        if (cpu_force(sets[i]) != ST_OK)
            printf("%-10s not on this machine\n", sets[i]);
        else if (run(argv[1], ENCODER_INT8, seconds) != 0)
            return 1;
    }
    return run(argv[1], ENCODER_F32, seconds);
}
