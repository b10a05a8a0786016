/* A llama-like decoder (Touvron et al. 2023): RMS norms, rotary positions, grouped query
 * attention, SwiGLU. Prompts go through in blocks of columns, so that a row of weights is
 * unpacked once for many tokens; the output head is computed for the last token only.
 * Weights stay in the file's mapping. Keys lie turned in the cache (per head, a row a
 * dimension), so that scores are additions of rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/size.h"
#include "engine/chat_template.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/kernels/quant.h"
#include "engine/sampler.h"
#include "engine/threads.h"
#include "engine/tokenizer/bpe.h"

#define LAYERS_MAX      256
#define WIDTH_MAX       16384
#define FEED_MAX        QUANT_COLS_MAX
#define HEAD_WIDTH_MAX  128
#define CONTEXT_DEFAULT 2048
#define CONTEXT_MAX     131072
#define ENDS_MAX        8
#define ROW_PIECE       64 /* rows of a matrix that a thread takes at a time */

struct layer {
    const float *attn_norm, *ffn_norm; /* borrowed: in the file */
    struct quant_matrix q, k, v, o, gate, up, down;
};

struct shape {
    size_t d, ffn, heads, kv_heads, width, kv, layers, vocabulary, rope;
    uint32_t context;
    float eps, base;
};

struct decoder {
    struct shape shape;
    struct file file;   /* owned */
    struct arena arena; /* what was read of the file */
    struct gguf gguf;
    struct bpe *tokens; /* owned */
    struct chat_template chat;
    struct quant_matrix embeddings, head;
    const float *out_norm;
    const float *rope_factors; /* rope / 2 of them, or NULL */
    struct layer layers[LAYERS_MAX];
    uint32_t ends[ENDS_MAX]; /* end of generation */
    size_t end_count;
    char id[72], weights[24];
};

struct decoder_session {
    const struct decoder *model; /* borrowed */
    const struct quant_kernels *k;
    struct threads *threads; /* owned */
    unsigned thread_count;
    uint32_t pos;         /* tokens in the cache */
    float *keys, *values; /* owned: [layer][kv head][width][context], [layer][context][kv] */
    float *x, *h, *qkv, *a, *gate, *up; /* owned: QUANT_TOKENS rows */
    float *cos, *sin;                   /* [context][rope / 2] */
    float *scores;                      /* [heads][context] */
    float *logits;
    struct quant_input in; /* of the widest matrix */
};

/* --- opening -------------------------------------------------------------------------- */

