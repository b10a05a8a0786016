/* A file says little that can be trusted: each size is checked before it divides or
 * multiplies, each tensor against the sizes. A tensor that no part of the model uses is
 * refused as well: it would be a bias, say, and answers without it are wrong without a
 * word. */
#include "engine/decoder_load.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"
#include "engine/format.h"

#define LAYERS_MAX      256
#define WIDTH_MAX       16384
#define FEED_MAX        QUANT_COLS_MAX
#define HEADS_MAX       1024
#define HEAD_WIDTH_MAX  128
#define CONTEXT_DEFAULT 2048
#define CONTEXT_MAX     131072
#define NAME_BYTES      96

/* --- sizes ---------------------------------------------------------------------------- */

/* The key "llama." `key`: true when it is absent, *out as before, or in 1..most. */
static bool read_count(const struct gguf *g, const char *key, uint64_t most, size_t *out)
{
    char full[NAME_BYTES];
    uint64_t n;

    snprintf(full, sizeof(full), "llama.%s", key);
    if (gguf_find(g, full) == NULL)
        return true;
    if (!gguf_u64(g, full, &n) || n == 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

/* true when it is absent, or above zero and finite. */
static bool read_positive(const struct gguf *g, const char *key, float *out)
{
    char full[NAME_BYTES];

    snprintf(full, sizeof(full), "llama.%s", key);
    if (gguf_find(g, full) == NULL)
        return true;
    return gguf_f32(g, full, out) && isfinite(*out) && *out > 0;
}

static enum status refuse_size(struct engine_error *err, const char *key)
{
    return error_set(err, ST_INVALID, "llama.%s is missing or out of range", key);
}

/* What changes the sums in ways that we do not know. */
static enum status check_kind(const struct gguf *g, struct engine_error *err)
{
    struct span arch = gguf_string(g, "general.architecture");
    struct span scaling = gguf_string(g, "llama.rope.scaling.type");
    uint64_t experts = 0;

    if (!span_eq(arch, SPAN("llama")))
        return error_set(
            err, ST_INVALID, "architecture '%.*s' is not supported; supported: llama",
            (int)(arch.len < 40 ? arch.len : 40), arch.ptr != NULL ? arch.ptr : "");
    if (gguf_find(g, "llama.expert_count") != NULL &&
        (!gguf_u64(g, "llama.expert_count", &experts) || experts > 0))
        return error_set(err, ST_INVALID, "mixtures of experts are not supported");
    if (scaling.len > 0 && !span_eq(scaling, SPAN("none")))
        return error_set(err, ST_INVALID,
                         "rope scaling '%.*s' is not supported; supported: none",
                         (int)(scaling.len < 40 ? scaling.len : 40), scaling.ptr);
    return ST_OK;
}

/* Those that follow from others when the file does not say them. */
static enum status read_heads(const struct gguf *g, struct decoder_shape *s,
                              struct engine_error *err)
{
    size_t most = HEAD_WIDTH_MAX;

    s->kv_heads = s->heads;
    s->width = s->d / s->heads;
    if (!read_count(g, "attention.head_count_kv", s->heads, &s->kv_heads))
        return refuse_size(err, "attention.head_count_kv");
    if (!read_count(g, "attention.key_length", most, &s->width) || s->width == 0 ||
        s->width > most)
        return refuse_size(err, "attention.key_length");
    s->rope = s->width;
    if (!read_count(g, "rope.dimension_count", s->width, &s->rope))
        return refuse_size(err, "rope.dimension_count");
    s->q = s->heads * s->width;
    s->kv = s->kv_heads * s->width;
    return ST_OK;
}

static enum status read_context(const struct gguf *g, struct decoder_shape *s,
                                struct engine_error *err)
{
    size_t context = CONTEXT_DEFAULT;

    if (!read_count(g, "context_length", UINT32_MAX, &context))
        return refuse_size(err, "context_length");
    s->context = context < CONTEXT_MAX ? (uint32_t)context : CONTEXT_MAX;
    return ST_OK;
}

static bool is_whole(size_t n)
{
    return n % QUANT_BLOCK == 0;
}

enum status decoder_load_shape(const struct gguf *g, struct decoder_shape *out,
                               struct engine_error *err)
{
    struct decoder_shape s = {.eps = 1e-5f, .base = 10000};
    const struct {
        const char *key;
        size_t most, *to;
    } list[] = {
        {"embedding_length", WIDTH_MAX, &s.d},
        {"feed_forward_length", FEED_MAX, &s.ffn},
        {"attention.head_count", HEADS_MAX, &s.heads},
        {"block_count", LAYERS_MAX, &s.layers},
    };
    enum status st = check_kind(g, err);

    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(list); i++) {
        if (!read_count(g, list[i].key, list[i].most, list[i].to) || *list[i].to == 0)
            st = refuse_size(err, list[i].key);
    }
    if (st == ST_OK)
        st = read_heads(g, &s, err);
    if (st == ST_OK)
        st = read_context(g, &s, err);
    if (st != ST_OK)
        return st;
    if (!read_positive(g, "attention.layer_norm_rms_epsilon", &s.eps))
        return refuse_size(err, "attention.layer_norm_rms_epsilon");
    if (!read_positive(g, "rope.freq_base", &s.base))
        return refuse_size(err, "rope.freq_base");
    if (s.heads % s.kv_heads != 0 || s.rope % 2 != 0 || s.q > FEED_MAX || !is_whole(s.d) ||
        !is_whole(s.ffn) || !is_whole(s.q))
        return error_set(err, ST_INVALID, "the sizes of the model do not fit each other");
    *out = s;
    return ST_OK;
}

/* --- tensors -------------------------------------------------------------------------- */

/* What loading has at hand. The first failure stays; what follows does nothing. */
struct loader {
    const struct gguf *g;
    struct engine_error *err;
    bool *used; /* [tensor_count], in the arena */
    enum status st;
};

static const struct gguf_tensor *find(struct loader *l, const char *name)
{
    const struct gguf_tensor *t = gguf_tensor_find(l->g, name);

    if (l->st != ST_OK)
        return NULL;
    if (t == NULL)
        l->st = error_set(l->err, ST_INVALID, "tensor '%s' is missing", name);
    else
        l->used[t - l->g->tensors] = true;
    return t;
}

static void find_matrix(struct loader *l, const char *name, size_t rows, size_t cols,
                        struct quant_matrix *out)
{
    const struct gguf_tensor *t = find(l, name);

    if (t == NULL)
        return;
    if (t->dims != 2 || t->shape[0] != cols || t->shape[1] != rows) {
        l->st = error_set(l->err, ST_INVALID,
                          "tensor '%s' has not the shape that the model implies", name);
        return;
    }
    *out = (struct quant_matrix){.type = t->type,
                                 .rows = rows,
                                 .cols = cols,
                                 .data = (const uint8_t *)t->data.ptr,
                                 .row_bytes = t->data.len / rows};
}

static const float *find_vector(struct loader *l, const char *name, size_t n)
{
    const struct gguf_tensor *t = find(l, name);
    const float *v;

    if (t == NULL)
        return NULL;
    if (t->dims != 1 || t->shape[0] != n || t->type != FORMAT_F32 ||
        (uintptr_t)t->data.ptr % _Alignof(float) != 0) {
        l->st =
            error_set(l->err, ST_INVALID, "tensor '%s' is not %zu aligned F32 values", name, n);
        return NULL;
    }
    v = (const float *)(const void *)t->data.ptr;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            l->st = error_set(l->err, ST_INVALID,
                              "tensor '%s' holds a value that is not finite", name);
            return NULL;
        }
    }
    return v;
}

