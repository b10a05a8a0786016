#include "engine/encoder_config.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/error.h"
#include "engine/file.h"

#define PATH_BYTES    2048
#define JSON_MAX      (1024 * 1024)
#define JSON_DEPTH    32
#define HEAD_MULTIPLE 16 /* a vector of the kernels */
#define HEAD_MAX      128

static enum status refuse(struct engine_error *err, const char *what, struct span is,
                          const char *must)
{
    return error_set(err, ST_INVALID, "config.json: %s '%.*s' is not supported; supported: %s",
                     what, (int)(is.len < 40 ? is.len : 40), is.ptr != NULL ? is.ptr : "",
                     must);
}

/* An absent member is what `must` says. */
static bool says(const struct json *root, const char *name, const char *must, struct span *is)
{
    const struct json *v = json_get(root, span_of(name));

    *is = json_str(v);
    return v == NULL || v->type == JSON_NULL || span_eq(*is, span_of(must));
}

static enum status check_kind(const struct json *root, struct engine_error *err)
{
    const struct json *list = json_get(root, SPAN("architectures"));
    struct span is = json_str(json_get(root, SPAN("model_type")));

    if (!span_eq(is, SPAN("bert")))
        return refuse(err, "model_type", is, "bert");
    if (list != NULL && list->type != JSON_NULL) {
        is = list->type == JSON_ARRAY ? json_str(list->child) : json_str(list);
        if (list->count > 1 || !span_eq(is, SPAN("BertModel")))
            return refuse(err, "architecture", is, "BertModel");
    }
    if (!says(root, "hidden_act", "gelu", &is))
        return refuse(err, "hidden_act", is, "gelu");
    if (!says(root, "position_embedding_type", "absolute", &is))
        return refuse(err, "position_embedding_type", is, "absolute");
    return ST_OK;
}

static bool count_of(const struct json *root, const char *name, size_t most, size_t *out)
{
    uint64_t n;

    if (!json_u64(json_get(root, span_of(name)), &n) || n == 0 || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static enum status read_sizes(const struct json *root, struct encoder_shape *s,
                              struct engine_error *err)
{
    const struct {
        const char *name;
        size_t most, *out;
    } sizes[] = {
        {"hidden_size", 4096, &s->d},
        {"intermediate_size", 16384, &s->ffn},
        {"num_attention_heads", 128, &s->heads},
        {"num_hidden_layers", ENCODER_LAYERS_MAX, &s->layers},
        {"max_position_embeddings", 65536, &s->positions},
        {"vocab_size", 1000000, &s->words},
        {"type_vocab_size", 16, &s->types},
    };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (!count_of(root, sizes[i].name, sizes[i].most, sizes[i].out))
            return error_set(err, ST_INVALID, "config.json: %s is missing or not in 1..%zu",
                             sizes[i].name, sizes[i].most);
    }
    if (s->d % DENSE_COLS != 0 || s->ffn % DENSE_COLS != 0)
        return error_set(
            err, ST_INVALID,
            "config.json: hidden_size and intermediate_size must be multiples of %d",
            DENSE_COLS);
    if (s->d % s->heads != 0 || s->d / s->heads % HEAD_MULTIPLE != 0 ||
        s->d / s->heads > HEAD_MAX)
        return error_set(err, ST_INVALID,
                         "config.json: a head must be a multiple of %d wide, %d at most",
                         HEAD_MULTIPLE, HEAD_MAX);
    return ST_OK;
}

enum status encoder_config_parse(struct span json, struct encoder_shape *out,
                                 struct engine_error *err)
{
    struct encoder_shape s = {.d = 0};
    struct json_error why;
    struct json *root;
    struct arena arena;
    double eps = 1e-12;
    enum status st;

    arena_init(&arena, 16384, 8 * JSON_MAX);
    if (json_parse(&arena, json, JSON_DEPTH, &root, &why) != ST_OK)
        st = error_set(err, ST_INVALID, "config.json: %s", why.text);
    else if ((st = check_kind(root, err)) == ST_OK &&
             (st = read_sizes(root, &s, err)) == ST_OK &&
             json_get(root, SPAN("layer_norm_eps")) != NULL &&
             (!json_double(json_get(root, SPAN("layer_norm_eps")), &eps) || !(eps > 0) ||
              !(eps < 1)))
        st = error_set(err, ST_INVALID,
                       "config.json: layer_norm_eps must be above 0 and below 1");
    arena_release(&arena);
    s.eps = (float)eps;
    if (st == ST_OK)
        *out = s;
    return st;
}

/* sentence-transformers says beside the model how tokens become one vector. */
static enum status check_pooling(struct span json, struct engine_error *err)
{
    struct json_error why;
    struct json *root;
    struct arena arena;
    enum status st = ST_OK;
    bool mean = false;

    arena_init(&arena, 4096, 8 * JSON_MAX);
    if (json_parse(&arena, json, JSON_DEPTH, &root, &why) != ST_OK)
        st = error_set(err, ST_INVALID, "1_Pooling/config.json: %s", why.text);
    else if (!json_bool(json_get(root, SPAN("pooling_mode_mean_tokens")), &mean) || !mean)
        st = error_set(err, ST_INVALID,
                       "1_Pooling/config.json: only the mean of the tokens is supported");
    arena_release(&arena);
    return st;
}

enum status encoder_config_read(const char *dir, struct encoder_shape *out,
                                struct engine_error *err)
{
    char path[PATH_BYTES];
    struct file f;
    enum status st;

    snprintf(path, sizeof(path), "%s/config.json", dir);
    st = file_read(path, JSON_MAX, &f, err);
    if (st != ST_OK)
        return st;
    st = encoder_config_parse(f.bytes, out, err);
    file_release(&f);
    if (st != ST_OK)
        return st;
    snprintf(path, sizeof(path), "%s/1_Pooling/config.json", dir);
    st = file_read(path, JSON_MAX, &f, err);
    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st != ST_OK)
        return st;
    st = check_pooling(f.bytes, err);
    file_release(&f);
    return st;
}