static bool read_count(const struct gguf *g, const char *key, uint64_t most, size_t *out)
{
    char full[96];
    uint64_t n;

    snprintf(full, sizeof(full), "llama.%s", key);
    if (!gguf_u64(g, full, &n) || n == 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static void read_float(const struct gguf *g, const char *key, float *out)
{
    char full[96];

    snprintf(full, sizeof(full), "llama.%s", key);
    (void)!gguf_f32(g, full, out);
}

static enum status read_shape(const struct gguf *g, struct shape *s, struct engine_error *err)
{
    struct span arch = gguf_string(g, "general.architecture");
    size_t context = CONTEXT_DEFAULT, experts;

    if (!span_eq(arch, SPAN("llama")))
        return error_set(
            err, ST_INVALID, "architecture '%.*s' is not supported; supported: llama",
            (int)(arch.len < 40 ? arch.len : 40), arch.ptr != NULL ? arch.ptr : "");
    if (read_count(g, "expert_count", 1 << 20, &experts))
        return error_set(err, ST_INVALID, "mixtures of experts are not supported");
    if (!read_count(g, "embedding_length", WIDTH_MAX, &s->d) ||
        !read_count(g, "feed_forward_length", FEED_MAX, &s->ffn) ||
        !read_count(g, "attention.head_count", 1024, &s->heads) ||
        !read_count(g, "block_count", LAYERS_MAX, &s->layers))
        return error_set(err, ST_INVALID, "a size of the model is missing or out of range");
    if (!read_count(g, "attention.head_count_kv", s->heads, &s->kv_heads))
        s->kv_heads = s->heads;
    if (!read_count(g, "attention.key_length", HEAD_WIDTH_MAX, &s->width))
        s->width = s->d / s->heads;
    if (!read_count(g, "rope.dimension_count", s->width, &s->rope))
        s->rope = s->width;
    (void)!read_count(g, "context_length", CONTEXT_MAX, &context);
    s->context = (uint32_t)context;
    s->kv = s->kv_heads * s->width;
    s->eps = 1e-5f;
    s->base = 10000;
    read_float(g, "attention.layer_norm_rms_epsilon", &s->eps);
    read_float(g, "rope.freq_base", &s->base);
    if (s->heads % s->kv_heads != 0 || s->width == 0 || s->width > HEAD_WIDTH_MAX ||
        s->rope % 2 != 0 || s->d % QUANT_BLOCK != 0 || s->ffn % QUANT_BLOCK != 0 ||
        (s->heads * s->width) % QUANT_BLOCK != 0 || !isfinite(s->eps) || s->eps <= 0 ||
        !isfinite(s->base) || s->base <= 0)
        return error_set(err, ST_INVALID, "the sizes of the model do not fit each other");
    return ST_OK;
}

static bool find_matrix(struct decoder *m, const char *name, size_t rows, size_t cols,
                        struct quant_matrix *out, struct engine_error *err)
{
    const struct gguf_tensor *t = gguf_tensor_find(&m->gguf, name);

    if (t == NULL) {
        (void)error_set(err, ST_INVALID, "tensor '%s' is missing", name);
        return false;
    }
    if (t->dims != 2 || t->shape[0] != cols || t->shape[1] != rows) {
        (void)error_set(err, ST_INVALID, "tensor '%s' has not the shape that the model implies",
                        name);
        return false;
    }
    *out = (struct quant_matrix){t->type, rows, cols, (const uint8_t *)t->data.ptr,
                                 t->data.len / rows};
    return true;
}

static const float *find_vector(struct decoder *m, const char *name, size_t n,
                                struct engine_error *err)
{
    const struct gguf_tensor *t = gguf_tensor_find(&m->gguf, name);

    if (t == NULL || t->dims != 1 || t->shape[0] != n || t->type != GGUF_F32) {
        (void)error_set(err, ST_INVALID, "tensor '%s' is missing, or is not %zu F32 values",
                        name, n);
        return NULL;
    }
    /* Data is aligned to 32 by the format. */
    return (const float *)(const void *)t->data.ptr;
}

static bool find_layer(struct decoder *m, size_t i, struct engine_error *err)
{
    const struct shape *s = &m->shape;
    struct layer *l = &m->layers[i];
    size_t q = s->heads * s->width;
    const struct {
        const char *name;
        size_t rows, cols;
        struct quant_matrix *to;
    } list[] = {
        {"attn_q", q, s->d, &l->q},           {"attn_k", s->kv, s->d, &l->k},
        {"attn_v", s->kv, s->d, &l->v},       {"attn_output", s->d, q, &l->o},
        {"ffn_gate", s->ffn, s->d, &l->gate}, {"ffn_up", s->ffn, s->d, &l->up},
        {"ffn_down", s->d, s->ffn, &l->down},
    };
    char name[64];

    for (size_t k = 0; k < ARRAY_LEN(list); k++) {
        snprintf(name, sizeof(name), "blk.%zu.%s.weight", i, list[k].name);
        if (!find_matrix(m, name, list[k].rows, list[k].cols, list[k].to, err))
            return false;
    }
    snprintf(name, sizeof(name), "blk.%zu.attn_q.bias", i);
    if (gguf_tensor_find(&m->gguf, name) != NULL) {
        (void)error_set(err, ST_INVALID, "biases ('%s') are not supported", name);
        return false;
    }
    snprintf(name, sizeof(name), "blk.%zu.attn_norm.weight", i);
    l->attn_norm = find_vector(m, name, s->d, err);
    snprintf(name, sizeof(name), "blk.%zu.ffn_norm.weight", i);
    l->ffn_norm = l->attn_norm != NULL ? find_vector(m, name, s->d, err) : NULL;
    return l->ffn_norm != NULL;
}

static bool find_tensors(struct decoder *m, struct engine_error *err)
{
    struct shape *s = &m->shape;
    const struct gguf_tensor *embeddings = gguf_tensor_find(&m->gguf, "token_embd.weight");
    bool ok = true;

    s->vocabulary =
        embeddings != NULL && embeddings->dims == 2 ? (size_t)embeddings->shape[1] : 0;
    if (s->vocabulary != bpe_size(m->tokens)) {
        (void)error_set(err, ST_INVALID, "the model has %zu tokens, its tokenizer %u",
                        s->vocabulary, bpe_size(m->tokens));
        return false;
    }
    if (!find_matrix(m, "token_embd.weight", s->vocabulary, s->d, &m->embeddings, err))
        return false;
    m->head = m->embeddings; /* tied, unless the file has one */
    if (gguf_tensor_find(&m->gguf, "output.weight") != NULL &&
        !find_matrix(m, "output.weight", s->vocabulary, s->d, &m->head, err))
        return false;
    if (gguf_tensor_find(&m->gguf, "rope_freqs.weight") != NULL) {
        m->rope_factors = find_vector(m, "rope_freqs.weight", s->rope / 2, err);
        ok = m->rope_factors != NULL;
    }
    m->out_norm = ok ? find_vector(m, "output_norm.weight", s->d, err) : NULL;
    ok = m->out_norm != NULL;
    for (size_t i = 0; ok && i < s->layers; i++)
        ok = find_layer(m, i, err);
    return ok;
}

static void add_end(struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return;
    }
    if (m->end_count < ENDS_MAX)
        m->ends[m->end_count++] = id;
}

/* What ends an answer: the ids the file names, and tokens known by their text. */
static void find_ends(struct decoder *m)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const texts[] = {"<|im_end|>", "<|eot_id|>", "<|endoftext|>",
                                        "<|end_of_text|>", "<|eom_id|>"};
    uint64_t id;
    uint32_t found;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (gguf_u64(&m->gguf, keys[i], &id) && id < m->shape.vocabulary)
            add_end(m, (uint32_t)id);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (bpe_find(m->tokens, texts[i], &found))
            add_end(m, found);
    }
}