static void load_layer(struct loader *l, const struct decoder_shape *s, size_t i,
                       struct decoder_layer *out)
{
    const struct {
        const char *name;
        size_t rows, cols;
        struct quant_matrix *to;
    } list[] = {
        {"attn_q", s->q, s->d, &out->q},        {"attn_k", s->kv, s->d, &out->k},
        {"attn_v", s->kv, s->d, &out->v},       {"attn_output", s->d, s->q, &out->o},
        {"ffn_gate", s->ffn, s->d, &out->gate}, {"ffn_up", s->ffn, s->d, &out->up},
        {"ffn_down", s->d, s->ffn, &out->down},
    };
    char name[NAME_BYTES];

    for (size_t k = 0; k < ARRAY_LEN(list); k++) {
        snprintf(name, sizeof(name), "blk.%zu.%s.weight", i, list[k].name);
        find_matrix(l, name, list[k].rows, list[k].cols, list[k].to);
    }
    snprintf(name, sizeof(name), "blk.%zu.attn_norm.weight", i);
    out->attn_norm = find_vector(l, name, s->d);
    snprintf(name, sizeof(name), "blk.%zu.ffn_norm.weight", i);
    out->ffn_norm = find_vector(l, name, s->d);
}

/* Frequencies are divided by them (Llama 3.1's stretching of positions). */
static void load_rope(struct loader *l, struct decoder_weights *w)
{
    size_t half = w->shape.rope / 2;

    if (gguf_tensor_find(l->g, "rope_freqs.weight") == NULL)
        return;
    w->rope_factors = find_vector(l, "rope_freqs.weight", half);
    for (size_t i = 0; w->rope_factors != NULL && i < half; i++) {
        if (!(w->rope_factors[i] > 0))
            l->st = error_set(l->err, ST_INVALID,
                              "tensor 'rope_freqs.weight' holds a value that is not above 0");
    }
}

static void check_unused(struct loader *l)
{
    for (size_t i = 0; l->st == ST_OK && i < l->g->tensor_count; i++) {
        const struct span name = l->g->tensors[i].name;

        if (!l->used[i])
            l->st = error_set(l->err, ST_INVALID,
                              "tensor '%.*s' is not one that this architecture has",
                              (int)name.len, name.ptr);
    }
}

enum status decoder_load(struct decoder_weights *w, const struct gguf *g, size_t words,
                         struct arena *arena, struct engine_error *err)
{
    struct loader l = {.g = g, .err = err, .st = ST_OK};
    struct decoder_shape *s = &w->shape;

    w->layers =
        arena_alloc(arena, s->layers * sizeof(*w->layers), _Alignof(struct decoder_layer));
    l.used = arena_alloc(arena, g->tensor_count + 1, 1);
    if (w->layers == NULL || l.used == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < g->tensor_count; i++)
        l.used[i] = false;
    s->vocabulary = words;
    find_matrix(&l, "token_embd.weight", words, s->d, &w->embeddings);
    w->head = w->embeddings; /* tied, unless the file has one */
    if (gguf_tensor_find(g, "output.weight") != NULL)
        find_matrix(&l, "output.weight", words, s->d, &w->head);
    w->out_norm = find_vector(&l, "output_norm.weight", s->d);
    load_rope(&l, w);
    for (size_t i = 0; i < s->layers && l.st == ST_OK; i++)
        load_layer(&l, s, i, &w->layers[i]);
    check_unused(&l);
    return l.st;
}
