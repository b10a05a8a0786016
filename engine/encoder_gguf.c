#include "engine/encoder_gguf.h"

#include <math.h>
#include <stdio.h>

#include "engine/encoder_config.h"
#include "engine/error.h"
#include "engine/gguf.h"

#define NAME_BYTES 96

/* What the key PREFIX.key is called, for look-ups and messages. */
struct key {
    char text[NAME_BYTES];
};

static struct key key_of(const struct encoder_shape *s, const char *name)
{
    struct key k;

    snprintf(k.text, sizeof(k.text), "%s.%s", s->architecture->name, name);
    return k;
}

static enum status read_sizes(const struct gguf *g, struct encoder_shape *s,
                              struct engine_error *err)
{
    const struct gguf_pair *words = gguf_find(g, "tokenizer.ggml.tokens");
    const struct {
        const char *name;
        size_t most, *out;
    } sizes[] = {
        {"embedding_length", ENCODER_WIDTH_MAX, &s->d},
        {"feed_forward_length", ENCODER_FEED_MAX, &s->ffn},
        {"attention.head_count", ENCODER_HEADS_MAX, &s->heads},
        {"block_count", ENCODER_LAYERS_MAX, &s->layers},
        {"context_length", ENCODER_POSITIONS_MAX, &s->positions},
    };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct key k = key_of(s, sizes[i].name);
        uint64_t n = 0;

        if (!gguf_u64(g, k.text, &n) || n == 0 || n > sizes[i].most)
            return error_set(err, ST_INVALID, "%s is missing or not in 1..%zu", k.text,
                             sizes[i].most);
        *sizes[i].out = (size_t)n;
    }
    if (words == NULL || words->kind != GGUF_ARRAY || words->count == 0 ||
        words->count > ENCODER_WORDS_MAX)
        return error_set(err, ST_INVALID, "tokenizer.ggml.tokens is missing or not usable");
    s->words = (size_t)words->count;
    return ST_OK;
}

/* Numbers that have to be in the file, above `least` and below `most`. */
static enum status read_real(const struct gguf *g, struct encoder_shape *s, const char *name,
                             float least, float most, float *out, struct engine_error *err)
{
    struct key k = key_of(s, name);

    if (gguf_f32(g, k.text, out) && *out > least && *out < most)
        return ST_OK;
    return error_set(err, ST_INVALID, "%s is missing or not between %g and %g", k.text,
                     (double)least, (double)most);
}

static enum status read_types(const struct gguf *g, struct encoder_shape *s,
                              struct engine_error *err)
{
    uint64_t types = 1;

    if (gguf_tensor_find(g, "token_types.weight") == NULL)
        return ST_OK;
    if (gguf_find(g, "tokenizer.ggml.token_type_count") != NULL &&
        (!gguf_u64(g, "tokenizer.ggml.token_type_count", &types) || types == 0 ||
         types > ENCODER_TYPES_MAX))
        return error_set(err, ST_INVALID, "tokenizer.ggml.token_type_count is not in 1..%d",
                         ENCODER_TYPES_MAX);
    s->types = (size_t)types;
    return ST_OK;
}

static enum status read_pooling(const struct gguf *g, struct encoder_shape *s,
                                struct engine_error *err)
{
    struct key pooling = key_of(s, "pooling_type"), causal = key_of(s, "attention.causal");
    uint64_t kind = 0;
    bool ahead = false;

    if (gguf_find(g, causal.text) != NULL && (!gguf_bool(g, causal.text, &ahead) || ahead))
        return error_set(err, ST_INVALID, "%s: only false is supported", causal.text);
    s->pooling = ENCODER_POOLING_AUTO;
    if (gguf_find(g, pooling.text) == NULL)
        return ST_OK;
    if (!gguf_u64(g, pooling.text, &kind) || kind > 2)
        return error_set(err, ST_INVALID,
                         "%s: only 1 (the mean of the tokens) and 2 (the first) are supported",
                         pooling.text);
    if (kind > 0)
        s->pooling = kind == 1 ? ENCODER_POOLING_MEAN : ENCODER_POOLING_CLS;
    return ST_OK;
}

enum status encoder_gguf_shape(const struct gguf *g, struct encoder_shape *out,
                               struct engine_error *err)
{
    struct span name = gguf_string(g, "general.architecture");
    struct encoder_shape s = {.architecture = encoder_architecture_find(name)};
    enum status st;

    if (s.architecture == NULL || s.architecture->names[ENCODER_GGUF].words == NULL)
        return error_set(
            err, ST_INVALID,
            "architecture '%.*s' is not supported for an encoder in GGUF; supported: bert, "
            "nomic-bert",
            (int)(name.len < 40 ? name.len : 40), name.ptr != NULL ? name.ptr : "");
    st = read_sizes(g, &s, err);
    if (st == ST_OK)
        st = read_real(g, &s, "attention.layer_norm_epsilon", 0, 1, &s.eps, err);
    if (st == ST_OK && s.architecture->rotary)
        st = read_real(g, &s, "rope.freq_base", 1, 1e9f, &s.base, err);
    if (st == ST_OK)
        st = read_types(g, &s, err);
    if (st == ST_OK)
        st = read_pooling(g, &s, err);
    if (st == ST_OK)
        st = encoder_config_check(&s, err);
    if (st == ST_OK)
        *out = s;
    return st;
}
