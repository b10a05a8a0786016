/* A file says little that can be trusted: each size is checked before it divides or
 * multiplies, and a key that changes the sums in a way that we do not know is refused:
 * answers without it would be wrong without a word. */
#include "engine/decoder_shape.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/compiler.h"
#include "engine/error.h"

#define LAYERS_MAX      256
#define WIDTH_MAX       16384
#define FEED_MAX        QUANT_COLS_MAX
#define HEADS_MAX       1024
#define HEAD_WIDTH_MAX  256
#define HEAD_WIDTH_UNIT 16 /* norms of a head go so many values at a time */
#define EXPERTS_MAX     1024
#define CONTEXT_DEFAULT 2048
#define CONTEXT_MAX     131072
#define NAME_BYTES      96
#define WINDOW_BASE     10000 /* of layers that see a window, unless the file says another */

struct reader {
    const struct gguf *g;
    const struct decoder_architecture *arch;
    struct engine_error *err;
};

/* --- keys ----------------------------------------------------------------------------- */

static const char *full(const struct reader *r, const char *key, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s.%s", r->arch->name, key);
    return out;
}

static bool has(const struct reader *r, const char *key)
{
    char name[NAME_BYTES];

    return gguf_find(r->g, full(r, key, name)) != NULL;
}

static struct span text_of(const struct reader *r, const char *key)
{
    char name[NAME_BYTES];

    return gguf_string(r->g, full(r, key, name));
}

