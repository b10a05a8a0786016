/* Model files of the decoder that are not what they should be: each is refused with its
 * reason, and nothing else happens. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "check.h"
#include "engine/engine.h"
#include "engine/gguf.h"
#include "tiny_llama.h"
#include "tiny_models.h"

static struct buf make(uint32_t type, uint64_t alignment, const struct gguf_edit *edit)
{
    struct tiny_llama tiny;
    struct buf file;

    buf_init(&file, 4 << 20);
    tiny_llama_init(&tiny, type, alignment, edit, &file);
    tiny_llama_release(&tiny);
    return file;
}

static enum status open_bytes(struct span bytes, const struct decoder_options *o,
                              struct engine_error *why)
{
    struct decoder *d;
    char path[64];
    enum status st;

    gguf_writer_save(bytes, path);
    memset(why, 0, sizeof(*why));
    st = decoder_open(path, o, &d, why);
    unlink(path);
    if (st == ST_OK)
        decoder_close(d);
    return st;
}

static const struct decoder_options plain = {.context_max = 0};

/* --- the whole model, one thing wrong ------------------------------------------------- */

#define K(kind_, name_, ...)                                                                   \
    {                                                                                          \
        .kind = (kind_), .name = (name_), __VA_ARGS__                                          \
    }

static const struct {
    struct gguf_edit edit;
    const char *word; /* of the reason; NULL: it opens */
} edits[] = {
    {{.kind = EDIT_NONE, .name = ""}, NULL},
    {{.kind = EDIT_DROP_KEY, .name = "llama.expert_count"}, NULL},
    {{.kind = EDIT_DROP_KEY, .name = "llama.attention.key_length"}, NULL},
    {{.kind = EDIT_DROP_KEY, .name = "llama.context_length"}, NULL},
    {{.kind = EDIT_DROP_KEY, .name = "llama.rope.scaling.type"}, NULL},
    {{.kind = EDIT_U32, .name = "llama.context_length", .number = 4000000000u},
     NULL},                                                      /* cut to our most */
    {{.kind = EDIT_DROP_TENSOR, .name = "output.weight"}, NULL}, /* then it is tied */
    /* hyper-parameters */
    {{.kind = EDIT_DROP_KEY, .name = "general.architecture"}, "architecture ''"},
    {{.kind = EDIT_TEXT, .name = "general.architecture", .text = "gemma2"},
     "architecture 'gemma2'"},
    {{.kind = EDIT_KIND, .name = "llama.embedding_length", .number = 6}, "embedding_length"},
    {{.kind = EDIT_KIND, .name = "llama.embedding_length", .number = 13}, "unknown kind"},
    {{.kind = EDIT_TWICE, .name = "llama.embedding_length"}, "twice"},
    {{.kind = EDIT_DROP_KEY, .name = "llama.embedding_length"}, "embedding_length"},
    {{.kind = EDIT_U32, .name = "llama.embedding_length", .number = 0}, "embedding_length"},
    {{.kind = EDIT_U32, .name = "llama.embedding_length", .number = 65}, "fit each other"},
    {{.kind = EDIT_U32, .name = "llama.embedding_length", .number = 96}, "shape"},
    {{.kind = EDIT_U32, .name = "llama.embedding_length", .number = 1u << 31},
     "embedding_length"},
    {{.kind = EDIT_U32, .name = "llama.feed_forward_length", .number = 0},
     "feed_forward_length"},
    {{.kind = EDIT_U32, .name = "llama.feed_forward_length", .number = 95}, "fit each other"},
    {{.kind = EDIT_U32, .name = "llama.feed_forward_length", .number = 32800},
     "feed_forward_length"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count", .number = 0}, "head_count"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count", .number = 3}, "fit each other"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count", .number = 1u << 30},
     "head_count"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count_kv", .number = 0}, "head_count_kv"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count_kv", .number = 5}, "head_count_kv"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count_kv", .number = 3},
     "fit each other"},
    {{.kind = EDIT_U32, .name = "llama.attention.head_count_kv", .number = 4}, "shape"},
    {{.kind = EDIT_U32, .name = "llama.attention.key_length", .number = 0}, "key_length"},
    {{.kind = EDIT_U32, .name = "llama.attention.key_length", .number = 257}, "key_length"},
    {{.kind = EDIT_U32, .name = "llama.attention.key_length", .number = 24}, "shape"},
    {{.kind = EDIT_U32, .name = "llama.rope.dimension_count", .number = 0}, "dimension_count"},
    {{.kind = EDIT_U32, .name = "llama.rope.dimension_count", .number = 18}, "dimension_count"},
    {{.kind = EDIT_U32, .name = "llama.rope.dimension_count", .number = 7}, "fit each other"},
    {{.kind = EDIT_U32, .name = "llama.block_count", .number = 0}, "block_count"},
    {{.kind = EDIT_U32, .name = "llama.block_count", .number = 3},
     "'blk.2.attn_q.weight' is missing"},
    {{.kind = EDIT_U32, .name = "llama.block_count", .number = 1}, "'blk.1."},
    {{.kind = EDIT_U32, .name = "llama.block_count", .number = 100000}, "block_count"},
    {{.kind = EDIT_U32, .name = "llama.context_length", .number = 0}, "context_length"},
    {{.kind = EDIT_U32, .name = "llama.expert_count", .number = 8}, "expert_used_count"},
    {{.kind = EDIT_TEXT, .name = "llama.rope.scaling.type", .text = "dynamic"}, "'dynamic'"},
    {{.kind = EDIT_FLOAT, .name = "llama.attention.layer_norm_rms_epsilon", .f = 0}, "epsilon"},
    {{.kind = EDIT_FLOAT, .name = "llama.attention.layer_norm_rms_epsilon", .f = NAN},
     "epsilon"},
    {{.kind = EDIT_FLOAT, .name = "llama.attention.layer_norm_rms_epsilon", .f = -1},
     "epsilon"},
    {{.kind = EDIT_FLOAT, .name = "llama.rope.freq_base", .f = INFINITY}, "freq_base"},
    {{.kind = EDIT_FLOAT, .name = "llama.rope.freq_base", .f = 0}, "freq_base"},
    /* tensors */
    {{.kind = EDIT_DROP_TENSOR, .name = "token_embd.weight"}, "'token_embd.weight' is missing"},
    {{.kind = EDIT_DROP_TENSOR, .name = "output_norm.weight"},
     "'output_norm.weight' is missing"},
    {{.kind = EDIT_DROP_TENSOR, .name = "blk.1.ffn_down.weight"},
     "'blk.1.ffn_down.weight' is missing"},
    {{.kind = EDIT_ADD_TENSOR, .name = "blk.0.attn_q.weight", .text = "blk.0.attn_q.bias"},
     "'blk.0.attn_q.bias'"},
    {{.kind = EDIT_NAME, .name = "blk.0.attn_q.weight", .text = "blk.0.attn_k.weight"},
     "twice"},
    {{.kind = EDIT_NAME, .name = "blk.0.attn_q.weight", .text = "bl\nk"}, "name"},
    {{.kind = EDIT_NAME, .name = "blk.0.attn_q.weight", .text = ""}, "name"},
    {{.kind = EDIT_TWICE, .name = "blk.0.attn_q.weight"}, "twice"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_q.weight", .number = 0}, "does not fit"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_q.weight", .number = 63}, "does not fit"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_q.weight", .number = 32}, "shape"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_q.weight", .number = UINT64_MAX}, "does not fit"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_q.weight", .number = 1ull << 62}, "does not fit"},
    {{.kind = EDIT_SHAPE, .name = "blk.0.attn_norm.weight", .number = 32}, "F32"},
    {{.kind = EDIT_DIMS, .name = "blk.0.attn_norm.weight", .number = 0}, "dimensions"},
    {{.kind = EDIT_DIMS, .name = "blk.0.attn_norm.weight", .number = 5}, "dimensions"},
    {{.kind = EDIT_DIMS, .name = "blk.0.attn_norm.weight", .number = UINT32_MAX}, "dimensions"},
    {{.kind = EDIT_TYPE, .name = "blk.0.attn_q.weight", .number = 15}, "Q8_K (15)"},
    {{.kind = EDIT_TYPE, .name = "blk.0.attn_q.weight", .number = 4}, "unknown (4)"},
    {{.kind = EDIT_TYPE, .name = "blk.0.attn_q.weight", .number = UINT32_MAX}, "unknown"},
    {{.kind = EDIT_TYPE, .name = "blk.0.attn_norm.weight", .number = 1}, "F32"},
    {{.kind = EDIT_OFFSET, .name = "blk.0.attn_q.weight", .number = 1}, "aligned"},
    {{.kind = EDIT_OFFSET, .name = "blk.0.attn_q.weight", .number = 0}, "overlaps"},
    {{.kind = EDIT_OFFSET, .name = "blk.0.attn_q.weight", .number = 1ull << 40},
     "does not fit"},
    {{.kind = EDIT_OFFSET, .name = "blk.0.attn_q.weight", .number = UINT64_MAX - 31},
     "does not fit"},
    {{.kind = EDIT_VALUE, .name = "output_norm.weight", .number = 0x7fc00000}, "not finite"},
    {{.kind = EDIT_VALUE, .name = "blk.1.ffn_norm.weight", .number = 0xff800000}, "not finite"},
    /* the tokenizer */
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.model", .text = "rwkv"}, "tokenizer 'rwkv'"},
    {{.kind = EDIT_DROP_KEY, .name = "tokenizer.ggml.model"}, "tokenizer ''"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.pre", .text = "viking"},
     "pre-tokenizer 'viking'"},
    {{.kind = EDIT_DROP_KEY, .name = "tokenizer.ggml.tokens"}, "tokenizer.ggml.tokens"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.tokens", .number = 70, .text = "a"}, "twice"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.tokens", .number = 107, .text = "none"},
     "merges"},
    {{.kind = EDIT_COUNT, .name = "tokenizer.ggml.tokens", .number = 1ull << 62}, "too long"},
    {{.kind = EDIT_COUNT, .name = "tokenizer.ggml.tokens", .number = UINT64_MAX}, "too long"},
    {{.kind = EDIT_KIND, .name = "tokenizer.ggml.token_type", .number = 8}, ""},
    {{.kind = EDIT_COUNT, .name = "tokenizer.ggml.token_type", .number = 1u << 24},
     "ends within an array"},
    {{.kind = EDIT_DROP_KEY, .name = "tokenizer.ggml.merges"}, "tokenizer.ggml.merges"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.merges", .number = 1, .text = "ll"},
     "entry 1"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.merges", .number = 1, .text = "q q"},
     "entry 1"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.ggml.merges", .number = 0, .text = ""}, "entry 0"},
    {{.kind = EDIT_TEXT, .name = "tokenizer.chat_template", .text = "{{ messages }}"},
     "local.chat_template"},
    {{.kind = EDIT_DROP_KEY, .name = "tokenizer.chat_template"}, "local.chat_template"},
};

