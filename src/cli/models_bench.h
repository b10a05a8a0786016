/* `ibid models bench`: how fast a model is on this machine, and how good. */
#ifndef CLI_MODELS_BENCH_H
#define CLI_MODELS_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "cli/progress.h"
#include "engine/engine.h"

struct models_bench_options {
    uint64_t prompt, generate, depth; /* tokens */
    uint64_t threads, repeats;
    enum decoder_cache kv_type;
    uint64_t batch;         /* answers at a time, beside one alone; 0: not this */
    uint64_t context;       /* tokens of a chunk of a perplexity */
    const char *text_path;  /* of the text of a perplexity; NULL: time */
    const char *guess_path; /* of questions, to time guesses; NULL: not this */
    const char *model_dir;  /* where speeds are kept; NULL: they are not */
    const char *precision;  /* of an encoder: "int8" or "f32" */
    bool json;
};

/* The middle of some measurements, and how far they lie apart. */
struct models_bench_spread {
    double median, least, most;
};

/* Sorts them; n > 0. */
struct models_bench_spread models_bench_spread_of(double *values, uint64_t n);

/* Each says on stderr what is wrong, and returns the exit status of the program. */
int models_bench_decoder(const char *path, const struct models_bench_options *o,
                         struct progress *p) MUST_CHECK;
int models_bench_encoder(const char *path, const struct models_bench_options *o,
                         struct progress *p) MUST_CHECK;
int models_bench_batch(const char *path, const struct models_bench_options *o,
                       struct progress *p) MUST_CHECK;
int models_bench_guess(const char *path, const struct models_bench_options *o,
                       struct progress *p) MUST_CHECK;
int models_bench_perplexity(const char *path, const struct models_bench_options *o,
                            struct progress *p) MUST_CHECK;

#endif
