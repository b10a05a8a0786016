/* BERT as a sentence encoder (Devlin et al. 2018; Reimers and Gurevych 2019): embed,
 * layers of attention and feed-forward with a norm after each, mean over the tokens,
 * unit length. Texts of a batch lie one after the other without padding; only attention
 * looks at where one ends.
 *
 * In int8 the products' weights are rounded once at open, per output; activations per
 * token as they come. The table of words is rounded too: it is half of the file. The
 * file is read in passing and not kept in memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/size.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/kernels/dense.h"
#include "engine/safetensors.h"
#include "engine/tokenizer/wordpiece.h"

#define PATH_BYTES     2048
#define CONFIG_MAX     (1024 * 1024)
#define TOKENIZER_MAX  (64 * 1024 * 1024)
#define LAYERS_MAX     64
#define WINDOW_DEFAULT 256
#define BATCH_TOKENS   512 /* computed together at most; two windows */

struct norm {
    float *weight, *bias; /* owned */
};

/* Either form of one product. */
struct product {
    struct dense_i8 i8;
    struct dense_f32 f32;
};

struct layer {
    struct product qkv, out, up, down;
    struct norm after_attention, after_feed;
};

struct shape {
    size_t d, ffn, heads, layers, positions, words;
    float eps;
};

struct encoder {
    struct shape shape;
    enum encoder_precision precision;
    uint32_t window;
    struct wordpiece *tokens; /* owned */
    /* word embeddings: bytes with a scale each, or floats */
    int8_t *words_i8;
    float *word_scales;
    float *words_f32;
    float *positions; /* [positions][d], the token type's row added */
    struct norm embed_norm;
    struct layer layers[LAYERS_MAX];
    uint64_t memory_bytes;
    char id[72];
};

struct encoder_session {
    const struct encoder *model; /* borrowed */
    const struct dense_kernels *k;
    size_t tokens_cap;
    float *x, *qkv, *a, *f, *scratch; /* owned, tokens_cap rows each */
    uint8_t *q;
    float *scale;
    uint32_t ids[BATCH_TOKENS]; /* of the texts at hand, one after the other */
};

/* --- loading ------------------------------------------------------------------------ */

static void *take(struct encoder *e, size_t count, size_t size, struct engine_error *err)
{
    size_t bytes;
    void *p = NULL;

    /* Aligned for the widest vectors; the size must be a multiple of that. */
    if (size_mul(count, size, &bytes) && size_add(bytes, 63, &bytes))
        p = aligned_alloc(64, bytes & ~(size_t)63);
    if (p == NULL)
        (void)error_set(err, ST_NOMEM, "out of memory for the model");
    else
        e->memory_bytes += bytes;
    return p;
}

/* A tensor of exactly this shape (cols 0: a vector), of a type we read. */
static const struct tensor *find(const struct safetensors *s, const char *name, size_t rows,
                                 size_t cols, struct engine_error *err)
{
    const struct tensor *t = safetensors_find(s, name);

    if (t == NULL) {
        (void)error_set(err, ST_INVALID, "tensor '%s' is missing", name);
        return NULL;
    }
    if (t->type == TENSOR_OTHER) {
        (void)error_set(err, ST_INVALID, "tensor '%s' must be F32, F16 or BF16", name);
        return NULL;
    }
    if (t->dims != (cols != 0 ? 2u : 1u) || t->shape[0] != rows ||
        (cols != 0 && t->shape[1] != cols)) {
        (void)error_set(err, ST_INVALID,
                        "tensor '%s' has not the shape that config.json implies", name);
        return NULL;
    }
    return t;
}

static float *load_vector(struct encoder *e, const struct safetensors *s, const char *name,
                          size_t n, struct engine_error *err)
{
    const struct tensor *t = find(s, name, n, 0, err);
    float *v = t != NULL ? take(e, n, sizeof(*v), err) : NULL;

    if (v != NULL)
        safetensors_floats(t, 0, n, v);
    return v;
}