static void a_model_with_one_thing_wrong_is_refused_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct buf file = make(3, 32, &edits[i].edit);
        struct engine_error why;
        enum status st = open_bytes(buf_span(&file), &plain, &why);

        if (edits[i].word == NULL && st != ST_OK)
            fail_msg("edit %zu ('%s'): %s", i, edits[i].edit.name, why.text);
        if (edits[i].word != NULL && (st != ST_INVALID || why.text[0] == '\0' ||
                                      strstr(why.text, edits[i].word) == NULL))
            fail_msg("edit %zu ('%s'): %s, '%s' does not say '%s'", i, edits[i].edit.name,
                     status_name(st), why.text, edits[i].word);
        buf_release(&file);
    }
}

static const struct {
    const char *model;
    struct gguf_edit edit;
    const char *word; /* of the reason; NULL: it opens */
} others[] = {
    /* what an architecture has */
    {"qwen2",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.1.attn_k.bias"},
     "'blk.1.attn_k.bias' is missing"},
    {"qwen2", {.kind = EDIT_SHAPE, .name = "blk.1.attn_k.bias", .number = 16}, "F32"},
    {"qwen3",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.0.attn_q_norm.weight"},
     "'blk.0.attn_q_norm.weight' is missing"},
    {"gemma3",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.7.post_ffw_norm.weight"},
     "'blk.7.post_ffw_norm.weight' is missing"},
    {"bitnet",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.1.ffn_sub_norm.weight"},
     "'blk.1.ffn_sub_norm.weight' is missing"},
    {"phi3",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.0.attn_qkv.weight"},
     "'blk.0.attn_qkv.weight' is missing"},
    {"phi3",
     {.kind = EDIT_U32, .name = "phi3.feed_forward_length", .number = 64},
     "'blk.0.ffn_up"},
    {"phi3",
     {.kind = EDIT_U32, .name = "phi3.attention.head_count_kv", .number = 1},
     "'blk.0.attn_qkv.weight' has not the shape"},
    {"llama, biases, stretched", {.kind = EDIT_DROP_TENSOR, .name = "blk.1.attn_k.bias"}, NULL},
    /* and has not */
    {"qwen3",
     {.kind = EDIT_ADD_TENSOR, .name = "blk.0.attn_q.weight", .text = "blk.0.attn_q.bias"},
     "'blk.0.attn_q.bias' is not one that the architecture 'qwen3' has"},
    {"qwen2",
     {.kind = EDIT_ADD_TENSOR, .name = "blk.0.attn_q.weight", .text = "output.bias"},
     "'output.bias'"},
    {"bitnet",
     {.kind = EDIT_ADD_TENSOR, .name = "blk.0.attn_q.weight", .text = "blk.0.attn_q.scale"},
     "'blk.0.attn_q.scale'"},
    {"smollm3",
     {.kind = EDIT_U32, .name = "smollm3.attention.sliding_window", .number = 9},
     NULL},
    /* positions */
    {"llama, biases, stretched",
     {.kind = EDIT_TEXT, .name = "llama.rope.scaling.type", .text = "dynamic"},
     "'dynamic'"},
    {"llama, biases, stretched",
     {.kind = EDIT_TEXT, .name = "llama.rope.scaling.type", .text = "yarn"},
     "original_context_length"},
    {"qwen2, YaRN",
     {.kind = EDIT_FLOAT, .name = "qwen2.rope.scaling.factor", .f = 0.5f},
     "scaling.factor"},
    {"qwen2, YaRN",
     {.kind = EDIT_DROP_KEY, .name = "qwen2.rope.scaling.factor"},
     "scaling.factor"},
    {"qwen2, YaRN", {.kind = EDIT_FLOAT, .name = "qwen2.rope.freq_base", .f = 1}, "freq_base"},
    {"llama, YaRN of its own",
     {.kind = EDIT_FLOAT, .name = "llama.rope.scaling.yarn_beta_fast", .f = NAN},
     "yarn_beta_fast"},
    {"llama, YaRN of its own",
     {.kind = EDIT_FLOAT, .name = "llama.rope.scaling.yarn_beta_slow", .f = 0},
     "yarn_beta_slow"},
    {"llama, biases, stretched",
     {.kind = EDIT_TEXT, .name = "llama.rope.scaling.type", .text = "longrope"},
     "'rope_factors_long.weight' is missing"},
    {"llama, biases, stretched",
     {.kind = EDIT_FLOAT, .name = "llama.rope.scaling.factor", .f = 0},
     "scaling.factor"},
    {"llama, factors",
     {.kind = EDIT_VALUE, .name = "rope_freqs.weight", .number = 0},
     "above 0"},
    {"llama, factors", {.kind = EDIT_SHAPE, .name = "rope_freqs.weight", .number = 8}, "F32"},
    {"phi3, long factors",
     {.kind = EDIT_DROP_TENSOR, .name = "rope_factors_short.weight"},
     "'rope_factors_short.weight' is missing"},
    {"phi3, long factors",
     {.kind = EDIT_DROP_TENSOR, .name = "rope_factors_long.weight"},
     "'rope_factors_short.weight'"},
    {"phi3, long factors",
     {.kind = EDIT_FLOAT, .name = "phi3.rope.scaling.attn_factor", .f = NAN},
     "attn_factor"},
    {"phi3, long factors",
     {.kind = EDIT_U32, .name = "phi3.rope.scaling.original_context_length", .number = 0},
     "original_context_length"},
    /* windows and heads */
    {"gemma3, other pattern",
     {.kind = EDIT_U32, .name = "gemma3.attention.sliding_window_pattern", .number = 0},
     "sliding_window_pattern"},
    {"gemma3",
     {.kind = EDIT_U32, .name = "gemma3.attention.sliding_window", .number = 0},
     NULL},
    {"gemma3",
     {.kind = EDIT_KIND, .name = "gemma3.attention.sliding_window", .number = 6},
     "sliding_window"},
    {"qwen3",
     {.kind = EDIT_U32, .name = "qwen3.attention.key_length", .number = 56},
     "fit each other"},
    {"gemma3, no window",
     {.kind = EDIT_FLOAT, .name = "gemma3.attention.scale", .f = -1},
     "attention.scale"},
    /* experts */
    {"qwen3moe", {.kind = EDIT_DROP_KEY, .name = "qwen3moe.expert_count"}, "expert_count"},
    {"qwen3moe",
     {.kind = EDIT_U32, .name = "qwen3moe.expert_count", .number = 0},
     "expert_count"},
    {"qwen3moe", {.kind = EDIT_U32, .name = "qwen3moe.expert_count", .number = 15}, "shape"},
    {"qwen3moe",
     {.kind = EDIT_U32, .name = "qwen3moe.expert_count", .number = 1u << 30},
     "expert_count"},
    {"qwen3moe",
     {.kind = EDIT_U32, .name = "qwen3moe.expert_used_count", .number = 17},
     "expert_used_count"},
    {"qwen3moe",
     {.kind = EDIT_U32, .name = "qwen3moe.expert_used_count", .number = 0},
     "expert_used_count"},
    {"qwen3moe",
     {.kind = EDIT_U32, .name = "qwen3moe.expert_feed_forward_length", .number = 33},
     "fit each other"},
    {"qwen3moe",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.1.ffn_gate_inp.weight"},
     "'blk.1.ffn_gate_inp.weight' is missing"},
    {"qwen3moe", {.kind = EDIT_DIMS, .name = "blk.1.ffn_up_exps.weight", .number = 2}, ""},
    {"qwen2moe",
     {.kind = EDIT_U32, .name = "qwen2moe.expert_shared_feed_forward_length", .number = 32},
     "shape"},
    {"qwen2moe",
     {.kind = EDIT_DROP_TENSOR, .name = "blk.0.ffn_gate_inp_shexp.weight"},
     "'blk.0.ffn_gate_inp_shexp.weight' is missing"},
    {"qwen2",
     {.kind = EDIT_TEXT, .name = "general.architecture", .text = "qwen2moe"},
     "qwen2moe.embedding_length"},
};

