#include "engine/encoder_architecture.h"

#include "base/compiler.h"

/* clang-format off */
static const struct encoder_architecture list[] = {
    {"bert", .biases = true,
     .names = {
        [ENCODER_SAFETENSORS] = {
            "embeddings.word_embeddings", "embeddings.position_embeddings",
            "embeddings.token_type_embeddings", "embeddings.LayerNorm", "encoder.layer.",
            "attention.self.query", "attention.self.key", "attention.self.value",
            "attention.output.dense", "intermediate.dense", NULL, "output.dense",
            "attention.output.LayerNorm", "output.LayerNorm"},
        [ENCODER_GGUF] = {
            "token_embd", "position_embd", "token_types", "token_embd_norm", "blk.",
            "attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", NULL, "ffn_down",
            "attn_output_norm", "layer_output_norm"}}},
    {"nomic-bert", .rotary = true, .gated = true,
     .names = {
        [ENCODER_SAFETENSORS] = {
            "embeddings.word_embeddings", NULL, "embeddings.token_type_embeddings", "emb_ln",
            "encoder.layers.", "attn.Wqkv", NULL, NULL, "attn.out_proj", "mlp.fc11",
            "mlp.fc12", "mlp.fc2", "norm1", "norm2"},
        [ENCODER_GGUF] = {
            "token_embd", NULL, "token_types", "token_embd_norm", "blk.", "attn_qkv", NULL,
            NULL, "attn_output", "ffn_up", "ffn_gate", "ffn_down", "attn_output_norm",
            "layer_output_norm"}}},
    {"static", .bare = true,
     .names = {[ENCODER_SAFETENSORS] = {.words = "embeddings"}}},
};
/* clang-format on */

const struct encoder_architecture *encoder_architecture_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        if (span_eq(name, span_of(list[i].name)))
            return &list[i];
    }
    return NULL;
}

const char *encoder_architecture_list(void)
{
    return "bert, xlm-roberta, nomic-bert, static (model2vec)";
}
