#include "tiny_models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/format.h"
#include "format_scales.h"
#include "tiny_llama.h"

#define BIASES (TINY_QKV_BIAS | TINY_OUT_BIAS)
#define GEMMA  (TINY_HEAD_NORMS | TINY_POST_NORMS)
#define PHI    (TINY_FUSED | TINY_HEAD)

/* clang-format off */
const struct tiny_model tiny_models[] = {
    {"llama, biases, stretched", "llama", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 4, .kv_heads = 2,
     .width = 16, .rope = 12, .parts = BIASES | TINY_HEAD, .stretch = 4},
    {"llama, factors", "llama", FORMAT_Q8_0, .d = 64, .ffn = 96, .layers = 3, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = TINY_ROPE_FREQS},
    {"smollm3", "smollm3", FORMAT_F32, .d = 64, .ffn = 96, .layers = 5, .heads = 4, .kv_heads = 1,
     .width = 16, .rope = 16},
    {"qwen2", "qwen2", FORMAT_F32, .d = 96, .ffn = 64, .layers = 2, .heads = 6, .kv_heads = 2,
     .width = 16, .rope = 16, .parts = TINY_QKV_BIAS},
    {"qwen2, Q4_1", "qwen2", FORMAT_Q4_1, .d = 64, .ffn = 128, .layers = 2, .heads = 2, .kv_heads = 2,
     .width = 32, .rope = 32, .parts = TINY_QKV_BIAS | TINY_HEAD},
    {"qwen3", "qwen3", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 4, .kv_heads = 2,
     .width = 48, .rope = 48, .parts = TINY_HEAD_NORMS},
    {"qwen3, Q4_K", "qwen3", FORMAT_Q4_K, .d = 256, .ffn = 256, .layers = 2, .heads = 4, .kv_heads = 1,
     .width = 64, .rope = 64, .parts = TINY_HEAD_NORMS},
    {"gemma3", "gemma3", FORMAT_F32, .d = 64, .ffn = 96, .layers = 8, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = GEMMA, .window = 24, .stretch = 8},
    {"gemma3, wide heads", "gemma3", FORMAT_Q5_0, .d = 64, .ffn = 128, .layers = 7, .heads = 2, .kv_heads = 1,
     .width = 256, .rope = 256, .parts = GEMMA, .window = 70},
    {"gemma3, no window", "gemma3", FORMAT_F32, .d = 64, .ffn = 64, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = GEMMA, .scale = 0.3f},
    {"gemma3, other pattern", "gemma3", FORMAT_F32, .d = 64, .ffn = 64, .layers = 3, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = GEMMA, .window = 1, .pattern = 2},
    {"gemma3, 62 layers", "gemma3", FORMAT_Q8_0, .d = 64, .ffn = 32, .layers = 62, .heads = 2, .kv_heads = 1,
     .width = 16, .rope = 16, .parts = GEMMA, .window = 40},
    {"phi3", "phi3", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 2,
     .width = 32, .rope = 24, .parts = PHI, .window = 20},
    {"phi3, short factors", "phi3", FORMAT_Q8_0, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 24, .parts = PHI | TINY_ROPE_FACTORS, .original = 4096, .magnitude = 1.19f},
    {"phi3, long factors", "phi3", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = PHI | TINY_ROPE_FACTORS, .original = 64, .magnitude = 1.19f},
    {"llama, experts", "llama", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 32, .parts = TINY_HEAD, .experts = 4, .used = 2},
    {"qwen2moe", "qwen2moe", FORMAT_F32, .d = 64, .ffn = 32, .layers = 3, .heads = 4, .kv_heads = 4,
     .width = 16, .rope = 16, .parts = TINY_QKV_BIAS | TINY_SHARED_EXPERT | TINY_HEAD, .experts = 6, .used = 3,
     .expert_ffn = 96, .shared_ffn = 64},
    {"qwen2moe, widths unsaid", "qwen2moe", FORMAT_Q4_0, .d = 64, .ffn = 128, .layers = 2, .heads = 2, .kv_heads = 2,
     .width = 32, .rope = 32, .parts = TINY_QKV_BIAS | TINY_SHARED_EXPERT, .experts = 5, .used = 2},
    {"qwen3moe", "qwen3moe", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 4, .kv_heads = 2,
     .width = 32, .rope = 32, .parts = TINY_HEAD_NORMS, .experts = 16, .used = 4, .expert_ffn = 32},
    {"bitnet", "bitnet", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 4, .kv_heads = 2,
     .width = 16, .rope = 16, .parts = TINY_SUB_NORMS, .stretch = 1},
    {"bitnet, TQ2_0", "bitnet", FORMAT_TQ2_0, .d = 256, .ffn = 256, .layers = 2, .heads = 4, .kv_heads = 1,
     .width = 64, .rope = 64, .parts = TINY_SUB_NORMS},
    {"bitnet, TQ1_0", "bitnet", FORMAT_TQ1_0, .d = 256, .ffn = 512, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 128, .rope = 128, .parts = TINY_SUB_NORMS},
    {"qwen2, YaRN", "qwen2", FORMAT_F32, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 64, .rope = 64, .parts = TINY_QKV_BIAS, .original = 40, .stretch = 4, .yarn = true},
    {"llama, YaRN of its own", "llama", FORMAT_Q8_0, .d = 64, .ffn = 96, .layers = 2, .heads = 2, .kv_heads = 1,
     .width = 32, .rope = 24, .parts = TINY_ROPE_FREQS, .original = 90, .stretch = 1.5f, .magnitude = 1.1f,
     .yarn = true, .fast = 6, .slow = 0.5f},
};
/* clang-format on */
const size_t tiny_models_count = sizeof(tiny_models) / sizeof(tiny_models[0]);

