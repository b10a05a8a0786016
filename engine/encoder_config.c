#include "engine/encoder_config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/error.h"
#include "engine/file.h"

#define PATH_BYTES    2048
#define JSON_MAX      (1024 * 1024)
#define JSON_DEPTH    32
#define HEAD_MULTIPLE 16 /* a vector of the kernels */
#define HEAD_MAX      128

/* How transformers' config.json names things, by architecture. */
struct dialect {
    const char *model_type, *class_name, *architecture;
    const char *width, *feed, *heads, *layers, *positions, *eps;
    const char *activation, *activation_name;
};

/* clang-format off */
static const struct dialect dialects[] = {
    {"bert", "BertModel", "bert", "hidden_size", "intermediate_size", "num_attention_heads",
     "num_hidden_layers", "max_position_embeddings", "layer_norm_eps", "hidden_act", "gelu"},
    {"xlm-roberta", "XLMRobertaModel", "bert", "hidden_size", "intermediate_size",
     "num_attention_heads", "num_hidden_layers", "max_position_embeddings", "layer_norm_eps",
     "hidden_act", "gelu"},
    {"nomic_bert", "NomicBertModel", "nomic-bert", "n_embd", "n_inner", "n_head", "n_layer",
     "n_positions", "layer_norm_epsilon", "activation_function", "swiglu"},
    {"model2vec", "StaticModel", "static", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

static enum status refuse(struct engine_error *err, const char *what, struct span is,
                          const char *must)
{
    return error_set(err, ST_INVALID, "config.json: %s '%.*s' is not supported; supported: %s",
                     what, (int)(is.len < 40 ? is.len : 40), is.ptr != NULL ? is.ptr : "",
                     must);
}

static bool is_none(const struct json *v)
{
    return v == NULL || v->type == JSON_NULL;
}

/* --- kinds --------------------------------------------------------------------------- */

/* An absent member is what `must` says. */
static enum status must_say(const struct json *root, const char *name, const char *must,
                            struct engine_error *err)
{
    const struct json *v = json_get(root, span_of(name));

    if (is_none(v) || span_eq(json_str(v), span_of(must)))
        return ST_OK;
    return refuse(err, name, json_str(v), must);
}

/* An absent member is false. */
static enum status must_not(const struct json *root, const char *const *names, size_t n,
                            struct engine_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct json *v = json_get(root, span_of(names[i]));

        if (!is_none(v) && v->type != JSON_FALSE)
            return error_set(err, ST_INVALID, "config.json: %s is not supported", names[i]);
    }
    return ST_OK;
}

/* What Nomic's code can do beside its embedding models. */
static enum status check_nomic(const struct json *root, struct encoder_shape *s,
                               struct engine_error *err)
{
    static const char *const off[] = {
        "qkv_proj_bias", "mlp_fc1_bias",           "mlp_fc2_bias",
        "prenorm",       "parallel_block",         "use_rms_norm",
        "causal",        "rotary_emb_interleaved", "rotary_emb_scale_base",
        "num_experts",   "moe_every_n_layers",
    };
    double base = 10000, part = 1;

    if (!is_none(json_get(root, SPAN("rotary_emb_base"))) &&
        (!json_double(json_get(root, SPAN("rotary_emb_base")), &base) || !(base > 1) ||
         !(base < 1e9)))
        return error_set(err, ST_INVALID,
                         "config.json: rotary_emb_base must be above 1 and below 1e9");
    if (!json_double(json_get(root, SPAN("rotary_emb_fraction")), &part) || part != 1)
        return error_set(err, ST_INVALID, "config.json: rotary_emb_fraction must be 1");
    s->base = (float)base;
    return must_not(root, off, ARRAY_LEN(off), err);
}

static enum status find_dialect(const struct json *root, const struct dialect **out,
                                struct engine_error *err)
{
    const struct json *list = json_get(root, SPAN("architectures"));
    struct span type = json_str(json_get(root, SPAN("model_type"))), is;

    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        const struct dialect *d = &dialects[i];

        if (!span_eq(type, span_of(d->model_type)))
            continue;
        *out = d;
        if (is_none(list))
            return ST_OK;
        is = list->type == JSON_ARRAY ? json_str(list->child) : json_str(list);
        if (list->count > 1 || !span_eq(is, span_of(d->class_name)))
            return refuse(err, "architecture", is, d->class_name);
        return ST_OK;
    }
    return refuse(err, "model_type", type, encoder_architecture_list());
}