/* The header tells shapes and names; the weights are sampled, because reading all of a
 * large file would be most of the start. */
static void make_id(struct decoder *m)
{
    struct span f = m->file.bytes;
    size_t step = f.len / 64 + 1, head = f.len < 1u << 20 ? f.len : 1u << 20;
    uint64_t a = hash_bytes((struct span){f.ptr, head}, f.len), b = 0;

    for (size_t at = 0; at < f.len; at += step) {
        size_t n = f.len - at < 256 ? f.len - at : 256;

        b = hash_bytes((struct span){f.ptr + at, n}, b + 1);
    }
    snprintf(m->id, sizeof(m->id), "xxh3:%016llx%016llx", (unsigned long long)a,
             (unsigned long long)b);
    snprintf(m->weights, sizeof(m->weights), "%s", gguf_type_name(m->layers[0].up.type));
}

static size_t session_bytes(const struct decoder *m)
{
    const struct shape *s = &m->shape;

    return 2 * s->layers * s->context * s->kv * sizeof(float);
}

static enum status build(struct decoder *m, const struct decoder_options *o,
                         struct engine_error *err)
{
    enum status st = gguf_read(m->file.bytes, &m->arena, &m->gguf, err);

    if (st == ST_OK)
        st = read_shape(&m->gguf, &m->shape, err);
    if (st == ST_OK)
        st = bpe_open(&m->gguf, &m->tokens, err);
    if (st == ST_OK && !find_tensors(m, err))
        st = ST_INVALID;
    if (st == ST_OK)
        st = chat_template_open(m->tokens, gguf_string(&m->gguf, "tokenizer.chat_template"),
                                o->chat_template, &m->chat, err);
    if (st != ST_OK)
        return st;
    if (o->context_max > 0 && o->context_max < m->shape.context)
        m->shape.context = o->context_max;
    if (o->memory_max_bytes > 0 && m->file.bytes.len + session_bytes(m) > o->memory_max_bytes)
        return error_set(err, ST_LIMIT,
                         "the model and its cache need %zu MiB, more than it may have",
                         (m->file.bytes.len + session_bytes(m)) >> 20);
    find_ends(m);
    make_id(m);
    return ST_OK;
}