const struct tiny_model *tiny_models_find(const char *name)
{
    for (size_t i = 0; i < tiny_models_count; i++) {
        if (strcmp(tiny_models[i].name, name) == 0)
            return &tiny_models[i];
    }
    return NULL;
}

/* --- tensors -------------------------------------------------------------------------- */

static uint64_t seed;

/* 0..1 */
static float noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(seed >> 40) / 16777216.0f;
}

static uint8_t *need(size_t bytes)
{
    uint8_t *p = malloc(bytes);

    if (p == NULL)
        abort();
    return p;
}

/* `size`: about the root mean square of a weight. */
static void add_matrix(struct gguf_writer *w, const char *name, uint32_t type, float size,
                       size_t count, size_t rows, size_t cols)
{
    const struct format *f = format_of(type);
    const uint64_t shape[3] = {cols, rows, count};
    size_t blocks = count * rows * (cols / f->values);
    uint8_t *data = need(blocks * f->bytes);

    for (size_t b = 0; b < blocks; b++) {
        uint8_t *block = data + b * f->bytes;
        float first, second;

        for (size_t i = 0; i < f->bytes; i++)
            block[i] = (uint8_t)(noise() * 256);
        /* One after the other: compilers differ in the order of arguments. */
        second = noise();
        first = noise();
        format_scales_set(type, block, type == FORMAT_F32 ? 1.7f * size : size, first, second);
    }
    gguf_writer_tensor(w, name, type, shape, (struct span){(char *)data, blocks * f->bytes});
    free(data);
}

/* Values about `middle`. */
static void add_vector(struct gguf_writer *w, const char *name, float middle, float spread,
                       size_t n)
{
    const uint64_t shape[3] = {n, 0, 1};
    float *v = (float *)(void *)need(n * sizeof(*v));

    for (size_t i = 0; i < n; i++)
        v[i] = middle + spread * (2 * noise() - 1);
    gguf_writer_tensor(w, name, FORMAT_F32, shape, (struct span){(char *)v, n * sizeof(*v)});
    free(v);
}

struct layer {
    struct gguf_writer *w;
    const struct tiny_model *m;
    size_t i;
};

static void matrix(const struct layer *l, const char *what, size_t rows, size_t cols)
{
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.%s.weight", l->i, what);
    add_matrix(l->w, name, l->m->type, 1 / sqrtf((float)cols), 1, rows, cols);
}

/* All experts' in one tensor. */
static void matrices(const struct layer *l, const char *what, size_t rows, size_t cols)
{
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.%s.weight", l->i, what);
    add_matrix(l->w, name, l->m->type, 1 / sqrtf((float)cols), l->m->experts, rows, cols);
}

static void norm(const struct layer *l, const char *what, size_t n)
{
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.%s.weight", l->i, what);
    add_vector(l->w, name, 1, 0.3f, n);
}

static void bias(const struct layer *l, const char *what, size_t n)
{
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.%s.bias", l->i, what);
    add_vector(l->w, name, 0, 0.6f, n);
}

