#include "mixed_llama.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/format.h"
#include "format_scales.h"
#include "gguf_writer.h"
#include "tiny_llama.h"

#define CONTEXT 128

/* clang-format off */
const struct mixed_model mixed_llama_models[MIXED_MODELS] = {
    {"Q4_K_M", 256, 512, 4, 2, FORMAT_Q6_K, FORMAT_F32,
     {{FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q6_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q6_K},
      {FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q4_K}}},
    /* The same where rows are no multiple of 256, but for those of ffn_down. */
    {"Q4_K_M, narrow", 160, 256, 5, 1, FORMAT_Q8_0, FORMAT_F32,
     {{FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q8_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q6_K},
      {FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q5_0, FORMAT_Q4_K}}},
    {"Q5_K_M", 256, 512, 4, 4, FORMAT_Q5_K, FORMAT_Q6_K,
     {{FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q6_K, FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q6_K},
      {FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q5_K, FORMAT_Q5_1, FORMAT_Q5_1, FORMAT_Q5_K}}},
    {"Q3_K_M", 256, 512, 4, 2, FORMAT_Q3_K, FORMAT_Q6_K,
     {{FORMAT_Q3_K, FORMAT_Q3_K, FORMAT_Q5_K, FORMAT_Q4_K, FORMAT_Q3_K, FORMAT_Q3_K, FORMAT_Q5_K},
      {FORMAT_Q3_K, FORMAT_Q3_K, FORMAT_Q4_K, FORMAT_Q4_K, FORMAT_Q3_K, FORMAT_Q3_K, FORMAT_Q4_K}}},
    {"Q2_K", 256, 512, 4, 2, FORMAT_Q2_K, FORMAT_Q6_K,
     {{FORMAT_Q2_K, FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q3_K, FORMAT_Q2_K, FORMAT_Q2_K, FORMAT_Q3_K},
      {FORMAT_Q2_K, FORMAT_TQ1_0, FORMAT_TQ2_0, FORMAT_Q3_K, FORMAT_Q2_K, FORMAT_Q2_K, FORMAT_Q2_K}}},
    {"IQ4_XS", 256, 512, 4, 2, FORMAT_IQ4_XS, FORMAT_Q8_0,
     {{FORMAT_IQ4_XS, FORMAT_IQ4_NL, FORMAT_BF16, FORMAT_IQ4_XS, FORMAT_MXFP4, FORMAT_MXFP4, FORMAT_F16},
      {FORMAT_IQ4_XS, FORMAT_IQ4_NL, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_MXFP4, FORMAT_IQ4_NL, FORMAT_IQ4_XS}}},
    {"IQ2_M", 256, 512, 4, 2, FORMAT_IQ3_S, FORMAT_Q5_K,
     {{FORMAT_IQ2_S, FORMAT_IQ2_XS, FORMAT_IQ3_XXS, FORMAT_IQ3_S, FORMAT_IQ2_XXS, FORMAT_IQ1_M, FORMAT_IQ2_S},
      {FORMAT_IQ2_S, FORMAT_IQ2_XS, FORMAT_IQ3_XXS, FORMAT_IQ3_S, FORMAT_IQ2_XXS, FORMAT_IQ1_S, FORMAT_IQ3_S}}},
};
/* clang-format on */

static uint64_t seed;

static float noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(seed >> 40) / 16777216.0f;
}

static void add(struct gguf_writer *w, const char *name, uint32_t type, size_t rows,
                size_t cols)
{
    const struct format *f = format_of(type);
    const uint64_t shape[3] = {cols, rows, 1};
    size_t blocks = rows * (cols / f->values);
    uint8_t *data = malloc(blocks * f->bytes);

    if (data == NULL)
        abort();
    for (size_t b = 0; b < blocks; b++) {
        uint8_t *block = data + b * f->bytes;
        float a = noise();

        for (size_t i = 0; i < f->bytes; i++)
            block[i] = (uint8_t)(noise() * 256);
        format_scales_set(type, block, 1.0f / 16, a, noise());
    }
    gguf_writer_tensor(w, name, type, shape, (struct span){(char *)data, blocks * f->bytes});
    free(data);
}

static void add_norm(struct gguf_writer *w, const char *name, size_t n)
{
    const uint64_t shape[3] = {n, 0, 1};
    float *v = malloc(n * sizeof(*v));

    if (v == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        v[i] = 0.8f + 0.4f * noise();
    gguf_writer_tensor(w, name, FORMAT_F32, shape, (struct span){(char *)v, n * sizeof(*v)});
    free(v);
}

static void add_layer(struct gguf_writer *w, const struct mixed_model *m, size_t layer)
{
    const size_t d = m->d, kv = d / m->heads * m->kv_heads;
    const struct {
        const char *name;
        size_t rows, cols;
    } list[MIXED_MATRICES] = {
        {"attn_q", d, d},        {"attn_k", kv, d},       {"attn_v", kv, d},
        {"attn_output", d, d},   {"ffn_gate", m->ffn, d}, {"ffn_up", m->ffn, d},
        {"ffn_down", d, m->ffn},
    };
    char name[48];

    for (size_t i = 0; i < MIXED_MATRICES; i++) {
        snprintf(name, sizeof(name), "blk.%zu.%s.weight", layer, list[i].name);
        add(w, name, m->layers[layer][i], list[i].rows, list[i].cols);
    }
    snprintf(name, sizeof(name), "blk.%zu.attn_norm.weight", layer);
    add_norm(w, name, d);
    snprintf(name, sizeof(name), "blk.%zu.ffn_norm.weight", layer);
    add_norm(w, name, d);
}

void mixed_llama_write(const struct mixed_model *m, struct buf *out)
{
    struct gguf_writer w;

    seed = 1;
    gguf_writer_init(&w, NULL);
    gguf_writer_text(&w, "general.architecture", "llama");
    gguf_writer_u32(&w, "llama.embedding_length", m->d);
    gguf_writer_u32(&w, "llama.feed_forward_length", m->ffn);
    gguf_writer_u32(&w, "llama.attention.head_count", m->heads);
    gguf_writer_u32(&w, "llama.attention.head_count_kv", m->kv_heads);
    gguf_writer_u32(&w, "llama.rope.dimension_count", m->d / m->heads);
    gguf_writer_u32(&w, "llama.block_count", MIXED_LAYERS);
    gguf_writer_u32(&w, "llama.context_length", CONTEXT);
    gguf_writer_f32(&w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_writer_f32(&w, "llama.rope.freq_base", 10000);
    tiny_llama_tokenizer(&w, "smollm");
    add(&w, "token_embd.weight", m->embeddings, TINY_WORDS, m->d);
    if (m->head != FORMAT_F32)
        add(&w, "output.weight", m->head, TINY_WORDS, m->d);
    add_norm(&w, "output_norm.weight", m->d);
    for (size_t i = 0; i < MIXED_LAYERS; i++)
        add_layer(&w, m, i);
    gguf_writer_finish(&w, out);
    gguf_writer_release(&w);
}
