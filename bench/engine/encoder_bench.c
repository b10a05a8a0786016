/* Times the encoder by number of tokens, for every kernel set of this machine:
 *     encoder_bench MODEL_FOLDER [SECONDS]
 * One thread. Prints milliseconds: median, best. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"

#define WORDS_MAX 256
#define RUNS_MAX  2000

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void time_length(struct encoder_session *s, unsigned tokens, double seconds)
{
    char text[WORDS_MAX * 8] = "";
    float vector[4096];
    double ms[RUNS_MAX];
    enum status each;
    size_t runs = 0;
    uint64_t end = clock_now_us() + (uint64_t)(seconds * 1e6);
    struct engine_stop never = {NULL, NULL};

    for (unsigned i = 0; i + 2 < tokens; i++)
        memcpy(text + strlen(text), i % 2 ? "house " : "green ", 7);
    while (runs < RUNS_MAX && (runs < 3 || clock_now_us() < end)) {
        struct span t = span_of(text);
        uint64_t t0 = clock_now_us();

        if (encoder_embed(s, &t, 1, vector, &each, never) != ST_OK || each != ST_OK)
            exit(1);
        ms[runs++] = (double)(clock_now_us() - t0) / 1e3;
    }
    qsort(ms, runs, sizeof(ms[0]), by_value);
    printf(" %3u tokens %.2f (%.2f)", tokens, ms[runs / 2], ms[0]);
}

static int run(const char *path, enum encoder_precision precision, double seconds)
{
    static const unsigned lengths[] = {8, 16, 32, 128, 256};
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
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        time_length(s, lengths[i], seconds);
    printf(" ms\n");
    encoder_session_close(s);
    encoder_close(e);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const sets[] = {"avx2", "avxvnni", "avx512vnni"};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;

    if (argc < 2) {
        fprintf(stderr, "usage: encoder_bench MODEL_FOLDER [SECONDS]\n");
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