/* --- sizes --------------------------------------------------------------------------- */

static bool count_of(const struct json *root, const char *name, size_t most, size_t *out)
{
    uint64_t n;

    if (!json_u64(json_get(root, span_of(name)), &n) || n == 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static enum status read_sizes(const struct json *root, const struct dialect *d,
                              struct encoder_shape *s, struct engine_error *err)
{
    const struct {
        const char *name;
        size_t most, *out;
    } sizes[] = {
        {d->width, ENCODER_WIDTH_MAX, &s->d},
        {d->feed, ENCODER_FEED_MAX, &s->ffn},
        {d->heads, ENCODER_HEADS_MAX, &s->heads},
        {d->layers, ENCODER_LAYERS_MAX, &s->layers},
        {d->positions, ENCODER_POSITIONS_MAX, &s->positions},
        {"vocab_size", ENCODER_WORDS_MAX, &s->words},
        {"type_vocab_size", ENCODER_TYPES_MAX, &s->types},
    };
    const struct json *eps = json_get(root, span_of(d->eps));
    double value = 1e-12;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (!count_of(root, sizes[i].name, sizes[i].most, sizes[i].out))
            return error_set(err, ST_INVALID, "config.json: %s is missing or not in 1..%zu",
                             sizes[i].name, sizes[i].most);
    }
    if (eps != NULL && (!json_double(eps, &value) || !(value > 0) || !(value < 1)))
        return error_set(err, ST_INVALID, "config.json: %s must be above 0 and below 1",
                         d->eps);
    s->eps = (float)value;
    return ST_OK;
}

/* RoBERTa's positions begin behind that of padding. */
static enum status read_first(const struct json *root, struct encoder_shape *s,
                              struct engine_error *err)
{
    uint64_t pad;

    if (!json_u64(json_get(root, SPAN("pad_token_id")), &pad) || pad + 1 >= s->positions)
        return error_set(err, ST_INVALID,
                         "config.json: pad_token_id is missing or not below "
                         "max_position_embeddings");
    s->first = (size_t)pad + 1;
    return ST_OK;
}

enum status encoder_config_check(const struct encoder_shape *s, struct engine_error *err)
{
    if (s->d % DENSE_COLS != 0 || s->ffn % DENSE_COLS != 0)
        return error_set(err, ST_INVALID,
                         "the encoder's widths, %zu and %zu, must be multiples of %d", s->d,
                         s->ffn, DENSE_COLS);
    if (s->d % s->heads != 0 || s->d / s->heads % HEAD_MULTIPLE != 0 ||
        s->d / s->heads > HEAD_MAX)
        return error_set(err, ST_INVALID,
                         "a head of the encoder must be a multiple of %d wide, %d at most",
                         HEAD_MULTIPLE, HEAD_MAX);
    return ST_OK;
}

static enum status read_root(const struct json *root, struct encoder_shape *s,
                             struct engine_error *err)
{
    const struct dialect *d = NULL;
    enum status st = find_dialect(root, &d, err);

    if (st != ST_OK)
        return st;
    s->architecture = encoder_architecture_find(span_of(d->architecture));
    if (s->architecture->bare) /* its table says the rest */
        return ST_OK;
    st = must_say(root, d->activation, d->activation_name, err);
    if (st == ST_OK)
        st = must_say(root, "position_embedding_type", "absolute", err);
    if (st == ST_OK)
        st = read_sizes(root, d, s, err);
    if (st == ST_OK && strcmp(d->model_type, "xlm-roberta") == 0)
        st = read_first(root, s, err);
    if (st == ST_OK && s->architecture->rotary)
        st = check_nomic(root, s, err);
    return st == ST_OK ? encoder_config_check(s, err) : st;
}

enum status encoder_config_parse(struct span json, struct encoder_shape *out,
                                 struct engine_error *err)
{
    struct encoder_shape s = {.pooling = ENCODER_POOLING_AUTO};
    struct json_error why;
    struct json *root;
    struct arena arena;
    enum status st;

    arena_init(&arena, 16384, 8 * JSON_MAX);
    if (json_parse(&arena, json, JSON_DEPTH, &root, &why) != ST_OK)
        st =
            error_set(err, ST_INVALID, "config.json: %s (near byte %zu)", why.text, why.offset);
    else
        st = read_root(root, &s, err);
    arena_release(&arena);
    if (st == ST_OK)
        *out = s;
    return st;
}

/* --- beside it ----------------------------------------------------------------------- */

/* sentence-transformers says beside the model how tokens become one vector. */
static enum status read_pooling(const struct json *root, struct encoder_shape *s,
                                struct engine_error *err)
{
    struct span mode = json_str(json_get(root, SPAN("pooling_mode")));
    bool mean = span_eq(mode, SPAN("mean")), cls = span_eq(mode, SPAN("cls"));
    unsigned others = mode.ptr != NULL && !mean && !cls;

    for (const struct json *v = root->child; v != NULL; v = v->next) {
        if (v->type != JSON_TRUE)
            continue;
        mean |= span_eq(v->key, SPAN("pooling_mode_mean_tokens"));
        cls |= span_eq(v->key, SPAN("pooling_mode_cls_token"));
        others += v->key.len > 12 && memcmp(v->key.ptr, "pooling_mode", 12) == 0 &&
                  !span_eq(v->key, SPAN("pooling_mode_mean_tokens")) &&
                  !span_eq(v->key, SPAN("pooling_mode_cls_token"));
    }
    if (mean == cls || others > 0)
        return error_set(err, ST_INVALID,
                         "1_Pooling/config.json: only the mean of the tokens or the first of "
                         "them (cls) is supported");
    s->pooling = mean ? ENCODER_POOLING_MEAN : ENCODER_POOLING_CLS;
    return ST_OK;
}

/* What is done to a text, in order; more than these would be another vector. */
static enum status check_modules(const struct json *root, struct encoder_shape *s,
                                 struct engine_error *err)
{
    static const char *const known[] = {".Transformer", ".Pooling", ".Normalize",
                                        ".StaticModel"};

    (void)s;
    for (const struct json *v = root->child; v != NULL; v = v->next) {
        struct span type = json_str(json_get(v, SPAN("type")));
        bool found = false;

        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            size_t n = strlen(known[i]);

            found |= type.len > n && memcmp(type.ptr + type.len - n, known[i], n) == 0;
        }
        if (!found)
            return error_set(err, ST_INVALID,
                             "modules.json: '%.*s' is not supported; supported: Transformer, "
                             "Pooling, Normalize",
                             (int)(type.len < 80 ? type.len : 80),
                             type.ptr != NULL ? type.ptr : "");
    }
    return ST_OK;
}