/* true when it is absent, *out as before, or in least..most. */
static bool read_count(const struct reader *r, const char *key, uint64_t least, uint64_t most,
                       size_t *out)
{
    char name[NAME_BYTES];
    uint64_t n;

    if (!has(r, key))
        return true;
    if (!gguf_u64(r->g, full(r, key, name), &n) || n < least || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

/* true when it is absent, or above zero and finite. */
static bool read_positive(const struct reader *r, const char *key, float *out)
{
    char name[NAME_BYTES];

    if (!has(r, key))
        return true;
    return gguf_f32(r->g, full(r, key, name), out) && isfinite(*out) && *out > 0;
}

static bool read_number(const struct reader *r, const char *key, float *out)
{
    char name[NAME_BYTES];

    return gguf_f32(r->g, full(r, key, name), out);
}

static enum status refuse(const struct reader *r, const char *key)
{
    return error_set(r->err, ST_INVALID, "%s.%s is missing or out of range", r->arch->name,
                     key);
}

/* --- what we do not compute ------------------------------------------------------------- */

static enum status check_unknown(const struct reader *r)
{
    static const char *const keys[] = {
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "attention.clamp_kqv",
        "attention.max_alibi_bias",
        "logit_scale",
        "residual_scale",
        "embedding_scale",
        "expert_group_count",
        "leading_dense_block_count",
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char name[NAME_BYTES];
        uint64_t n = 0;
        float f = 0;

        (void)full(r, keys[i], name);
        if (has(r, keys[i]) && !(gguf_u64(r->g, name, &n) && n == 0) &&
            !(gguf_f32(r->g, name, &f) && f == 0))
            return error_set(r->err, ST_INVALID, "'%s' is not supported", name);
    }
    return ST_OK;
}

/* --- sizes ---------------------------------------------------------------------------- */

static enum status read_sizes(const struct reader *r, struct decoder_shape *s)
{
    size_t context = CONTEXT_DEFAULT;
    const struct {
        const char *key;
        size_t most, *to;
    } list[] = {
        {"embedding_length", WIDTH_MAX, &s->d},
        {"feed_forward_length", FEED_MAX, &s->ffn},
        {"attention.head_count", HEADS_MAX, &s->heads},
        {"block_count", LAYERS_MAX, &s->layers},
        {"context_length", UINT32_MAX, &context},
    };

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        if (!read_count(r, list[i].key, 1, list[i].most, list[i].to) || *list[i].to == 0)
            return refuse(r, list[i].key);
    }
    s->context = context < CONTEXT_MAX ? (uint32_t)context : CONTEXT_MAX;
    s->eps = 1e-5f;
    if (!read_positive(r, "attention.layer_norm_rms_epsilon", &s->eps))
        return refuse(r, "attention.layer_norm_rms_epsilon");
    return ST_OK;
}

/* Those that follow from others when the file does not say them. */
static enum status read_heads(const struct reader *r, struct decoder_shape *s)
{
    size_t most = HEAD_WIDTH_MAX, share;
    float scale, root;

    assert(s->heads > 0); /* read_sizes() has seen to it */
    share = s->d / s->heads;
    s->kv_heads = s->heads;
    s->width = share;
    if (!read_count(r, "attention.head_count_kv", 1, s->heads, &s->kv_heads))
        return refuse(r, "attention.head_count_kv");
    if (!read_count(r, "attention.key_length", 1, most, &s->width) || s->width == 0 ||
        s->width > most)
        return refuse(r, "attention.key_length");
    s->q = s->heads * s->width;
    s->kv = s->kv_heads * s->width;
    root = sqrtf((float)s->width);
    scale = s->layers == r->arch->wide_scores_layers ? 1.0f / sqrtf((float)share) : 1.0f / root;
    if (!read_positive(r, "attention.scale", &scale))
        return refuse(r, "attention.scale");
    s->query_scale = scale == 1.0f / root ? 1 : scale * root;
    return ST_OK;
}

/* --- experts ---------------------------------------------------------------------------- */

/* How wide they are: the file says it, or, of Qwen's, all that a token uses are as wide as
 * the model's feed_forward_length. */
static enum status read_expert_widths(const struct reader *r, struct decoder_shape *s)
{
    bool divided = (r->arch->required & LAYER_EXPERTS) != 0;

    s->expert_ffn = divided ? s->ffn / s->experts_used : s->ffn;
    if (!read_count(r, "expert_feed_forward_length", 1, FEED_MAX, &s->expert_ffn) ||
        s->expert_ffn == 0)
        return refuse(r, "expert_feed_forward_length");
    if ((r->arch->required & LAYER_SHARED_EXPERT) == 0)
        return ST_OK;
    s->shared_ffn = s->ffn;
    if (!read_count(r, "expert_shared_feed_forward_length", 1, FEED_MAX, &s->shared_ffn))
        return refuse(r, "expert_shared_feed_forward_length");
    return ST_OK;
}

static enum status read_experts(const struct reader *r, struct decoder_shape *s)
{
    bool required = (r->arch->required & LAYER_EXPERTS) != 0;
    bool known = required || (r->arch->optional & LAYER_EXPERTS) != 0;
    float scale = 1;

    if (!read_count(r, "expert_count", required, known ? EXPERTS_MAX : 0, &s->experts) ||
        (required && s->experts == 0))
        return refuse(r, "expert_count");
    if (s->experts == 0)
        return ST_OK;
    if (!read_count(r, "expert_used_count", 1, s->experts, &s->experts_used) ||
        s->experts_used == 0)
        return refuse(r, "expert_used_count");
    /* Files that have no scale say so by zero. */
    if (has(r, "expert_weights_scale") &&
        (!read_number(r, "expert_weights_scale", &scale) || (scale != 0 && scale != 1)))
        return refuse(r, "expert_weights_scale");
    return read_expert_widths(r, s);
}

/* --- windows and positions -------------------------------------------------------------- */

static enum status read_window(const struct reader *r, struct decoder_shape *s)
{
    size_t window = 0, every = r->arch->window_every;

    if (!read_count(r, "attention.sliding_window", 0, UINT32_MAX, &window) ||
        (every == 0 && window > 0 && !r->arch->ignores_window))
        return refuse(r, "attention.sliding_window");
    if (every == 0)
        return ST_OK;
    if (!read_count(r, "attention.sliding_window_pattern", 1, LAYERS_MAX, &every))
        return refuse(r, "attention.sliding_window_pattern");
    s->window = (uint32_t)window;
    s->window_every = (uint32_t)every;
    return ST_OK;
}

/* Keys with which other architectures bend it further are refused, unless they say nothing. */
static enum status read_yarn(const struct reader *r, struct decoder_shape *s)
{
    static const struct {
        const char *key;
        float only;
    } fixed[] = {
        {"rope.scaling.yarn_ext_factor", 1},
        {"rope.scaling.yarn_attn_factor", 1},
        {"rope.scaling.yarn_log_multiplier", 0},
    };
    struct rope_scheme *far = &s->ropes[DECODER_FAR];

    far->yarn = (struct rope_yarn){.fast = 32, .slow = 1};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        float f = fixed[i].only;

        if (has(r, fixed[i].key) && (!read_number(r, fixed[i].key, &f) || f != fixed[i].only))
            return refuse(r, fixed[i].key);
    }
    if (!has(r, "rope.scaling.original_context_length"))
        return refuse(r, "rope.scaling.original_context_length");
    if (!has(r, "rope.scaling.factor") || far->stretch < 1)
        return refuse(r, "rope.scaling.factor");
    if (far->base <= 1)
        return refuse(r, "rope.freq_base");
    if (!read_positive(r, "rope.scaling.yarn_beta_fast", &far->yarn.fast))
        return refuse(r, "rope.scaling.yarn_beta_fast");
    if (!read_positive(r, "rope.scaling.yarn_beta_slow", &far->yarn.slow))
        return refuse(r, "rope.scaling.yarn_beta_slow");
    far->yarn.original = (float)s->rope_original;
    return ST_OK;
}

