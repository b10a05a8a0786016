/* A sentence encoder (Reimers and Gurevych 2019): BERT, mean over the tokens, unit length.
 * Here: opening its files, and texts into batches and vectors. encoder_config.c says what
 * is supported, encoder_load.c how weights are kept, encoder_forward.c how they are used. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "engine/encoder_config.h"
#include "engine/encoder_forward.h"
#include "engine/encoder_load.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/safetensors.h"
#include "engine/tokenizer/encoder_tokens.h"

#define PATH_BYTES    2048
#define TOKENIZER_MAX (64 * 1024 * 1024)
#define WINDOW_MAX    256
#define BATCH_TOKENS  512 /* computed together at most; two windows */
#define BATCH_TEXTS   64

struct encoder {
    struct encoder_weights weights;
    struct encoder_tokens *tokens; /* owned */
    uint64_t tokenizer_hash;
    char id[72];
};

struct encoder_session {
    const struct encoder *model; /* borrowed */
    struct encoder_scratch scratch;
    uint32_t ids[BATCH_TOKENS]; /* of the texts at hand, one after the other */
};

/* --- opening ------------------------------------------------------------------------- */

static enum status read_tokenizer(struct encoder *e, const char *dir, struct engine_error *err)
{
    char path[PATH_BYTES + 32];
    struct file f;
    enum status st;

    snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
    st = file_read(path, TOKENIZER_MAX, &f, err);
    if (st != ST_OK)
        return st;
    st = encoder_tokens_open(f.bytes, &e->tokens, err);
    e->tokenizer_hash = hash_bytes(f.bytes, 0);
    file_release(&f);
    if (st == ST_OK && encoder_tokens_size(e->tokens) > e->weights.shape.words)
        st = error_set(err, ST_INVALID, "tokenizer.json has more words than the model");
    return st;
}

/* Of all that a vector depends on; the rounding is told beside it (model_info.weights). */
static void make_id(struct encoder *e, const struct safetensors *s)
{
    const struct encoder_shape *h = &e->weights.shape;
    uint64_t facts[] = {s->hash[0], s->hash[1], e->tokenizer_hash, h->heads, h->layers, 0};
    struct span all = {(const char *)facts, sizeof(facts)};

    memcpy(&facts[5], &h->eps, sizeof(h->eps));
    snprintf(e->id, sizeof(e->id), "xxh3:%016llx%016llx",
             (unsigned long long)hash_bytes(all, 0), (unsigned long long)hash_bytes(all, 1));
}

static enum status read_weights(struct encoder *e, const char *path, uint64_t memory_max_bytes,
                                struct engine_error *err)
{
    struct safetensors s;
    enum status st = safetensors_open(path, &s, err);

    if (st != ST_OK)
        return st;
    st = encoder_load(&e->weights, &s, memory_max_bytes, err);
    if (st == ST_OK)
        make_id(e, &s);
    safetensors_close(&s);
    return st;
}

/* The folder of the model, and its file of weights. */
static enum status find_files(const char *path, char *dir, char *weights,
                              struct engine_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = strlen(path);
    struct stat info;

    if (n == 0 || n >= PATH_BYTES)
        return error_set(err, ST_INVALID, "the path of the model is empty or too long");
    if (stat(path, &info) != 0)
        return error_set(err, ST_NOTFOUND,
                         "'%s' does not exist; 'ibid models pull' fetches models", path);
    if (S_ISDIR(info.st_mode)) {
        memcpy(dir, path, n + 1);
        snprintf(weights, PATH_BYTES + 32, "%s/model.safetensors", path);
    } else {
        snprintf(dir, PATH_BYTES, "%.*s", slash != NULL ? (int)(slash - path) : 1,
                 slash != NULL ? path : ".");
        memcpy(weights, path, n + 1);
    }
    return ST_OK;
}

static enum status open_files(struct encoder *e, const char *path,
                              const struct encoder_options *o, struct engine_error *err)
{
    struct encoder_weights *w = &e->weights;
    char dir[PATH_BYTES], weights[PATH_BYTES + 32];
    enum status st = find_files(path, dir, weights, err);

    if (st == ST_OK)
        st = encoder_config_read(dir, &w->shape, err);
    if (st != ST_OK)
        return st;
    w->precision = o->precision;
    w->window = w->shape.positions < WINDOW_MAX ? w->shape.positions : WINDOW_MAX;
    if (o->window_max > 0 && o->window_max < w->window)
        w->window = o->window_max;
    st = read_tokenizer(e, dir, err);
    if (st == ST_OK)
        st = read_weights(e, weights, o->memory_max_bytes, err);
    return st;
}