static void other_architectures_are_held_to_what_they_have(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        const struct tiny_model *m = tiny_models_find(others[i].model);
        struct engine_error why;
        struct buf file;
        enum status st;

        assert_non_null(m);
        buf_init(&file, 16u << 20);
        tiny_models_write(m, &others[i].edit, &file);
        st = open_bytes(buf_span(&file), &plain, &why);
        if (others[i].word == NULL && st != ST_OK)
            fail_msg("%s, edit %zu ('%s'): %s", m->name, i, others[i].edit.name, why.text);
        if (others[i].word != NULL && (st != ST_INVALID || why.text[0] == '\0' ||
                                       strstr(why.text, others[i].word) == NULL))
            fail_msg("%s, edit %zu ('%s'): %s, '%s' does not say '%s'", m->name, i,
                     others[i].edit.name, status_name(st), why.text, others[i].word);
        buf_release(&file);
    }
}

static void every_cut_is_refused(void **state)
{
    struct buf file = make(8, 32, NULL);
    struct engine_error why;
    struct arena arena;
    struct gguf g;

    (void)state;
    for (size_t n = 0; n < file.len; n += n < 12000 ? 1 : 997) {
        /* Exactly the size, so that ASan sees a read past the end. */
        char *copy = malloc(n + 1);

        assert_true(copy != NULL);
        memcpy(copy, file.ptr, n);
        copy = realloc(copy, n > 0 ? n : 1);
        arena_init(&arena, 65536, 1 << 20);
        CHECK_STATUS(ST_INVALID, gguf_read((struct span){copy, n}, &arena, &g, &why));
        arena_release(&arena);
        free(copy);
    }
    buf_release(&file);
}