enum status decoder_open(const char *path, const struct decoder_options *o,
                         struct decoder **out, struct engine_error *err)
{
    struct decoder *m = calloc(1, sizeof(*m));
    enum status st;

    if (m == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    arena_init(&m->arena, 1 << 20, 256u << 20);
    st = file_map(path, &m->file, err);
    if (st == ST_OK)
        st = build(m, o, err);
    if (st != ST_OK) {
        decoder_close(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void decoder_close(struct decoder *m)
{
    if (m->tokens != NULL)
        bpe_close(m->tokens);
    arena_release(&m->arena);
    file_unmap(&m->file);
    free(m);
}

void decoder_info(const struct decoder *m, struct model_info *out)
{
    const struct shape *s = &m->shape;

    *out = (struct model_info){
        .memory_bytes = m->file.bytes.len,
        .dimensions = (uint32_t)s->d,
        .context_max = s->context,
        .vocabulary = (uint32_t)s->vocabulary,
    };
    for (size_t i = 0; i < m->gguf.tensor_count; i++) {
        uint64_t n = 1;

        for (unsigned k = 0; k < m->gguf.tensors[i].dims; k++)
            n *= m->gguf.tensors[i].shape[k];
        out->parameters += n;
    }
    snprintf(out->id, sizeof(out->id), "%s", m->id);
    snprintf(out->architecture, sizeof(out->architecture), "llama");
    snprintf(out->weights, sizeof(out->weights), "%s", m->weights);
}

/* --- sessions ------------------------------------------------------------------------- */

static float *floats(size_t n)
{
    return aligned_alloc(64, (n * sizeof(float) + 63) & ~(size_t)63);
}

/* Angles of every position: base^(-2i / rope) * position (Su et al. 2021). */
static void fill_rope(struct decoder_session *s)
{
    const struct shape *h = &s->model->shape;
    size_t half = h->rope / 2;

    for (size_t i = 0; i < half; i++) {
        double freq = pow((double)h->base, -2.0 * (double)i / (double)h->rope);

        if (s->model->rope_factors != NULL)
            freq /= (double)s->model->rope_factors[i];
        for (size_t p = 0; p < h->context; p++) {
            s->cos[p * half + i] = (float)cos((double)p * freq);
            s->sin[p * half + i] = (float)sin((double)p * freq);
        }
    }
}

static bool take_buffers(struct decoder_session *s)
{
    const struct shape *h = &s->model->shape;
    size_t q = h->heads * h->width, widest = h->ffn > q ? h->ffn : q, cache;

    if (widest < h->d)
        widest = h->d;
    if (!size_mul(h->layers * h->kv, h->context, &cache) || cache > SIZE_MAX / 16)
        return false;
    /* Pages of the caches are taken by the kernel as they are written. */
    s->keys = calloc(cache, sizeof(float));
    s->values = calloc(cache, sizeof(float));
    s->x = floats(QUANT_TOKENS * h->d);
    s->h = floats(QUANT_TOKENS * h->d);
    s->qkv = floats(QUANT_TOKENS * (q + 2 * h->kv));
    s->a = floats(QUANT_TOKENS * (q > h->d ? q : h->d));
    s->gate = floats(QUANT_TOKENS * h->ffn);
    s->up = floats(QUANT_TOKENS * h->ffn);
    s->cos = floats((size_t)h->context * h->rope / 2);
    s->sin = floats((size_t)h->context * h->rope / 2);
    s->scores = floats(h->heads * (size_t)h->context);
    s->logits = floats(h->vocabulary);
    s->in.q = aligned_alloc(64, QUANT_TOKENS * widest);
    s->in.d = floats(QUANT_TOKENS * widest / QUANT_BLOCK);
    s->in.s = floats(QUANT_TOKENS * widest / QUANT_BLOCK);
    return s->keys != NULL && s->values != NULL && s->x != NULL && s->h != NULL &&
           s->qkv != NULL && s->a != NULL && s->gate != NULL && s->up != NULL &&
           s->cos != NULL && s->sin != NULL && s->scores != NULL && s->logits != NULL &&
           s->in.q != NULL && s->in.d != NULL && s->in.s != NULL;
}

enum status decoder_session_open(const struct decoder *d, unsigned threads,
                                 struct decoder_session **out)
{
    struct decoder_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->model = d;
    s->k = quant_kernels();
    s->thread_count = threads;
    if (!take_buffers(s) || threads_open(threads, &s->threads) != ST_OK) {
        decoder_session_close(s);
        return ST_NOMEM;
    }
    fill_rope(s);
    *out = s;
    return ST_OK;
}

void decoder_session_close(struct decoder_session *s)
{
    float *const list[] = {s->keys, s->values, s->x,   s->h,      s->qkv,    s->a,    s->gate,
                           s->up,   s->cos,    s->sin, s->scores, s->logits, s->in.d, s->in.s};

    if (s->threads != NULL)
        threads_close(s->threads);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        free(list[i]);
    free(s->in.q);
    free(s);
}

/* --- products ------------------------------------------------------------------------- */

/* Up to three matrices of the same input are one range of rows. */
struct product {
    struct decoder_session *s;
    const struct quant_matrix *w[3];
    float *y[3];
    size_t ldy[3];
    size_t count, n;
};

static void run_rows(void *arg, size_t from, size_t to)
{
    struct product *p = arg;
    size_t start = 0;

    for (size_t i = 0; i < p->count; i++) {
        size_t rows = p->w[i]->rows, a = from > start ? from - start : 0;
        size_t b = to > start ? to - start : 0;

        if (b > rows)
            b = rows;
        if (a < b)
            p->s->k->matmul(p->w[i], &p->s->in, p->n, a, b, p->y[i], p->ldy[i]);
        start += rows;
    }
}

static void set_input(struct decoder_session *s, const float *x, size_t n, size_t cols)
{
    s->in.x = x;
    for (size_t t = 0; t < n; t++)
        s->k->quantize(x + t * cols, cols, s->in.q + t * cols,
                       s->in.d + t * (cols / QUANT_BLOCK), s->in.s + t * (cols / QUANT_BLOCK));
}

static void multiply(struct decoder_session *s, struct product *p, const float *x)
{
    size_t rows = 0;

    p->s = s;
    set_input(s, x, p->n, p->w[0]->cols);
    for (size_t i = 0; i < p->count; i++)
        rows += p->w[i]->rows;
    threads_run(s->threads, rows, ROW_PIECE, run_rows, p);
}

static void multiply_one(struct decoder_session *s, const struct quant_matrix *w,
                         const float *x, size_t n, float *y)
{
    struct product p = {.w = {w}, .y = {y}, .ldy = {w->rows}, .count = 1, .n = n};

    multiply(s, &p, x);
}

/* --- a layer -------------------------------------------------------------------------- */

/* Pairs (2i, 2i + 1) are turned: the file's rows are ordered for that (ENGINE: "NORM"). */
static void rotate(const struct decoder_session *s, float *v, size_t pos)
{
    size_t half = s->model->shape.rope / 2;
    const float *c = s->cos + pos * half, *n = s->sin + pos * half;

    for (size_t i = 0; i < half; i++) {
        float a = v[2 * i], b = v[2 * i + 1];

        v[2 * i] = a * c[i] - b * n[i];
        v[2 * i + 1] = a * n[i] + b * c[i];
    }
}

static void remember(struct decoder_session *s, size_t layer, size_t pos, const float *k,
                     const float *v)
{
    const struct shape *h = &s->model->shape;
    float *keys = s->keys + layer * h->kv * h->context;

    for (size_t c = 0; c < h->kv; c++)
        keys[c * h->context + pos] = k[c];
    memcpy(s->values + (layer * h->context + pos) * h->kv, v, h->kv * sizeof(*v));
}

struct attention {
    struct decoder_session *s;
    size_t layer, n;
};

/* Heads from..to of all columns. */
static void run_heads(void *arg, size_t from, size_t to)
{
    struct attention *a = arg;
    struct decoder_session *s = a->s;
    const struct shape *h = &s->model->shape;
    size_t q = h->heads * h->width, group = h->heads / h->kv_heads;

    for (size_t head = from; head < to; head++) {
        size_t kv = head / group * h->width;
        const float *keys = s->keys + (a->layer * h->kv + kv) * h->context;
        const float *values = s->values + a->layer * h->context * h->kv + kv;

        for (size_t t = 0; t < a->n; t++)
            s->k->attend(s->qkv + t * q + head * h->width, keys, h->context, values, h->kv,
                         s->pos + t + 1, h->width, s->scores + head * h->context,
                         s->a + t * q + head * h->width);
    }
}

static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void attention(struct decoder_session *s, const struct layer *l, size_t layer, size_t n)
{
    const struct shape *h = &s->model->shape;
    size_t q = h->heads * h->width;
    float *k = s->qkv + n * q, *v = k + n * h->kv;
    struct product p = {.w = {&l->q, &l->k, &l->v},
                        .y = {s->qkv, k, v},
                        .ldy = {q, h->kv, h->kv},
                        .count = 3,
                        .n = n};
    struct attention a = {s, layer, n};

    for (size_t t = 0; t < n; t++)
        s->k->rms_norm(s->x + t * h->d, l->attn_norm, h->eps, h->d, s->h + t * h->d);
    multiply(s, &p, s->h);
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < h->heads; i++)
            rotate(s, s->qkv + t * q + i * h->width, s->pos + t);
        for (size_t i = 0; i < h->kv_heads; i++)
            rotate(s, k + t * h->kv + i * h->width, s->pos + t);
        remember(s, layer, s->pos + t, k + t * h->kv, v + t * h->kv);
    }
    threads_run(s->threads, h->heads, 1, run_heads, &a);
    multiply_one(s, &l->o, s->a, n, s->h);
    add(s->x, s->h, n * h->d);
}

static void feed_forward(struct decoder_session *s, const struct layer *l, size_t n)
{
    const struct shape *h = &s->model->shape;
    struct product p = {.w = {&l->gate, &l->up},
                        .y = {s->gate, s->up},
                        .ldy = {h->ffn, h->ffn},
                        .count = 2,
                        .n = n};

    for (size_t t = 0; t < n; t++)
        s->k->rms_norm(s->x + t * h->d, l->ffn_norm, h->eps, h->d, s->h + t * h->d);
    multiply(s, &p, s->h);
    s->k->silu_mul(s->gate, s->up, n * h->ffn);
    multiply_one(s, &l->down, s->gate, n, s->h);
    add(s->x, s->h, n * h->d);
}

/* Columns pos..pos + n of the conversation. */
static enum status run_columns(struct decoder_session *s, const uint32_t *ids, size_t n,
                               struct engine_stop stop)
{
    const struct decoder *m = s->model;
    const struct shape *h = &m->shape;

    for (size_t t = 0; t < n; t++)
        quant_row(&m->embeddings, ids[t], s->x + t * h->d);
    for (size_t i = 0; i < h->layers; i++) {
        if (stop.fn != NULL && i % 8 == 0 && stop.fn(stop.arg))
            return ST_CANCELED;
        attention(s, &m->layers[i], i, n);
        feed_forward(s, &m->layers[i], n);
    }
    s->pos += (uint32_t)n;
    return ST_OK;
}

static void run_head(struct decoder_session *s, size_t column)
{
    const struct decoder *m = s->model;

    s->k->rms_norm(s->x + column * m->shape.d, m->out_norm, m->shape.eps, m->shape.d, s->h);
    multiply_one(s, &m->head, s->h, 1, s->logits);
}

static enum status feed(struct decoder_session *s, const uint32_t *ids, size_t n,
                        struct engine_stop stop)
{
    size_t done = 0, columns = 0;
    enum status st = ST_OK;

    if (n == 0 || n > s->model->shape.context - s->pos)
        return ST_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= s->model->shape.vocabulary)
            return ST_INVALID;
    }
    while (st == ST_OK && done < n) {
        columns = n - done < QUANT_TOKENS ? n - done : QUANT_TOKENS;
        st = run_columns(s, ids + done, columns, stop);
        done += columns;
    }
    if (st == ST_OK)
        run_head(s, columns - 1);
    return st;
}