static bool load_norm(struct encoder *e, const struct safetensors *s, const char *prefix,
                      struct norm *out, struct engine_error *err)
{
    char name[160];

    snprintf(name, sizeof(name), "%s.weight", prefix);
    out->weight = load_vector(e, s, name, e->shape.d, err);
    snprintf(name, sizeof(name), "%s.bias", prefix);
    out->bias = out->weight != NULL ? load_vector(e, s, name, e->shape.d, err) : NULL;
    return out->bias != NULL;
}

static float largest(const float *v, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
    return most;
}

static void pack_i8(struct dense_i8 *w, size_t row, const float *values)
{
    int8_t *block = w->weights + row / DENSE_ROWS * DENSE_ROWS * w->cols + row % DENSE_ROWS * 4;
    float most = largest(values, w->cols), factor = most > 0 ? 127.0f / most : 0;
    int32_t sum = 0;

    for (size_t i = 0; i < w->cols; i++) {
        int v = (int)lrintf(values[i] * factor);

        block[i / 4 * 4 * DENSE_ROWS + i % 4] = (int8_t)v;
        sum += v;
    }
    w->scales[row] = most / 127.0f;
    w->offsets[row] = 128 * sum;
}

static void pack_f32(struct dense_f32 *w, size_t row, const float *values)
{
    float *block = w->weights + row / DENSE_ROWS * DENSE_ROWS * w->cols + row % DENSE_ROWS;

    for (size_t i = 0; i < w->cols; i++)
        block[i * DENSE_ROWS] = values[i];
}

static bool take_product(struct encoder *e, struct product *p, size_t rows, size_t cols,
                         struct engine_error *err)
{
    if (e->precision == ENCODER_INT8) {
        p->i8 = (struct dense_i8){.rows = rows, .cols = cols};
        return (p->i8.weights = take(e, rows * cols, 1, err)) != NULL &&
               (p->i8.scales = take(e, rows, sizeof(float), err)) != NULL &&
               (p->i8.offsets = take(e, rows, sizeof(int32_t), err)) != NULL &&
               (p->i8.bias = take(e, rows, sizeof(float), err)) != NULL;
    }
    p->f32 = (struct dense_f32){.rows = rows, .cols = cols};
    return (p->f32.weights = take(e, rows * cols, sizeof(float), err)) != NULL &&
           (p->f32.bias = take(e, rows, sizeof(float), err)) != NULL;
}

/* Rows at_row.. of `p` from tensor NAME.weight (rows x cols) and NAME.bias. */
static bool load_rows(struct encoder *e, const struct safetensors *s, const struct file *f,
                      const char *prefix, struct product *p, size_t at_row, size_t rows,
                      size_t cols, struct engine_error *err)
{
    const struct tensor *weight, *bias;
    float *row, *to = e->precision == ENCODER_INT8 ? p->i8.bias : p->f32.bias;
    char name[160];

    snprintf(name, sizeof(name), "%s.weight", prefix);
    weight = find(s, name, rows, cols, err);
    snprintf(name, sizeof(name), "%s.bias", prefix);
    bias = weight != NULL ? find(s, name, rows, 0, err) : NULL;
    row = bias != NULL ? malloc(cols * sizeof(*row)) : NULL;
    if (row == NULL)
        return false;
    for (size_t r = 0; r < rows; r++) {
        safetensors_floats(weight, r * cols, cols, row);
        if (e->precision == ENCODER_INT8)
            pack_i8(&p->i8, at_row + r, row);
        else
            pack_f32(&p->f32, at_row + r, row);
    }
    safetensors_floats(bias, 0, rows, to + at_row);
    free(row);
    file_forget(f, weight->data);
    return true;
}