/* Any byte of the head may be anything: it opens or it does not. */
static void every_flip_is_survived(void **state)
{
    static const unsigned char masks[] = {0xff, 0x80, 0x01};
    struct buf file = make(2, 32, NULL);
    struct engine_error why;
    struct arena arena;
    struct gguf g;

    (void)state;
    for (size_t i = 0; i < 12000 && i < file.len; i++) {
        for (size_t k = 0; k < sizeof(masks); k++) {
            file.ptr[i] = (char)(file.ptr[i] ^ (char)masks[k]);
            arena_init(&arena, 65536, 64 << 20);
            if (gguf_read(buf_span(&file), &arena, &g, &why) != ST_OK)
                assert_true(why.text[0] != '\0');
            arena_release(&arena);
            file.ptr[i] = (char)(file.ptr[i] ^ (char)masks[k]);
        }
    }
    buf_release(&file);
}

static void put64(char *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

static void heads_that_lie_are_refused(void **state)
{
    static const struct {
        uint32_t version;
        uint64_t tensors, keys;
        const char *word;
    } heads[] = {
        {0, 0, 0, "version 0"},
        {1, 0, 0, "version 1"},
        {4, 0, 0, "version 4"},
        {0x03000000, 0, 0, "big-endian"},
        {3, UINT64_MAX, 0, "numbers"},
        {3, 0, UINT64_MAX, "numbers"},
        {3, 65537, 0, "numbers"},
        {3, 0, 65537, "numbers"},
        {3, 1000, 0, "numbers"},
        {3, 0, 1000, "numbers"},
        {2, 1, 1, "key"},
    };
    char file[64] = "GGUF";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct engine_error why;

        memcpy(file + 4, &heads[i].version, 4);
        put64(file + 8, heads[i].tensors);
        put64(file + 16, heads[i].keys);
        CHECK_STATUS(ST_INVALID, open_bytes((struct span){file, sizeof(file)}, &plain, &why));
        if (strstr(why.text, heads[i].word) == NULL)
            fail_msg("head %zu: '%s' does not say '%s'", i, why.text, heads[i].word);
    }
}