static enum status read_scaling(const struct reader *r, struct decoder_shape *s)
{
    struct rope_scheme *far = &s->ropes[DECODER_FAR];
    struct span type = text_of(r, "rope.scaling.type");
    bool linear = span_eq(type, SPAN("linear")), yarn = span_eq(type, SPAN("yarn"));

    s->rope_long = span_eq(type, SPAN("longrope"));
    if (type.len > 0 && !linear && !yarn && !s->rope_long && !span_eq(type, SPAN("none")))
        return error_set(
            r->err, ST_INVALID,
            "rope scaling '%.*s' is not supported; supported: none, linear, yarn, longrope",
            (int)(type.len < 40 ? type.len : 40), type.ptr);
    if ((linear || yarn) && !read_positive(r, "rope.scaling.factor", &far->stretch))
        return refuse(r, "rope.scaling.factor");
    if (!has(r, "rope.scaling.type") && !read_positive(r, "rope.scale_linear", &far->stretch))
        return refuse(r, "rope.scale_linear");
    if (!read_positive(r, "rope.scaling.attn_factor", &far->magnitude))
        return refuse(r, "rope.scaling.attn_factor");
    return yarn ? read_yarn(r, s) : ST_OK;
}

static enum status read_rope(const struct reader *r, struct decoder_shape *s)
{
    struct rope_scheme *far = &s->ropes[DECODER_FAR], *near = &s->ropes[DECODER_NEAR];
    size_t original = s->context;

    *far = (struct rope_scheme){.pairs = r->arch->pairs,
                                .dimensions = s->width,
                                .base = 10000,
                                .stretch = 1,
                                .magnitude = 1};
    if (!read_count(r, "rope.dimension_count", 1, s->width, &far->dimensions))
        return refuse(r, "rope.dimension_count");
    if (!read_count(r, "rope.scaling.original_context_length", 1, UINT32_MAX, &original))
        return refuse(r, "rope.scaling.original_context_length");
    s->rope_original = (uint32_t)original;
    *near = *far;
    near->base = WINDOW_BASE;
    if (!read_positive(r, "rope.freq_base", &far->base))
        return refuse(r, "rope.freq_base");
    if (!read_positive(r, "rope.freq_base_swa", &near->base))
        return refuse(r, "rope.freq_base_swa");
    return read_scaling(r, s);
}

static bool is_whole(size_t n)
{
    return n % QUANT_BLOCK == 0;
}

static bool fit(const struct decoder_shape *s)
{
    bool heads = (s->arch->required & LAYER_HEAD_NORMS) == 0 || s->width % HEAD_WIDTH_UNIT == 0;

    return s->heads % s->kv_heads == 0 && s->ropes[DECODER_FAR].dimensions % 2 == 0 &&
           s->q <= FEED_MAX && is_whole(s->d) && is_whole(s->ffn) && is_whole(s->q) &&
           is_whole(s->expert_ffn) && is_whole(s->shared_ffn) && heads;
}

enum status decoder_shape_read(const struct gguf *g, struct decoder_shape *out,
                               struct engine_error *err)
{
    struct span name = gguf_string(g, "general.architecture");
    struct reader r = {.g = g, .arch = decoder_architecture_find(name), .err = err};
    struct decoder_shape s = {.arch = r.arch};
    enum status st;

    if (r.arch == NULL)
        return error_set(err, ST_INVALID, "architecture '%.*s' is not supported; supported: %s",
                         (int)(name.len < 40 ? name.len : 40), name.ptr != NULL ? name.ptr : "",
                         decoder_architecture_known());
    st = check_unknown(&r);
    if (st == ST_OK)
        st = read_sizes(&r, &s);
    if (st == ST_OK)
        st = read_heads(&r, &s);
    if (st == ST_OK)
        st = read_experts(&r, &s);
    if (st == ST_OK)
        st = read_window(&r, &s);
    if (st == ST_OK)
        st = read_rope(&r, &s);
    if (st != ST_OK)
        return st;
    s.embedding_scale = r.arch->scales_embeddings ? sqrtf((float)s.d) : 1;
    if (!fit(&s))
        return error_set(err, ST_INVALID, "the sizes of the model do not fit each other");
    *out = s;
    return ST_OK;
}