enum status decoder_prefill(struct decoder_session *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop)
{
    s->pos = 0;
    return feed(s, ids, n, stop);
}

enum status decoder_step(struct decoder_session *s, uint32_t id)
{
    return feed(s, &id, 1, (struct engine_stop){NULL, NULL});
}

const float *decoder_logits(const struct decoder_session *s)
{
    return s->logits;
}

/* --- text ----------------------------------------------------------------------------- */

enum status decoder_tokenize(const struct decoder *d, struct span text, bool special,
                             uint32_t *ids, size_t cap, size_t *count)
{
    *count = 0;
    return bpe_encode(d->tokens, text, special, ids, cap, count);
}

enum status decoder_token_text(const struct decoder *d, uint32_t id, struct buf *out)
{
    return bpe_decode(d->tokens, id, out);
}

enum status decoder_chat_tokens(const struct decoder *d, const struct decoder_turn *turns,
                                size_t n, uint32_t *ids, size_t cap, size_t *count)
{
    return chat_template_encode(&d->chat, d->tokens, turns, n, ids, cap, count);
}

/* Text on its way out: held back while it may be the beginning of a stop string or ends
 * within a character. */
struct outlet {
    const struct decoder_params *p;
    decoder_text_fn *on_text;
    void *arg;
    struct buf held;
};

