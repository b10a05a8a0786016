#include "engine/decoder_architecture.h"

#include "base/compiler.h"

static const struct decoder_architecture architectures[] = {
    /* Touvron et al. 2023, and what followed: Llama 3, Mistral, SmolLM, SmolLM2, TinyLlama,
     * and Mixtral (Jiang et al. 2024). */
    {.name = "llama",
     .optional = LAYER_QKV_BIAS | LAYER_OUT_BIAS | LAYER_EXPERTS,
     .pairs = ROPE_NEIGHBOURS,
     .renormalizes_experts = true},
    /* Bakouch et al. 2025: as Llama 3, each fourth layer without positions. */
    {.name = "smollm3", .pairs = ROPE_NEIGHBOURS, .unturned_every = 4},
    /* Yang et al. 2024 */
    {.name = "qwen2", .required = LAYER_QKV_BIAS, .pairs = ROPE_HALVES},
    {.name = "qwen2moe",
     .required = LAYER_QKV_BIAS | LAYER_EXPERTS | LAYER_SHARED_EXPERT,
     .pairs = ROPE_HALVES},
    /* Yang et al. 2025 */
    {.name = "qwen3", .required = LAYER_HEAD_NORMS, .pairs = ROPE_HALVES},
    {.name = "qwen3moe",
     .required = LAYER_HEAD_NORMS | LAYER_EXPERTS,
     .pairs = ROPE_HALVES,
     .renormalizes_experts = true},
    /* Gemma Team 2025. The model of 62 layers is the one of 27 billion parameters. */
    {.name = "gemma3",
     .required = LAYER_HEAD_NORMS | LAYER_POST_NORMS,
     .pairs = ROPE_HALVES,
     .gate = GATE_GELU,
     .scales_embeddings = true,
     .window_every = 6,
     .wide_scores_layers = 62},
    /* Abdin et al. 2024. Files carry windows that the models were not trained with, so that
     * llama.cpp sees the whole context too. */
    {.name = "phi3", .required = LAYER_FUSED, .pairs = ROPE_HALVES, .ignores_window = true},
    /* Ma et al. 2025: weights of -1, 0 and 1 times a scale. */
    {.name = "bitnet", .required = LAYER_SUB_NORMS, .pairs = ROPE_HALVES, .gate = GATE_RELU2},
};

const struct decoder_architecture *decoder_architecture_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(architectures); i++) {
        if (span_eq(name, span_of(architectures[i].name)))
            return &architectures[i];
    }
    return NULL;
}

const char *decoder_architecture_known(void)
{
    return "llama, smollm3, qwen2, qwen2moe, qwen3, qwen3moe, gemma3, phi3, bitnet";
}
