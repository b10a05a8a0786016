/* Each tensor is checked against the sizes. One that no part of the model uses is refused as
 * well: it would be a bias, say, and answers without it are wrong without a word. */
#include "engine/decoder_load.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"
#include "engine/format.h"

#define NAME_BYTES 96

/* What loading has at hand. The first failure stays; what follows does nothing. */
struct loader {
    const struct gguf *g;
    const struct decoder_architecture *arch;
    struct engine_error *err;
    struct arena *arena;
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

static enum status refuse_shape(struct loader *l, const char *name)
{
    return error_set(l->err, ST_INVALID, "tensor '%s' has not the shape that the model implies",
                     name);
}

static void find_matrix(struct loader *l, const char *name, size_t rows, size_t cols,
                        struct quant_matrix *out)
{
    const struct gguf_tensor *t = find(l, name);

    if (t == NULL)
        return;
    if (t->dims != 2 || t->shape[0] != cols || t->shape[1] != rows) {
        l->st = refuse_shape(l, name);
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

/* --- a layer -------------------------------------------------------------------------- */

/* A part of LAYER_…, or 0 for what all layers have, that is to be there. */
static bool is_wanted(const struct loader *l, unsigned part, const char *name)
{
    if (part == 0 || (l->arch->required & part) != 0)
        return true;
    return (l->arch->optional & part) != 0 && gguf_tensor_find(l->g, name) != NULL;
}

static void load_vectors(struct loader *l, const struct decoder_shape *s, size_t i,
                         struct decoder_layer *out)
{
    const struct {
        unsigned part;
        const char *name;
        size_t n;
        const float **to;
    } list[] = {
        {0, "attn_norm.weight", s->d, &out->attn_norm},
        {0, "ffn_norm.weight", s->d, &out->ffn_norm},
        {LAYER_HEAD_NORMS, "attn_q_norm.weight", s->width, &out->q_norm},
        {LAYER_HEAD_NORMS, "attn_k_norm.weight", s->width, &out->k_norm},
        {LAYER_SUB_NORMS, "attn_sub_norm.weight", s->q, &out->attn_sub_norm},
        {LAYER_SUB_NORMS, "ffn_sub_norm.weight", s->ffn, &out->ffn_sub_norm},
        {LAYER_POST_NORMS, "post_attention_norm.weight", s->d, &out->attn_post_norm},
        {LAYER_POST_NORMS, "post_ffw_norm.weight", s->d, &out->ffn_post_norm},
        {LAYER_QKV_BIAS, "attn_q.bias", s->q, &out->q_bias},
        {LAYER_QKV_BIAS, "attn_k.bias", s->kv, &out->k_bias},
        {LAYER_QKV_BIAS, "attn_v.bias", s->kv, &out->v_bias},
        {LAYER_OUT_BIAS, "attn_output.bias", s->d, &out->o_bias},
    };
    char name[NAME_BYTES];

    for (size_t k = 0; k < ARRAY_LEN(list); k++) {
        snprintf(name, sizeof(name), "blk.%zu.%s", i, list[k].name);
        *list[k].to = is_wanted(l, list[k].part, name) ? find_vector(l, name, list[k].n) : NULL;
    }
}

struct part {
    size_t rows;
    struct quant_matrix *to;
};

/* One tensor, blk.`i`.`what`.weight, that holds the rows of several matrices. */
static void load_rows(struct loader *l, size_t i, const char *what, size_t cols,
                      const struct part *parts, size_t n)
{
    struct quant_matrix all;
    char name[NAME_BYTES];
    size_t rows = 0;

    for (size_t k = 0; k < n; k++)
        rows += parts[k].rows;
    snprintf(name, sizeof(name), "blk.%zu.%s.weight", i, what);
    find_matrix(l, name, rows, cols, &all);
    if (l->st != ST_OK)
        return;
    for (size_t k = 0; k < n; k++) {
        *parts[k].to = all;
        parts[k].to->rows = parts[k].rows;
        all.data += parts[k].rows * all.row_bytes;
    }
}

static void load_matrix(struct loader *l, size_t i, const char *what, size_t rows, size_t cols,
                        struct quant_matrix *to)
{
    load_rows(l, i, what, cols, &(struct part){rows, to}, 1);
}

static void load_attention(struct loader *l, const struct decoder_shape *s, size_t i,
                           struct decoder_layer *out)
{
    const struct part qkv[] = {{s->q, &out->q}, {s->kv, &out->k}, {s->kv, &out->v}};

    if ((l->arch->required & LAYER_FUSED) != 0) {
        load_rows(l, i, "attn_qkv", s->d, qkv, ARRAY_LEN(qkv));
    } else {
        load_matrix(l, i, "attn_q", s->q, s->d, &out->q);
        load_matrix(l, i, "attn_k", s->kv, s->d, &out->k);
        load_matrix(l, i, "attn_v", s->kv, s->d, &out->v);
    }
    load_matrix(l, i, "attn_output", s->d, s->q, &out->o);
}

static void load_feed(struct loader *l, const struct decoder_shape *s, size_t i,
                      struct decoder_feed *out)
{
    const struct part both[] = {{s->ffn, &out->gate}, {s->ffn, &out->up}};

    if ((l->arch->required & LAYER_FUSED) != 0) {
        load_rows(l, i, "ffn_up", s->d, both, ARRAY_LEN(both));
    } else {
        load_matrix(l, i, "ffn_gate", s->ffn, s->d, &out->gate);
        load_matrix(l, i, "ffn_up", s->ffn, s->d, &out->up);
    }
    load_matrix(l, i, "ffn_down", s->d, s->ffn, &out->down);
}

/* --- its experts ---------------------------------------------------------------------- */

/* One tensor with the matrices of all experts, one behind the other; to[e * stride]. */
static void load_each(struct loader *l, size_t i, const char *what, size_t count, size_t rows,
                      size_t cols, struct quant_matrix *to)
{
    const size_t stride = sizeof(struct decoder_feed) / sizeof(struct quant_matrix);
    const struct gguf_tensor *t;
    char name[NAME_BYTES];
    size_t bytes;

    snprintf(name, sizeof(name), "blk.%zu.%s.weight", i, what);
    t = find(l, name);
    if (t == NULL)
        return;
    if (t->dims != 3 || t->shape[0] != cols || t->shape[1] != rows || t->shape[2] != count) {
        l->st = refuse_shape(l, name);
        return;
    }
    bytes = t->data.len / count;
    for (size_t e = 0; e < count; e++)
        to[e * stride] = (struct quant_matrix){.type = t->type,
                                               .rows = rows,
                                               .cols = cols,
                                               .data = (const uint8_t *)t->data.ptr + e * bytes,
                                               .row_bytes = bytes / rows};
}

static void load_experts(struct loader *l, const struct decoder_shape *s, size_t i,
                         struct decoder_layer *out)
{
    struct decoder_experts *x =
        arena_alloc(l->arena, sizeof(*x), _Alignof(struct decoder_experts));
    struct decoder_feed *list =
        arena_alloc(l->arena, s->experts * sizeof(*list), _Alignof(struct decoder_feed));
    char name[NAME_BYTES];

    if (l->st == ST_OK && (x == NULL || list == NULL))
        l->st = error_set(l->err, ST_NOMEM, "out of memory");
    if (l->st != ST_OK)
        return;
    *x = (struct decoder_experts){.list = list};
    out->experts = x;
    load_matrix(l, i, "ffn_gate_inp", s->experts, s->d, &x->router);
    load_each(l, i, "ffn_gate_exps", s->experts, s->expert_ffn, s->d, &list->gate);
    load_each(l, i, "ffn_up_exps", s->experts, s->expert_ffn, s->d, &list->up);
    load_each(l, i, "ffn_down_exps", s->experts, s->d, s->expert_ffn, &list->down);
    if ((l->arch->required & LAYER_SHARED_EXPERT) == 0)
        return;
    load_matrix(l, i, "ffn_gate_shexp", s->shared_ffn, s->d, &x->shared.gate);
    load_matrix(l, i, "ffn_up_shexp", s->shared_ffn, s->d, &x->shared.up);
    load_matrix(l, i, "ffn_down_shexp", s->d, s->shared_ffn, &x->shared.down);
    snprintf(name, sizeof(name), "blk.%zu.ffn_gate_inp_shexp.weight", i);
    x->shared_gate = find_vector(l, name, s->d);
}

static void load_layer(struct loader *l, const struct decoder_shape *s, size_t i,
                       struct decoder_layer *out)
{
    bool near = s->window > 0 && (i + 1) % s->window_every != 0;
    bool unturned = l->arch->unturned_every > 0 && (i + 1) % l->arch->unturned_every == 0;

    *out = (struct decoder_layer){.experts = NULL};
    load_attention(l, s, i, out);
    if (s->experts > 0)
        load_experts(l, s, i, out);
    else
        load_feed(l, s, i, &out->feed);
    load_vectors(l, s, i, out);
    out->window = near ? s->window : 0;
    out->positions = unturned ? DECODER_NONE : near ? DECODER_NEAR : DECODER_FAR;
}

/* --- the model ------------------------------------------------------------------------ */

/* Frequencies are divided by them. */
static const float *find_factors(struct loader *l, const char *name, bool required, size_t n)
{
    const float *v;

    if (!required && gguf_tensor_find(l->g, name) == NULL)
        return NULL;
    v = find_vector(l, name, n);
    for (size_t i = 0; v != NULL && i < n; i++) {
        if (!(v[i] > 0))
            l->st = error_set(l->err, ST_INVALID,
                              "tensor '%s' holds a value that is not above 0", name);
    }
    return v;
}

/* Those of Llama 3.1's stretched positions, or LongRoPE's two sets (Ding et al. 2024). */
static void load_rope(struct loader *l, struct decoder_weights *w)
{
    size_t half = w->shape.ropes[DECODER_FAR].dimensions / 2;
    bool two = w->shape.rope_long || gguf_tensor_find(l->g, "rope_factors_long.weight") != NULL;

    w->rope_long = find_factors(l, "rope_factors_long.weight", two, half);
    w->rope_factors = two ? find_factors(l, "rope_factors_short.weight", true, half)
                          : find_factors(l, "rope_freqs.weight", false, half);
}

static void check_unused(struct loader *l)
{
    for (size_t i = 0; l->st == ST_OK && i < l->g->tensor_count; i++) {
        const struct span name = l->g->tensors[i].name;

        if (!l->used[i])
            l->st = error_set(l->err, ST_INVALID,
                              "tensor '%.*s' is not one that the architecture '%s' has",
                              (int)name.len, name.ptr, l->arch->name);
    }
}

enum status decoder_load(struct decoder_weights *w, const struct gguf *g, size_t words,
                         struct arena *arena, struct engine_error *err)
{
    struct decoder_shape *s = &w->shape;
    struct loader l = {.g = g, .arch = s->arch, .err = err, .arena = arena, .st = ST_OK};

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