typedef enum status read_fn(const struct json *root, struct encoder_shape *s,
                            struct engine_error *err);

static enum status read_beside(const char *dir, const char *name, read_fn *fn,
                               struct encoder_shape *s, struct engine_error *err)
{
    char path[PATH_BYTES + 32];
    struct json_error why;
    struct json *root;
    struct arena arena;
    struct file f;
    enum status st;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    st = file_read(path, JSON_MAX, &f, err);
    if (st != ST_OK)
        return st == ST_NOTFOUND ? ST_OK : st;
    arena_init(&arena, 4096, 8 * JSON_MAX);
    if (json_parse(&arena, f.bytes, JSON_DEPTH, &root, &why) != ST_OK)
        st = error_set(err, ST_INVALID, "%s: %s (near byte %zu)", name, why.text, why.offset);
    else
        st = fn(root, s, err);
    arena_release(&arena);
    file_release(&f);
    return st;
}

enum status encoder_config_read(const char *dir, struct encoder_shape *out,
                                struct engine_error *err)
{
    char path[PATH_BYTES + 32];
    struct encoder_shape s;
    struct file f;
    enum status st;

    snprintf(path, sizeof(path), "%s/config.json", dir);
    st = file_read(path, JSON_MAX, &f, err);
    if (st != ST_OK)
        return st;
    st = encoder_config_parse(f.bytes, &s, err);
    file_release(&f);
    if (st == ST_OK)
        st = read_beside(dir, "modules.json", check_modules, &s, err);
    if (st == ST_OK)
        st = read_beside(dir, "1_Pooling/config.json", read_pooling, &s, err);
    if (st == ST_OK)
        *out = s;
    return st;
}
