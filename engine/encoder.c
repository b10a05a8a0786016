/* A sentence encoder (Reimers and Gurevych 2019): tokens, the layers of
 * encoder_forward.c, one vector of unit length. Here: opening its files, and texts into
 * batches and vectors. encoder_config.c and encoder_gguf.c say what is supported,
 * encoder_load.c how weights are kept. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/size.h"
#include "engine/encoder_config.h"
#include "engine/encoder_forward.h"
#include "engine/encoder_gguf.h"
#include "engine/encoder_load.h"
#include "engine/encoder_tensors.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/tokenizer/encoder_tokens.h"

#define PATH_BYTES    2048
#define TOKENIZER_MAX (64 * 1024 * 1024)
#define PREFIX_MAX    1024
#define WINDOW_MAX    256
#define WINDOW_STATIC 512 /* a word more costs a static model next to nothing */
/* Computed together at most, but for one longer text: two of the pieces that weights are read
 * for (encoder_forward.c), so that few are half empty. More gain nothing, and the workspace for
 * the most that ever came together in a burst stays. */
#define BATCH_TOKENS 128
#define BATCH_TEXTS  64

struct encoder {
    struct encoder_weights weights;
    struct encoder_tokens *tokens; /* owned */
    uint64_t tokenizer_hash;
    char *prefix; /* owned; NULL: none */
    size_t prefix_bytes;
    char id[72];
};

struct encoder_session {
    const struct encoder *model; /* borrowed */
    struct encoder_scratch scratch;
    uint32_t ids[BATCH_TOKENS + WINDOW_STATIC]; /* of the texts at hand, one after the other */
};

/* --- opening ------------------------------------------------------------------------- */

/* The folder of the model, and its file of weights. */
struct place {
    char dir[PATH_BYTES];
    char weights[PATH_BYTES + 32];
};

static enum status find_place(const char *path, struct place *out, struct engine_error *err)
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
        memcpy(out->dir, path, n + 1);
        snprintf(out->weights, sizeof(out->weights), "%s/model.safetensors", path);
    } else {
        snprintf(out->dir, sizeof(out->dir), "%.*s", slash != NULL ? (int)(slash - path) : 1,
                 slash != NULL ? path : ".");
        memcpy(out->weights, path, n + 1);
    }
    return ST_OK;
}

static enum status read_tokenizer_json(struct encoder *e, const char *dir, uint64_t most,
                                       struct engine_error *err)
{
    char path[PATH_BYTES + 32];
    struct file f;
    enum status st;

    snprintf(path, sizeof(path), "%s/tokenizer.json", dir);
    st = file_read(path, most > 0 && most < TOKENIZER_MAX ? most : TOKENIZER_MAX, &f, err);
    if (st != ST_OK)
        return st;
    st = encoder_tokens_open(f.bytes, e->weights.shape.architecture->bare,
                             most > 0 ? most - f.bytes.len + 1 : 0, &e->tokens, err);
    e->tokenizer_hash = hash_bytes(f.bytes, 0);
    file_release(&f);
    return st;
}

/* A GGUF says all in one file. */
static enum status read_description(struct encoder *e, const struct place *p,
                                    struct encoder_tensors *t, uint64_t most,
                                    struct engine_error *err)
{
    struct encoder_shape *s = &e->weights.shape;
    const struct gguf_pair *words;
    enum status st;

    if (t->format == ENCODER_SAFETENSORS) {
        st = encoder_config_read(p->dir, s, err);
        if (st == ST_OK)
            st = encoder_load_shape(s, t, err);
        return st == ST_OK ? read_tokenizer_json(e, p->dir, most, err) : st;
    }
    st = encoder_gguf_shape(&t->gguf, s, err);
    if (st == ST_OK)
        st = encoder_tokens_open_gguf(&t->gguf, &e->tokens, err);
    words = gguf_find(&t->gguf, "tokenizer.ggml.tokens");
    if (st == ST_OK)
        e->tokenizer_hash = hash_bytes(words->value, 0);
    return st;
}

static enum status set_window(struct encoder *e, const struct encoder_options *o,
                              struct engine_error *err)
{
    struct encoder_weights *w = &e->weights;
    const struct encoder_shape *s = &w->shape;

    w->window = s->architecture->bare ? WINDOW_STATIC : WINDOW_MAX;
    if (s->positions - s->first < w->window)
        w->window = s->positions - s->first;
    if (o->window_max > 0 && o->window_max < w->window)
        w->window = o->window_max;
    if (encoder_tokens_size(e->tokens) > s->words)
        return error_set(err, ST_INVALID, "the tokenizer has more words than the model");
    return ST_OK;
}

static enum status copy_prefix(struct encoder *e, const char *prefix, struct engine_error *err)
{
    size_t n = prefix != NULL ? strlen(prefix) : 0;

    if (n == 0)
        return ST_OK;
    if (n > PREFIX_MAX)
        return error_set(err, ST_INVALID, "the encoder's prefix is longer than %d bytes",
                         PREFIX_MAX);
    e->prefix = malloc(n);
    if (e->prefix == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    memcpy(e->prefix, prefix, n);
    e->prefix_bytes = n;
    return ST_OK;
}

/* Of all that a vector depends on; the rounding is told beside it (model_info.weights). */
static void make_id(struct encoder *e, const struct encoder_tensors *t)
{
    const struct encoder_shape *h = &e->weights.shape;
    const struct span prefix = {e->prefix != NULL ? e->prefix : "", e->prefix_bytes};
    const char *name = h->architecture->name;
    uint64_t facts[] = {t->hash[0],
                        t->hash[1],
                        e->tokenizer_hash,
                        h->heads,
                        h->layers,
                        0,
                        hash_bytes(span_of(name), 0),
                        h->pooling,
                        hash_bytes(prefix, 0)};
    struct span all = {(const char *)facts, sizeof(facts)};

    memcpy(&facts[5], &h->eps, sizeof(h->eps));
    memcpy((char *)&facts[5] + sizeof(h->eps), &h->base, sizeof(h->base));
    snprintf(e->id, sizeof(e->id), "xxh3:%016llx%016llx",
             (unsigned long long)hash_bytes(all, 0), (unsigned long long)hash_bytes(all, 1));
}

static enum status read_model(struct encoder *e, const struct place *p,
                              struct encoder_tensors *t, const struct encoder_options *o,
                              struct engine_error *err)
{
    struct encoder_weights *w = &e->weights;
    enum status st = read_description(e, p, t, o->memory_max_bytes, err);
    uint64_t beside;