static void alignments_are_powers_of_two(void **state)
{
    static const struct {
        uint64_t alignment;
        uint32_t said;
        enum status st;
    } cases[] = {
        {64, 64, ST_OK},          {32, 0, ST_INVALID}, {32, 3, ST_INVALID},
        {32, 131072, ST_INVALID}, {8, 8, ST_OK},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_edit edit = {
            .kind = EDIT_U32, .name = "general.alignment", .number = cases[i].said};
        /* The key is written only beside another alignment than 32. */
        struct buf file = make(0, cases[i].alignment == 32 ? 64 : cases[i].alignment, &edit);
        struct engine_error why;

        CHECK_STATUS(cases[i].st, open_bytes(buf_span(&file), &plain, &why));
        buf_release(&file);
    }
}

/* Its floats would be read from where no float may lie. */
static void floats_out_of_line_are_refused(void **state)
{
    struct buf file = make(8, 1, NULL);
    struct engine_error why;
    enum status st = open_bytes(buf_span(&file), &plain, &why);

    (void)state;
    /* Where the data begins by chance decides. */
    if (st != ST_OK)
        assert_non_null(strstr(why.text, "aligned"));
    buf_release(&file);
}

static void memory_is_bounded_before_it_is_taken(void **state)
{
    struct decoder_options o = {.memory_max_bytes = 1000};
    struct buf file = make(8, 32, NULL);
    struct engine_error why;

    (void)state;
    CHECK_STATUS(ST_LIMIT, open_bytes(buf_span(&file), &o, &why));
    o.memory_max_bytes = file.len + 1000; /* the weights, but not the cache */
    CHECK_STATUS(ST_LIMIT, open_bytes(buf_span(&file), &o, &why));
    o.memory_max_bytes = 16 << 20;
    CHECK_STATUS(ST_OK, open_bytes(buf_span(&file), &o, &why));
    buf_release(&file);
}