static void add_attention(const struct layer *l)
{
    const struct tiny_model *m = l->m;
    size_t q = m->heads * m->width, kv = m->kv_heads * m->width;

    norm(l, "attn_norm", m->d);
    if ((m->parts & TINY_FUSED) != 0) {
        matrix(l, "attn_qkv", q + 2 * kv, m->d);
    } else {
        matrix(l, "attn_q", q, m->d);
        matrix(l, "attn_k", kv, m->d);
        matrix(l, "attn_v", kv, m->d);
    }
    matrix(l, "attn_output", m->d, q);
    if ((m->parts & TINY_SUB_NORMS) != 0)
        norm(l, "attn_sub_norm", q);
    if ((m->parts & TINY_QKV_BIAS) != 0) {
        bias(l, "attn_q", q);
        bias(l, "attn_k", kv);
        bias(l, "attn_v", kv);
    }
    if ((m->parts & TINY_OUT_BIAS) != 0)
        bias(l, "attn_output", m->d);
    if ((m->parts & TINY_HEAD_NORMS) != 0) {
        norm(l, "attn_q_norm", m->width);
        norm(l, "attn_k_norm", m->width);
    }
    if ((m->parts & TINY_POST_NORMS) != 0)
        norm(l, "post_attention_norm", m->d);
}

static void add_experts(const struct layer *l)
{
    const struct tiny_model *m = l->m;
    bool divided = strcmp(m->arch, "llama") != 0;
    size_t ffn = m->expert_ffn > 0 ? m->expert_ffn : divided ? m->ffn / m->used : m->ffn;
    size_t shared = m->shared_ffn > 0 ? m->shared_ffn : m->ffn;
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.ffn_gate_inp.weight", l->i);
    add_matrix(l->w, name, FORMAT_F32, 1 / sqrtf((float)m->d), 1, m->experts, m->d);
    matrices(l, "ffn_gate_exps", ffn, m->d);
    matrices(l, "ffn_up_exps", ffn, m->d);
    matrices(l, "ffn_down_exps", m->d, ffn);
    if ((m->parts & TINY_SHARED_EXPERT) == 0)
        return;
    matrix(l, "ffn_gate_shexp", shared, m->d);
    matrix(l, "ffn_up_shexp", shared, m->d);
    matrix(l, "ffn_down_shexp", m->d, shared);
    snprintf(name, sizeof(name), "blk.%zu.ffn_gate_inp_shexp.weight", l->i);
    add_vector(l->w, name, 0, 0.3f, m->d);
}

static void add_feed(const struct layer *l)
{
    const struct tiny_model *m = l->m;
    bool fused = (m->parts & TINY_FUSED) != 0;

    if ((m->parts & TINY_SUB_NORMS) != 0)
        norm(l, "ffn_sub_norm", m->ffn);
    if (!fused)
        matrix(l, "ffn_gate", m->ffn, m->d);
    matrix(l, "ffn_up", fused ? 2 * m->ffn : m->ffn, m->d);
    matrix(l, "ffn_down", m->d, m->ffn);
    if ((m->parts & TINY_POST_NORMS) != 0)
        norm(l, "post_ffw_norm", m->d);
}

/* --- keys ----------------------------------------------------------------------------- */

static const char *key(const struct tiny_model *m, const char *what)
{
    static char name[96];

    snprintf(name, sizeof(name), "%s.%s", m->arch, what);
    return name;
}

static void count(struct gguf_writer *w, const struct tiny_model *m, const char *what,
                  uint32_t n)
{
    if (n > 0)
        gguf_writer_u32(w, key(m, what), n);
}

static void number(struct gguf_writer *w, const struct tiny_model *m, const char *what, float f)
{
    if (f > 0)
        gguf_writer_f32(w, key(m, what), f);
}