static bool load_layer(struct encoder *e, const struct safetensors *s, const struct file *f,
                       size_t i, struct engine_error *err)
{
    static const char *const thirds[] = {"query", "key", "value"};
    struct layer *l = &e->layers[i];
    size_t d = e->shape.d, ffn = e->shape.ffn;
    char name[128];
    bool ok = take_product(e, &l->qkv, 3 * d, d, err) && take_product(e, &l->out, d, d, err) &&
              take_product(e, &l->up, ffn, d, err) && take_product(e, &l->down, d, ffn, err);

    for (size_t k = 0; ok && k < 3; k++) {
        snprintf(name, sizeof(name), "encoder.layer.%zu.attention.self.%s", i, thirds[k]);
        ok = load_rows(e, s, f, name, &l->qkv, k * d, d, d, err);
    }
    snprintf(name, sizeof(name), "encoder.layer.%zu.attention.output.dense", i);
    ok = ok && load_rows(e, s, f, name, &l->out, 0, d, d, err);
    snprintf(name, sizeof(name), "encoder.layer.%zu.intermediate.dense", i);
    ok = ok && load_rows(e, s, f, name, &l->up, 0, ffn, d, err);
    snprintf(name, sizeof(name), "encoder.layer.%zu.output.dense", i);
    ok = ok && load_rows(e, s, f, name, &l->down, 0, d, ffn, err);
    snprintf(name, sizeof(name), "encoder.layer.%zu.attention.output.LayerNorm", i);
    ok = ok && load_norm(e, s, name, &l->after_attention, err);
    snprintf(name, sizeof(name), "encoder.layer.%zu.output.LayerNorm", i);
    return ok && load_norm(e, s, name, &l->after_feed, err);
}

static bool load_words(struct encoder *e, const struct safetensors *s, const struct file *f,
                       struct engine_error *err)
{
    size_t d = e->shape.d, n = e->shape.words;
    const struct tensor *t = find(s, "embeddings.word_embeddings.weight", n, d, err);
    float *row = t != NULL ? take(e, d, sizeof(*row), err) : NULL;
    bool ok = row != NULL;

    if (ok && e->precision == ENCODER_F32) {
        e->words_f32 = take(e, n * d, sizeof(float), err);
        ok = e->words_f32 != NULL;
        if (ok)
            safetensors_floats(t, 0, n * d, e->words_f32);
    } else if (ok) {
        e->words_i8 = take(e, n * d, 1, err);
        e->word_scales = take(e, n, sizeof(float), err);
        ok = e->words_i8 != NULL && e->word_scales != NULL;
        for (size_t w = 0; ok && w < n; w++) {
            float most, factor;

            safetensors_floats(t, w * d, d, row);
            most = largest(row, d);
            factor = most > 0 ? 127.0f / most : 0;
            e->word_scales[w] = most / 127.0f;
            for (size_t i = 0; i < d; i++)
                e->words_i8[w * d + i] = (int8_t)lrintf(row[i] * factor);
        }
    }
    free(row);
    if (ok)
        file_forget(f, t->data);
    return ok;
}

static bool load_positions(struct encoder *e, const struct safetensors *s,
                           struct engine_error *err)
{
    size_t d = e->shape.d;
    const struct tensor *pos =
        find(s, "embeddings.position_embeddings.weight", e->shape.positions, d, err);
    const struct tensor *type = safetensors_find(s, "embeddings.token_type_embeddings.weight");
    float *row = take(e, d, sizeof(*row), err);

    if (pos == NULL || row == NULL) {
        free(row);
        return false;
    }
    memset(row, 0, d * sizeof(*row));
    if (type != NULL && type->type != TENSOR_OTHER && type->dims == 2 && type->shape[1] == d &&
        type->shape[0] > 0)
        safetensors_floats(type, 0, d, row);
    e->positions = take(e, e->window * d, sizeof(float), err);
    if (e->positions != NULL) {
        safetensors_floats(pos, 0, e->window * d, e->positions);
        for (size_t p = 0; p < e->window; p++) {
            for (size_t i = 0; i < d; i++)
                e->positions[p * d + i] += row[i];
        }
    }
    free(row);
    return e->positions != NULL;
}