/* The least budget that a model opens with, to 1 KiB. */
static size_t least(struct span file, const struct decoder_options *like)
{
    struct decoder_options o = *like;
    struct engine_error why;
    size_t low = 0, high = 64u << 20;

    while (high - low > 1024) {
        o.memory_max_bytes = low + (high - low) / 2;
        if (open_bytes(file, &o, &why) == ST_OK)
            high = (size_t)o.memory_max_bytes;
        else
            low = (size_t)o.memory_max_bytes;
    }
    return high;
}

/* A budget is for all that a worker has at once: more answers, and a longer context, take
 * ids, and text that is not yet tokens. */
static void tokens_and_texts_count_as_memory(void **state)
{
    struct decoder_options one = {.context_max = 40, .sequences = 1}, many = one, longer = one;
    struct buf file = make(8, 32, NULL);
    struct span bytes = buf_span(&file);
    size_t vocabulary = TINY_WORDS * sizeof(float);

    (void)state;
    many.sequences = 4;
    longer.context_max = 80;
    assert_true(least(bytes, &many) + 1024 >=
                least(bytes, &one) + 3 * (2 * 40 * sizeof(uint32_t) + vocabulary));
    assert_true(least(bytes, &longer) >= least(bytes, &one) + 40 * sizeof(uint32_t));
    buf_release(&file);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
    struct engine_error why;
    struct decoder *d;
    char path[64];

    (void)state;
    CHECK_STATUS(ST_NOTFOUND, decoder_open("/nowhere/model.gguf", &plain, &d, &why));
    CHECK_STATUS(ST_INVALID, decoder_open("/tmp", &plain, &d, &why));
    CHECK_STATUS(ST_INVALID, decoder_open("/dev/null", &plain, &d, &why));
    gguf_writer_save(SPAN(""), path);
    CHECK_STATUS(ST_INVALID, decoder_open(path, &plain, &d, &why));
    unlink(path);
    assert_int_equal(0, mkfifo(path, 0600));
    CHECK_STATUS(ST_INVALID, decoder_open(path, &plain, &d, &why));
    unlink(path);
}