static bool starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

/* Offset of the first stop string, or held.len. */
static size_t find_stop(const struct outlet *o)
{
    for (size_t i = 0; i < o->held.len; i++) {
        struct span rest = {o->held.ptr + i, o->held.len - i};

        for (size_t k = 0; k < o->p->stop_count; k++) {
            if (o->p->stop[k].len > 0 && starts_with(rest, o->p->stop[k]))
                return i;
        }
    }
    return o->held.len;
}

/* How much of the end could be the beginning of a stop string. */
static size_t stop_tail(const struct outlet *o)
{
    for (size_t i = 0; i < o->held.len; i++) {
        struct span rest = {o->held.ptr + i, o->held.len - i};

        for (size_t k = 0; k < o->p->stop_count; k++) {
            if (o->p->stop[k].len > rest.len && starts_with(o->p->stop[k], rest))
                return rest.len;
        }
    }
    return 0;
}

/* How many bytes at the end belong to a character that is not whole. */
static size_t torn_tail(struct span s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        unsigned char c = (unsigned char)s.ptr[s.len - back];

        if ((c & 0xc0) == 0x80)
            continue;
        return (c >= 0xf0 && back < 4) || (c >= 0xe0 && c < 0xf0 && back < 3) ||
                       (c >= 0xc0 && c < 0xe0 && back < 2)
                   ? back
                   : 0;
    }
    return 0;
}