static void add_keys(struct gguf_writer *w, const struct tiny_model *m)
{
    gguf_writer_text(w, "general.architecture", m->arch);
    count(w, m, "embedding_length", m->d);
    count(w, m, "feed_forward_length", m->ffn);
    count(w, m, "block_count", m->layers);
    count(w, m, "context_length", TINY_MODELS_CONTEXT);
    count(w, m, "attention.head_count", m->heads);
    count(w, m, "attention.head_count_kv", m->kv_heads);
    count(w, m, "attention.key_length", m->width);
    count(w, m, "attention.sliding_window", m->window);
    count(w, m, "attention.sliding_window_pattern", m->pattern);
    number(w, m, "attention.layer_norm_rms_epsilon", 1e-5f);
    number(w, m, "attention.scale", m->scale);
    count(w, m, "rope.dimension_count", m->rope);
    number(w, m, "rope.freq_base", 50000);
    if (m->stretch > 0)
        gguf_writer_text(w, key(m, "rope.scaling.type"), m->yarn ? "yarn" : "linear");
    number(w, m, "rope.scaling.factor", m->stretch);
    number(w, m, "rope.scaling.attn_factor", m->magnitude);
    number(w, m, "rope.scaling.yarn_beta_fast", m->fast);
    number(w, m, "rope.scaling.yarn_beta_slow", m->slow);
    count(w, m, "rope.scaling.original_context_length", m->original);
    count(w, m, "expert_count", m->experts);
    count(w, m, "expert_used_count", m->used);
    count(w, m, "expert_feed_forward_length", m->expert_ffn);
    count(w, m, "expert_shared_feed_forward_length", m->shared_ffn);
    tiny_llama_tokenizer(w, "smollm");
}

void tiny_models_write(const struct tiny_model *m, const struct gguf_edit *edit,
                       struct buf *out)
{
    uint32_t words = m->type == FORMAT_F32 ? FORMAT_F32 : FORMAT_Q8_0;
    struct gguf_writer w;

    seed = 1;
    gguf_writer_init(&w, edit);
    add_keys(&w, m);
    add_matrix(&w, "token_embd.weight", words, 1 / sqrtf((float)m->d), 1, TINY_WORDS, m->d);
    if ((m->parts & TINY_HEAD) != 0)
        add_matrix(&w, "output.weight", words, 1 / sqrtf((float)m->d), 1, TINY_WORDS, m->d);
    add_vector(&w, "output_norm.weight", 1, 0.3f, m->d);
    if ((m->parts & TINY_ROPE_FREQS) != 0)
        add_vector(&w, "rope_freqs.weight", 3, 2, m->rope / 2);
    if ((m->parts & TINY_ROPE_FACTORS) != 0) {
        add_vector(&w, "rope_factors_long.weight", 5, 4, m->rope / 2);
        add_vector(&w, "rope_factors_short.weight", 1.5f, 0.5f, m->rope / 2);
    }
    for (size_t i = 0; i < m->layers; i++) {
        const struct layer l = {&w, m, i};

        add_attention(&l);
        norm(&l, "ffn_norm", m->d);
        if (m->experts > 0)
            add_experts(&l);
        else
            add_feed(&l);
    }
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}

/* --- adapters --------------------------------------------------------------------------- */

/* What is added is about half of what it is added to. */
static void change(const struct layer *l, const char *what, size_t rows, size_t cols,
                   size_t rank)
{
    char name[64];

    snprintf(name, sizeof(name), "blk.%zu.%s.weight.lora_a", l->i, what);
    add_matrix(l->w, name, FORMAT_F32, 1 / sqrtf((float)cols), 1, rank, cols);
    snprintf(name, sizeof(name), "blk.%zu.%s.weight.lora_b", l->i, what);
    add_matrix(l->w, name, FORMAT_F32, 0.5f / sqrtf((float)rank), 1, rows, rank);
}

static void change_layer(const struct layer *l)
{
    const struct tiny_model *m = l->m;
    size_t q = m->heads * m->width, kv = m->kv_heads * m->width;
    bool fused = (m->parts & TINY_FUSED) != 0;

    if (fused) {
        change(l, "attn_qkv", q + 2 * kv, m->d, 5);
    } else {
        change(l, "attn_q", q, m->d, 1 + l->i);
        change(l, "attn_k", kv, m->d, 8);
        change(l, "attn_v", kv, m->d, 17);
    }
    change(l, "attn_output", m->d, q, 3);
    if (m->experts > 0)
        return;
    if (!fused)
        change(l, "ffn_gate", m->ffn, m->d, 4);
    change(l, "ffn_up", fused ? 2 * m->ffn : m->ffn, m->d, 2);
    change(l, "ffn_down", m->d, m->ffn, 33);
}

void tiny_models_adapter_write(const struct tiny_model *m, struct buf *out)
{
    struct gguf_writer w;

    seed = 2;
    gguf_writer_init(&w, NULL);
    gguf_writer_text(&w, "general.type", "adapter");
    gguf_writer_text(&w, "general.architecture", m->arch);
    gguf_writer_text(&w, "adapter.type", "lora");
    gguf_writer_f32(&w, "adapter.lora.alpha", 6);
    for (size_t i = 0; i < m->layers; i++)
        change_layer(&(struct layer){&w, m, i});
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}