    if (st == ST_OK)
        st = set_window(e, o, err);
    if (st == ST_OK)
        st = copy_prefix(e, o->prefix, err);
    if (st != ST_OK)
        return st;
    if (o->pooling != ENCODER_POOLING_AUTO)
        w->shape.pooling = o->pooling;
    if (w->shape.pooling == ENCODER_POOLING_AUTO)
        w->shape.pooling = ENCODER_POOLING_MEAN;
    w->precision = o->precision;
    beside = encoder_tokens_bytes(e->tokens) + sizeof(struct encoder_session) +
             encoder_forward_bytes(&w->shape, w->window);
    st = encoder_load(w, t, beside, o->memory_max_bytes, err);
    if (st == ST_OK)
        make_id(e, t);
    return st;
}

enum status encoder_open(const char *path, const struct encoder_options *o,
                         struct encoder **out, struct engine_error *err)
{
    struct encoder *e = calloc(1, sizeof(*e));
    struct encoder_tensors t;
    struct place p;
    enum status st;

    if (e == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    st = find_place(path, &p, err);
    if (st == ST_OK)
        st = encoder_tensors_open(p.weights, o->memory_max_bytes, &t, err);
    if (st == ST_OK) {
        st = read_model(e, &p, &t, o, err);
        encoder_tensors_close(&t);
    }
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
    free(e->prefix);
    free(e);
}

void encoder_info(const struct encoder *e, struct model_info *out)
{
    const struct encoder_shape *s = &e->weights.shape;
    const struct encoder_architecture *a = s->architecture;
    uint64_t feed = encoder_shape_feed(s), biases = a->biases ? 5 * s->d + feed : 0;
    uint64_t layer = 4 * s->d * s->d + s->d * (feed + s->ffn) + 4 * s->d + biases;
    uint64_t rows =
        s->words + s->types + (a->rotary || a->bare ? 0 : s->positions) + (a->bare ? 0 : 2);

    *out = (struct model_info){
        .parameters = rows * s->d + s->layers * layer,
        .memory_bytes = e->weights.memory_bytes,
        .dimensions = (uint32_t)s->d,
        .context_max = (uint32_t)e->weights.window,
        .vocabulary = (uint32_t)s->words,
    };
    snprintf(out->id, sizeof(out->id), "%s", e->id);
    snprintf(out->architecture, sizeof(out->architecture), "%s", a->name);
    snprintf(out->weights, sizeof(out->weights), "%s",
             e->weights.precision == ENCODER_INT8 ? "int8" : "f32");
}

/* Of the prefix and the text, as if they were one. */
static enum status encode(const struct encoder *e, struct span text, uint32_t *ids, size_t cap,
                          size_t most, size_t *count)
{
    enum status st;
    size_t bytes;
    char *both;

    if (e->prefix == NULL)
        return encoder_tokens_encode(e->tokens, text, ids, cap, most, count);
    if (!size_add(e->prefix_bytes, text.len, &bytes))
        return ST_LIMIT;
    both = malloc(bytes);
    if (both == NULL)
        return ST_NOMEM;
    memcpy(both, e->prefix, e->prefix_bytes);
    if (text.len > 0)
        memcpy(both + e->prefix_bytes, text.ptr, text.len);
    st = encoder_tokens_encode(e->tokens, (struct span){both, bytes}, ids, cap, most, count);
    free(both);
    return st;
}

enum status encoder_tokenize(const struct encoder *e, struct span text, uint32_t *ids,
                             size_t cap, size_t *count)
{
    return encode(e, text, ids, cap, SIZE_MAX, count);
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

/* Sum over the first n tokens, unit length. */
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

/* Takes texts from *next on until the batch is full. Their ids are in s->ids. A text that is
 * too long for the rest of it is the next one's, where its ids are made again. */
static void gather(struct encoder_session *s, const struct span *texts, size_t n, size_t *next,
                   enum status *each, struct batch *b)
{
    const struct encoder *e = s->model;
    size_t window = e->weights.window, len;

    for (; *next < n && b->count < BATCH_TEXTS; (*next)++) {
        each[*next] = encode(e, texts[*next], s->ids + b->tokens, window, window, &len);
        if (each[*next] == ST_OK && len == 0)
            each[*next] = ST_NOTFOUND;
        if (each[*next] != ST_OK)
            continue;
        if (b->count > 0 && b->tokens + len > BATCH_TOKENS)
            return;
        b->which[b->count] = *next;
        b->lengths[b->count++] = len;
        b->tokens += len;
    }
}

enum status encoder_embed(struct encoder_session *s, const struct span *texts, size_t n,
                          float *out, enum status *each, struct engine_stop stop)
{
    const struct encoder_shape *h = &s->model->weights.shape;
    size_t d = h->d, next = 0;

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
            pool(s->scratch.x + at * d, h->pooling == ENCODER_POOLING_CLS ? 1 : b.lengths[i], d,
                 out + b.which[i] * d);
            at += b.lengths[i];
        }
    }
    return ST_OK;
}