static void let_out(struct outlet *o, size_t n)
{
    if (n == 0)
        return;
    o->on_text(o->arg, (struct span){o->held.ptr, n});
    buf_consume(&o->held, n);
}

/* true: a stop string is there; what stood before it is out. */
static bool pass(struct outlet *o)
{
    size_t at = find_stop(o), keep;

    if (at < o->held.len) {
        let_out(o, at);
        return true;
    }
    keep = stop_tail(o);
    if (keep == 0)
        keep = torn_tail(buf_span(&o->held));
    let_out(o, o->held.len - keep);
    return false;
}

static bool is_end(const struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return true;
    }
    return false;
}

/* From the logits of the prompt to the end of the answer. */
static enum status generate(struct decoder_session *s, struct sampler *sampler,
                            struct outlet *o, struct engine_stop stop,
                            struct decoder_result *out)
{
    const struct decoder *m = s->model;
    uint32_t most = o->p->max_tokens > 0 ? o->p->max_tokens : UINT32_MAX;
    enum status st = ST_OK;

    out->finish = DECODER_LENGTH;
    while (st == ST_OK && out->completion_tokens < most) {
        uint32_t id = sampler_next(sampler, s->logits, m->shape.vocabulary);

        if (stop.fn != NULL && stop.fn(stop.arg)) {
            out->finish = DECODER_CANCELED;
            return ST_CANCELED;
        }
        out->completion_tokens++;
        if (is_end(m, id)) {
            out->finish = DECODER_STOP;
            break;
        }
        st = bpe_decode(m->tokens, id, &o->held);
        if (st == ST_OK && pass(o)) {
            out->finish = DECODER_STOP;
            return ST_OK;
        }
        if (s->pos == m->shape.context || out->completion_tokens == most)
            break;
        if (st == ST_OK)
            st = feed(s, &id, 1, stop);
    }
    /* What was held back for a stop string that did not come. Half a character at the
     * limit is not text. */
    let_out(o, o->held.len - torn_tail(buf_span(&o->held)));
    return st;
}