/* A million keys must not take a second each: sorted, not compared pairwise. */
static void many_keys_are_quick(void **state)
{
    struct gguf_writer w;
    struct engine_error why;
    struct arena arena;
    struct gguf g;
    struct buf file;
    char key[32];

    (void)state;
    gguf_writer_init(&w, NULL);
    for (unsigned i = 0; i < 65000; i++) {
        snprintf(key, sizeof(key), "key.%u", i);
        gguf_writer_u32(&w, key, i);
    }
    buf_init(&file, 16 << 20);
    gguf_writer_finish(&w, &file);
    arena_init(&arena, 1 << 20, 64 << 20);
    CHECK_STATUS(ST_OK, gguf_read(buf_span(&file), &arena, &g, &why));
    assert_non_null(gguf_find(&g, "key.64999"));
    assert_null(gguf_find(&g, "key.65000"));
    arena_release(&arena);
    buf_release(&file);
    gguf_writer_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_with_one_thing_wrong_is_refused_with_its_reason),
        cmocka_unit_test(other_architectures_are_held_to_what_they_have),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flip_is_survived),
        cmocka_unit_test(heads_that_lie_are_refused),
        cmocka_unit_test(alignments_are_powers_of_two),
        cmocka_unit_test(floats_out_of_line_are_refused),
        cmocka_unit_test(memory_is_bounded_before_it_is_taken),
        cmocka_unit_test(tokens_and_texts_count_as_memory),
        cmocka_unit_test(what_is_no_file_is_refused_at_once),
        cmocka_unit_test(many_keys_are_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