enum status encoder_open(const char *path, const struct encoder_options *o,
                         struct encoder **out, struct engine_error *err)
{
    struct encoder *e = calloc(1, sizeof(*e));
    enum status st;

    if (e == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    st = open_files(e, path, o, err);
    if (st != ST_OK) {
        encoder_close(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

void encoder_close(struct encoder *e)
{
    if (e->tokens != NULL)
        encoder_tokens_close(e->tokens);
    encoder_load_release(&e->weights);
    free(e);
}

void encoder_info(const struct encoder *e, struct model_info *out)
{
    const struct encoder_shape *s = &e->weights.shape;
    uint64_t layer = 4 * s->d * s->d + 2 * s->d * s->ffn + 9 * s->d + s->ffn;

    *out = (struct model_info){
        .parameters = (s->words + s->positions + s->types + 2) * s->d + s->layers * layer,
        .memory_bytes = e->weights.memory_bytes,
        .dimensions = (uint32_t)s->d,
        .context_max = (uint32_t)e->weights.window,
        .vocabulary = (uint32_t)s->words,
    };
    snprintf(out->id, sizeof(out->id), "%s", e->id);
    snprintf(out->architecture, sizeof(out->architecture), "bert");
    snprintf(out->weights, sizeof(out->weights), "%s",
             e->weights.precision == ENCODER_INT8 ? "int8" : "f32");
}

enum status encoder_tokenize(const struct encoder *e, struct span text, uint32_t *ids,
                             size_t cap, size_t *count)
{
    return encoder_tokens_encode(e->tokens, text, ids, cap, SIZE_MAX, count);
}

/* --- sessions ------------------------------------------------------------------------ */

enum status encoder_session_open(const struct encoder *e, struct encoder_session **out)
{
    struct encoder_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->model = e;
    encoder_forward_init(&s->scratch, &e->weights);
    *out = s;
    return ST_OK;
}

void encoder_session_close(struct encoder_session *s)
{
    encoder_forward_release(&s->scratch);
    free(s);
}

/* Mean over the tokens, unit length. */
static void pool(const float *x, size_t n, size_t d, float *out)
{
    double norm = 0;

    for (size_t i = 0; i < d; i++)
        out[i] = 0;
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < d; i++)
            out[i] += x[t * d + i];
    }
    for (size_t i = 0; i < d; i++)
        norm += (double)out[i] * (double)out[i];
    norm = norm > 0 ? 1.0 / sqrt(norm) : 0;
    for (size_t i = 0; i < d; i++)
        out[i] = (float)((double)out[i] * norm);
}

/* Texts gathered for one pass. */
struct batch {
    size_t lengths[BATCH_TEXTS];
    size_t which[BATCH_TEXTS]; /* their places among the caller's texts */
    size_t count, tokens;
};

/* Takes texts from *next on until the batch is full. Their ids are in s->ids. */
static void gather(struct encoder_session *s, const struct span *texts, size_t n, size_t *next,
                   enum status *each, struct batch *b)
{
    const struct encoder *e = s->model;
    size_t window = e->weights.window, len;

    for (; *next < n && b->count < BATCH_TEXTS; (*next)++) {
        if (BATCH_TOKENS - b->tokens < window)
            return;
        each[*next] = encoder_tokens_encode(e->tokens, texts[*next], s->ids + b->tokens, window,
                                            window, &len);
        if (each[*next] != ST_OK)
            continue;
        b->which[b->count] = *next;
        b->lengths[b->count++] = len;
        b->tokens += len;
    }
}

enum status encoder_embed(struct encoder_session *s, const struct span *texts, size_t n,
                          float *out, enum status *each, struct engine_stop stop)
{
    size_t d = s->model->weights.shape.d, next = 0;

    while (next < n) {
        struct batch b = {.count = 0};
        size_t at = 0;
        enum status st;

        gather(s, texts, n, &next, each, &b);
        if (b.count == 0)
            continue;
        st = encoder_forward(&s->scratch, s->ids, b.lengths, b.count, b.tokens, stop);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < b.count; i++) {
            pool(s->scratch.x + at * d, b.lengths[i], d, out + b.which[i] * d);
            at += b.lengths[i];
        }
    }
    return ST_OK;
}