enum status decoder_chat(struct decoder_session *s, const struct decoder_turn *turns, size_t n,
                         const struct decoder_params *p, decoder_text_fn *on_text, void *arg,
                         struct engine_stop stop, struct decoder_result *out)
{
    const struct decoder *m = s->model;
    struct outlet o = {.p = p, .on_text = on_text, .arg = arg};
    uint32_t *ids = malloc(m->shape.context * sizeof(*ids));
    struct sampler sampler = {.items = NULL};
    uint64_t t0 = clock_now_us();
    size_t count = 0;
    enum status st = ids != NULL ? ST_OK : ST_NOMEM;

    *out = (struct decoder_result){.finish = DECODER_CANCELED};
    buf_init(&o.held, 1 << 20);
    if (st == ST_OK)
        st = chat_template_encode(&m->chat, m->tokens, turns, n, ids, m->shape.context, &count);
    /* One place is needed for the first token of the answer. */
    if (st == ST_OK && count >= m->shape.context)
        st = ST_LIMIT;
    if (st == ST_OK)
        st = sampler_init(&sampler, p->temperature, p->top_p, p->top_k, p->seed,
                          m->shape.vocabulary);
    if (st == ST_OK)
        st = decoder_prefill(s, ids, count, stop);
    out->prompt_tokens = (uint32_t)count;
    out->prompt_us = clock_now_us() - t0;
    t0 = clock_now_us();
    if (st == ST_OK)
        st = generate(s, &sampler, &o, stop, out);
    out->decode_us = clock_now_us() - t0;
    sampler_release(&sampler);
    buf_release(&o.held);
    free(ids);
    return st;
}