/* --- config.json ---------------------------------------------------------------------- */

static bool count_of(const struct json *root, const char *name, size_t most, size_t *out)
{
    uint64_t n;

    if (!json_u64(json_get(root, span_of(name)), &n) || n == 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static enum status check_shape(const struct json *root, struct shape *s,
                               struct engine_error *err)
{
    struct span kind = json_str(json_get(root, SPAN("model_type")));
    struct span act = json_str(json_get(root, SPAN("hidden_act")));
    double eps = 1e-12;

    if (!span_eq(kind, SPAN("bert")))
        return error_set(
            err, ST_INVALID, "config.json: model_type '%.*s' is not supported; supported: bert",
            (int)(kind.len < 40 ? kind.len : 40), kind.ptr != NULL ? kind.ptr : "");
    if (act.ptr != NULL && !span_eq(act, SPAN("gelu")))
        return error_set(err, ST_INVALID, "config.json: hidden_act must be gelu");
    if (!count_of(root, "hidden_size", 4096, &s->d) ||
        !count_of(root, "intermediate_size", 65536, &s->ffn) ||
        !count_of(root, "num_attention_heads", 128, &s->heads) ||
        !count_of(root, "num_hidden_layers", LAYERS_MAX, &s->layers) ||
        !count_of(root, "max_position_embeddings", 65536, &s->positions) ||
        !count_of(root, "vocab_size", 1000000, &s->words))
        return error_set(err, ST_INVALID, "config.json: a size is missing or out of range");
    if (s->d % DENSE_COLS != 0 || s->ffn % DENSE_COLS != 0 || s->d % s->heads != 0 ||
        s->d / s->heads > 128)
        return error_set(
            err, ST_INVALID,
            "config.json: hidden and intermediate size must be multiples of %d, and "
            "heads at most 128 wide",
            DENSE_COLS);
    (void)!json_double(json_get(root, SPAN("layer_norm_eps")), &eps);
    s->eps = (float)eps;
    return ST_OK;
}

static enum status read_config(const char *path, struct shape *s, struct engine_error *err)
{
    struct json_error why;
    struct json *root;
    struct arena arena;
    struct file f;
    enum status st = file_map(path, &f, err);

    if (st != ST_OK)
        return st;
    arena_init(&arena, 16384, CONFIG_MAX * 8);
    if (f.bytes.len > CONFIG_MAX || json_parse(&arena, f.bytes, 32, &root, &why) != ST_OK)
        st = error_set(err, ST_INVALID, "'%s' is no usable JSON", path);
    else
        st = check_shape(root, s, err);
    arena_release(&arena);
    file_unmap(&f);
    return st;
}

/* --- open ----------------------------------------------------------------------------- */

static enum status read_tokenizer(const char *path, struct encoder *e, struct engine_error *err)
{
    struct file f;
    enum status st = file_map(path, &f, err);

    if (st != ST_OK)
        return st;
    if (f.bytes.len > TOKENIZER_MAX)
        st = error_set(err, ST_LIMIT, "'%s' is too large", path);
    else
        st = wordpiece_open(f.bytes, &e->tokens, err);
    file_unmap(&f);
    if (st == ST_OK && wordpiece_size(e->tokens) > e->shape.words)
        st = error_set(err, ST_INVALID, "tokenizer.json has more words than the model");
    return st;
}

/* Enough to tell any two files apart that differ: all bytes, hashed fast. The window
 * and the rounding are part of what a vector means. */
static void make_id(struct encoder *e, const struct file *f)
{
    uint64_t a = hash_bytes(f->bytes, 0), b = hash_bytes(f->bytes, 1);

    snprintf(e->id, sizeof(e->id), "xxh3:%016llx%016llx", (unsigned long long)a,
             (unsigned long long)b);
}

static enum status load(struct encoder *e, const char *path, const struct encoder_options *o,
                        struct engine_error *err)
{
    uint64_t need =
        (uint64_t)e->shape.words * e->shape.d +
        e->shape.layers * (4 * e->shape.d * e->shape.d + 2 * e->shape.d * e->shape.ffn);
    struct safetensors s;
    struct arena arena;
    struct file f;
    enum status st = file_map(path, &f, err);
    bool ok;

    if (st != ST_OK)
        return st;
    if (e->precision == ENCODER_F32)
        need *= sizeof(float);
    if (o->memory_max_bytes > 0 && need > o->memory_max_bytes) {
        file_unmap(&f);
        return error_set(err, ST_LIMIT, "the model needs %llu MiB, more than it may have",
                         (unsigned long long)(need >> 20));
    }
    arena_init(&arena, 65536, 256u * 1024 * 1024);
    st = safetensors_read(f.bytes, &arena, &s, err);
    ok = st == ST_OK && load_words(e, &s, &f, err) && load_positions(e, &s, err) &&
         load_norm(e, &s, "embeddings.LayerNorm", &e->embed_norm, err);
    for (size_t i = 0; ok && i < e->shape.layers; i++)
        ok = load_layer(e, &s, &f, i, err);
    if (ok)
        make_id(e, &f);
    arena_release(&arena);
    file_unmap(&f);
    return st != ST_OK ? st : ok ? ST_OK : ST_INVALID;
}

static enum status folder_of(const char *path, char *dir, size_t cap, struct engine_error *err)
{
    struct stat info;
    const char *slash;
    size_t n = strlen(path);

    if (n == 0 || n >= cap - 32)
        return error_set(err, ST_INVALID, "the path of the model is empty or too long");
    memcpy(dir, path, n + 1);
    if (stat(path, &info) != 0)
        return error_set(err, ST_NOTFOUND,
                         "'%s' does not exist; 'ibid models pull' fetches models", path);
    if (S_ISDIR(info.st_mode))
        return ST_OK;
    slash = strrchr(path, '/');
    snprintf(dir, cap, "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    return ST_OK;
}

enum status encoder_open(const char *path, const struct encoder_options *o,
                         struct encoder **out, struct engine_error *err)
{
    char dir[PATH_BYTES], file[PATH_BYTES + 32];
    struct encoder *e = calloc(1, sizeof(*e));
    enum status st;

    if (e == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    e->precision = o->precision;
    st = folder_of(path, dir, sizeof(dir), err);
    snprintf(file, sizeof(file), "%s/config.json", dir);
    if (st == ST_OK)
        st = read_config(file, &e->shape, err);
    if (st == ST_OK) {
        uint32_t most =
            e->shape.positions < WINDOW_DEFAULT ? (uint32_t)e->shape.positions : WINDOW_DEFAULT;

        e->window = o->window_max > 0 && o->window_max < most ? o->window_max : most;
        snprintf(file, sizeof(file), "%s/tokenizer.json", dir);
        st = read_tokenizer(file, e, err);
    }
    snprintf(file, sizeof(file), "%s/model.safetensors", dir);
    if (st == ST_OK)
        st = load(e, strcmp(dir, path) == 0 ? file : path, o, err);
    if (st != ST_OK) {
        encoder_close(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

static void free_product(struct product *p)
{
    free(p->i8.weights);
    free(p->i8.scales);
    free(p->i8.offsets);
    free(p->i8.bias);
    free(p->f32.weights);
    free(p->f32.bias);
}

static void free_norm(struct norm *n)
{
    free(n->weight);
    free(n->bias);
}

void encoder_close(struct encoder *e)
{
    if (e->tokens != NULL)
        wordpiece_close(e->tokens);
    free(e->words_i8);
    free(e->word_scales);
    free(e->words_f32);
    free(e->positions);
    free_norm(&e->embed_norm);
    for (size_t i = 0; i < LAYERS_MAX; i++) {
        struct layer *l = &e->layers[i];

        free_product(&l->qkv);
        free_product(&l->out);
        free_product(&l->up);
        free_product(&l->down);
        free_norm(&l->after_attention);
        free_norm(&l->after_feed);
    }
    free(e);
}

void encoder_info(const struct encoder *e, struct model_info *out)
{
    const struct shape *s = &e->shape;

    *out = (struct model_info){
        .parameters = (s->words + s->positions + 2) * s->d +
                      s->layers * (4 * s->d * s->d + 2 * s->d * s->ffn + 9 * s->d + s->ffn) +
                      2 * s->d,
        .memory_bytes = e->memory_bytes,
        .dimensions = (uint32_t)s->d,
        .context_max = e->window,
        .vocabulary = (uint32_t)s->words,
    };
    snprintf(out->id, sizeof(out->id), "%s", e->id);
    snprintf(out->architecture, sizeof(out->architecture), "bert");
    snprintf(out->weights, sizeof(out->weights), "%s",
             e->precision == ENCODER_INT8 ? "int8" : "f32");
}

/* --- computing ------------------------------------------------------------------------ */

enum status encoder_tokenize(const struct encoder *e, struct span text, uint32_t *ids,
                             size_t cap, size_t *count)
{
    return wordpiece_encode(e->tokens, text, ids, cap, count);
}

enum status encoder_session_open(const struct encoder *e, struct encoder_session **out)
{
    struct encoder_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->model = e;
    s->k = dense_kernels();
    *out = s;
    return ST_OK;
}

static void drop_buffers(struct encoder_session *s)
{
    free(s->x);
    free(s->qkv);
    free(s->a);
    free(s->f);
    free(s->scratch);
    free(s->q);
    free(s->scale);
    s->x = s->qkv = s->a = s->f = s->scratch = s->scale = NULL;
    s->q = NULL;
    s->tokens_cap = 0;
}

void encoder_session_close(struct encoder_session *s)
{
    drop_buffers(s);
    free(s);
}

static float *rows(size_t n, size_t width)
{
    return aligned_alloc(64, (n * width * sizeof(float) + 63) & ~(size_t)63);
}

/* Room for `tokens` rows; grows in steps, so that short texts keep the session small. */
static enum status reserve(struct encoder_session *s, size_t tokens)
{
    const struct shape *h = &s->model->shape;
    size_t cap = 64;

    if (tokens <= s->tokens_cap)
        return ST_OK;
    while (cap < tokens)
        cap *= 2;
    drop_buffers(s);
    s->x = rows(cap, h->d);
    s->qkv = rows(cap, 3 * h->d);
    s->a = rows(cap, h->d);
    s->f = rows(cap, h->ffn);
    s->scratch = rows(cap, h->d / h->heads + 1);
    s->scale = rows(cap, 1);
    s->q = aligned_alloc(64, (cap * (h->ffn > h->d ? h->ffn : h->d) + 63) & ~(size_t)63);
    if (s->x == NULL || s->qkv == NULL || s->a == NULL || s->f == NULL || s->scratch == NULL ||
        s->scale == NULL || s->q == NULL) {
        drop_buffers(s);
        return ST_NOMEM;
    }
    s->tokens_cap = cap;
    return ST_OK;
}

static void multiply(struct encoder_session *s, const struct product *p, const float *x,
                     size_t n, float *y)
{
    if (s->model->precision == ENCODER_F32) {
        s->k->matmul_f32(&p->f32, x, n, y);
        return;
    }
    s->k->quantize(x, n, p->i8.cols, s->q, s->scale);
    s->k->matmul_i8(&p->i8, s->q, s->scale, n, y);
}

/* x[t] = word + position (+ type), then the norm. */
static void embed(struct encoder_session *s, const uint32_t *ids, size_t n, float *x)
{
    const struct encoder *e = s->model;
    size_t d = e->shape.d;

    for (size_t t = 0; t < n; t++) {
        const float *pos = e->positions + t * d;

        for (size_t i = 0; i < d; i++) {
            float w = e->precision == ENCODER_F32
                          ? e->words_f32[ids[t] * d + i]
                          : (float)e->words_i8[ids[t] * d + i] * e->word_scales[ids[t]];

            x[t * d + i] = w + pos[i];
        }
    }
}

static void run_layer(struct encoder_session *s, const struct layer *l, const size_t *lengths,
                      size_t texts, size_t n)
{
    const struct shape *h = &s->model->shape;
    size_t at = 0;

    multiply(s, &l->qkv, s->x, n, s->qkv);
    for (size_t i = 0; i < texts; i++) {
        s->k->attention(s->qkv + at * 3 * h->d, lengths[i], h->d, h->heads, s->scratch,
                        s->a + at * h->d);
        at += lengths[i];
    }
    multiply(s, &l->out, s->a, n, s->qkv);
    s->k->layer_norm(s->x, s->qkv, l->after_attention.weight, l->after_attention.bias, h->eps,
                     n, h->d);
    multiply(s, &l->up, s->x, n, s->f);
    s->k->gelu(s->f, n * h->ffn);
    multiply(s, &l->down, s->f, n, s->a);
    s->k->layer_norm(s->x, s->a, l->after_feed.weight, l->after_feed.bias, h->eps, n, h->d);
}

/* Mean over the tokens, unit length. */
static void pool(const float *x, size_t n, size_t d, float *out)
{
    double norm = 0;

    for (size_t i = 0; i < d; i++) {
        float sum = 0;

        for (size_t t = 0; t < n; t++)
            sum += x[t * d + i];
        out[i] = sum / (float)n;
        norm += (double)out[i] * (double)out[i];
    }
    norm = norm > 0 ? 1.0 / sqrt(norm) : 0;
    for (size_t i = 0; i < d; i++)
        out[i] = (float)((double)out[i] * norm);
}

static bool asked_to_stop(struct engine_stop stop)
{
    return stop.fn != NULL && stop.fn(stop.arg);
}

/* Texts that lie in s->ids, one after the other. */
static enum status run_batch(struct encoder_session *s, const size_t *lengths, size_t texts,
                             size_t n, struct engine_stop stop)
{
    const struct encoder *e = s->model;
    const struct shape *h = &e->shape;
    size_t at = 0;

    for (size_t i = 0; i < texts; i++) {
        embed(s, s->ids + at, lengths[i], s->x + at * h->d);
        at += lengths[i];
    }
    s->k->layer_norm(s->x, NULL, e->embed_norm.weight, e->embed_norm.bias, h->eps, n, h->d);
    for (size_t i = 0; i < h->layers; i++) {
        if (asked_to_stop(stop))
            return ST_CANCELED;
        run_layer(s, &e->layers[i], lengths, texts, n);
    }
    return ST_OK;
}

#define BATCH_TEXTS 64

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

    for (; *next < n && b->count < BATCH_TEXTS; (*next)++) {
        size_t room = BATCH_TOKENS - b->tokens, len;
        enum status st;

        if (room < e->window && b->count > 0)
            return;
        st = wordpiece_encode(e->tokens, texts[*next], s->ids + b->tokens, room, &len);
        each[*next] = st == ST_OK && len > e->window ? ST_LIMIT : st;
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
    size_t d = s->model->shape.d, next = 0;

    while (next < n) {
        struct batch b = {.count = 0};
        size_t at = 0;
        enum status st = ST_OK;

        gather(s, texts, n, &next, each, &b);
        if (b.count > 0)
            st = reserve(s, b.tokens);
        if (st == ST_OK && b.count > 0)
            st = run_batch(s, b.lengths, b.count, b.tokens, stop);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < b.count; i++) {
            pool(s->x + at * d, b.lengths[i], d, out + b.which[i] * d);
            at += b.lengths[i];
        }
    }
    return ST_OK;
}
