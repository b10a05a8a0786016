/* In int8 the products' weights are rounded once, per output; the table of words too: it
 * is half of the file.
 *
 * A few inputs of a BERT layer are much larger than the rest, and a row of inputs is
 * rounded with one scale, so the rest would lose its bits. Inputs behind a norm are
 * therefore multiplied by a factor each and the weights divided by it (the idea is Xiao
 * et al. 2023, SmoothQuant; here from the weights alone, without samples). */
#include "engine/encoder_load.h"

#include <math.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/error.h"
#include "engine/kernels/dense_pack.h"

#define NAME_BYTES 160
#define WORD_ROWS  128 /* read at a time */
#define ALIGNMENT  64  /* of the widest vector */

/* What loading has at hand. The first failure stays; what follows does nothing. */
struct loader {
    struct encoder_weights *w;
    struct safetensors *file;
    struct engine_error *err;
    float *values; /* owned: one matrix at a time */
    enum status st;
};

static void *take(struct loader *l, size_t count, size_t size)
{
    size_t bytes;
    void *p = NULL;

    if (l->st != ST_OK)
        return NULL;
    if (size_mul(count, size, &bytes) && size_add(bytes, ALIGNMENT - 1, &bytes))
        p = aligned_alloc(ALIGNMENT, bytes & ~(size_t)(ALIGNMENT - 1));
    if (p == NULL)
        l->st = error_set(l->err, ST_NOMEM, "out of memory for the model");
    else
        l->w->memory_bytes += bytes;
    return p;
}

/* A tensor of exactly this shape (cols 0: a vector). */
static const struct tensor *find(struct loader *l, const char *name, size_t rows, size_t cols)
{
    const struct tensor *t = safetensors_find(l->file, name);

    if (l->st != ST_OK)
        return NULL;
    if (t == NULL) {
        l->st = error_set(l->err, ST_INVALID, "tensor '%s' is missing", name);
        return NULL;
    }
    if (t->dims != (cols != 0 ? 2u : 1u) || t->shape[0] != rows ||
        (cols != 0 && t->shape[1] != cols)) {
        l->st = error_set(l->err, ST_INVALID,
                          "tensor '%s' has not the shape that config.json implies", name);
        return NULL;
    }
    return t;
}

static void read(struct loader *l, const struct tensor *t, size_t at, size_t n, float *out)
{
    if (l->st == ST_OK)
        l->st = safetensors_floats(l->file, t, at, n, out, l->err);
}

static void load_vector(struct loader *l, const char *prefix, const char *suffix, size_t n,
                        float *out)
{
    char name[NAME_BYTES];
    const struct tensor *t;
    int bytes = snprintf(name, sizeof(name), "%s.%s", prefix, suffix);

    assert(bytes > 0 && (size_t)bytes < sizeof(name)); /* both are names of ours */
    t = find(l, name, n, 0);
    read(l, t, 0, n, out);
}

static void load_norm(struct loader *l, const char *prefix, struct encoder_norm *out)
{
    size_t d = l->w->shape.d;

    out->weight = take(l, d, sizeof(float));
    out->bias = take(l, d, sizeof(float));
    load_vector(l, prefix, "weight", d, out->weight);
    load_vector(l, prefix, "bias", d, out->bias);
}

/* --- words and positions ------------------------------------------------------------- */

static float round_row(const float *v, size_t n, int8_t *out)
{
    float most = 0, factor;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(v[i]));
    factor = most > 0 ? 127.0f / most : 0;
    for (size_t i = 0; i < n; i++)
        out[i] = (int8_t)lrintf(v[i] * factor);
    return most / 127.0f;
}

static void load_words(struct loader *l)
{
    struct encoder_weights *w = l->w;
    size_t d = w->shape.d, words = w->shape.words;
    const struct tensor *t = find(l, "embeddings.word_embeddings.weight", words, d);

    if (w->precision == ENCODER_F32) {
        w->words_f32 = take(l, words * d, sizeof(float));
        read(l, t, 0, words * d, w->words_f32);
        return;
    }
    w->words_i8 = take(l, words * d, 1);
    w->word_scales = take(l, words, sizeof(float));
    for (size_t at = 0; at < words && l->st == ST_OK; at += WORD_ROWS) {
        size_t n = words - at < WORD_ROWS ? words - at : WORD_ROWS;

        read(l, t, at * d, n * d, l->values);
        for (size_t i = 0; i < n && l->st == ST_OK; i++)
            w->word_scales[at + i] =
                round_row(l->values + i * d, d, w->words_i8 + (at + i) * d);
    }
}

/* Every token is of type 0: its row is added to the positions. */
static void load_positions(struct loader *l)
{
    struct encoder_weights *w = l->w;
    size_t d = w->shape.d;
    const struct tensor *positions =
        find(l, "embeddings.position_embeddings.weight", w->shape.positions, d);
    const struct tensor *types =
        find(l, "embeddings.token_type_embeddings.weight", w->shape.types, d);

    w->positions = take(l, w->window * d, sizeof(float));
    read(l, positions, 0, w->window * d, w->positions);
    read(l, types, 0, d, l->values);
    for (size_t i = 0; l->st == ST_OK && i < w->window * d; i++)
        w->positions[i] += l->values[i % d];
}

/* --- products ------------------------------------------------------------------------ */

struct part {
    const char *name; /* of the layer's tensor, without ".weight" */
    size_t rows;
};

/* Inputs' size by what is known of them: behind a norm, its weight and bias. */
static void factors_of_norm(const struct encoder_norm *norm, size_t n, float *factor)
{
    for (size_t i = 0; i < n; i++) {
        float size = fmaxf(fabsf(norm->weight[i]), fabsf(norm->bias[i]) / 4);

        factor[i] = size > 0 ? 1.0f / size : 1.0f;
    }
}

/* Or such that every input's largest weight becomes the same. */
static void factors_of_weights(const float *values, size_t rows, size_t cols, float *factor)
{
    memset(factor, 0, cols * sizeof(*factor));
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < cols; i++)
            factor[i] = fmaxf(factor[i], fabsf(values[r * cols + i]));
    }
    for (size_t i = 0; i < cols; i++)
        factor[i] = factor[i] > 0 ? factor[i] : 1.0f;
}

static void take_product(struct loader *l, struct encoder_product *p, size_t rows, size_t cols)
{
    if (l->w->precision == ENCODER_INT8) {
        p->i8 = (struct dense_i8){.rows = rows, .cols = cols};
        p->i8.weights = take(l, rows * cols, 1);
        p->i8.scales = take(l, rows, sizeof(float));
        p->i8.sums = take(l, rows, sizeof(int32_t));
        p->i8.bias = take(l, rows, sizeof(float));
    } else {
        p->f32 = (struct dense_f32){.rows = rows, .cols = cols};
        p->f32.weights = take(l, rows * cols, sizeof(float));
        p->f32.bias = take(l, rows, sizeof(float));
    }
}

/* Reads the parts, one below the other, into l->values and the product's bias. */
static void read_parts(struct loader *l, size_t layer, const struct part *parts, size_t cols,
                       float *bias)
{
    size_t at = 0;

    for (const struct part *part = parts; part->name != NULL && l->st == ST_OK; part++) {
        char prefix[NAME_BYTES], name[NAME_BYTES + 8];
        const struct tensor *t;

        snprintf(prefix, sizeof(prefix), "encoder.layer.%zu.%s", layer, part->name);
        snprintf(name, sizeof(name), "%s.weight", prefix);
        t = find(l, name, part->rows, cols);
        read(l, t, 0, part->rows * cols, l->values + at * cols);
        load_vector(l, prefix, "bias", part->rows, bias + at);
        at += part->rows;
    }
}

enum inputs { INPUTS_PLAIN, INPUTS_BY_NORM, INPUTS_BY_WEIGHTS };

static void load_product(struct loader *l, size_t layer, const struct part *parts, size_t cols,
                         enum inputs inputs, const struct encoder_norm *norm,
                         struct encoder_product *p)
{
    size_t rows = 0;
    bool i8 = l->w->precision == ENCODER_INT8;

    for (const struct part *part = parts; part->name != NULL; part++)
        rows += part->rows;
    take_product(l, p, rows, cols);
    read_parts(l, layer, parts, cols, i8 ? p->i8.bias : p->f32.bias);
    if (i8 && inputs != INPUTS_PLAIN)
        p->i8.factor = take(l, cols, sizeof(float));
    if (l->st != ST_OK)
        return;
    if (i8 && inputs == INPUTS_BY_NORM)
        factors_of_norm(norm, cols, p->i8.factor);
    if (i8 && inputs == INPUTS_BY_WEIGHTS)
        factors_of_weights(l->values, rows, cols, p->i8.factor);
    for (size_t r = 0; r < rows; r++) {
        if (i8)
            dense_pack_i8(&p->i8, r, l->values + r * cols);
        else
            dense_pack_f32(&p->f32, r, l->values + r * cols);
    }
}

static void load_layer(struct loader *l, size_t i, struct encoder_layer *out)
{
    size_t d = l->w->shape.d, ffn = l->w->shape.ffn;
    const struct part qkv[] = {{"attention.self.query", d},
                               {"attention.self.key", d},
                               {"attention.self.value", d},
                               {NULL, 0}};
    const struct part after[] = {{"attention.output.dense", d}, {NULL, 0}};
    const struct part up[] = {{"intermediate.dense", ffn}, {NULL, 0}};
    const struct part down[] = {{"output.dense", d}, {NULL, 0}};
    char name[NAME_BYTES];

    snprintf(name, sizeof(name), "encoder.layer.%zu.attention.output.LayerNorm", i);
    load_norm(l, name, &out->after_attention);
    snprintf(name, sizeof(name), "encoder.layer.%zu.output.LayerNorm", i);
    load_norm(l, name, &out->after_feed);
    load_product(l, i, qkv, d, INPUTS_BY_WEIGHTS, NULL, &out->qkv);
    load_product(l, i, after, d, INPUTS_PLAIN, NULL, &out->out);
    load_product(l, i, up, d, INPUTS_BY_NORM, &out->after_attention, &out->up);
    load_product(l, i, down, ffn, INPUTS_PLAIN, NULL, &out->down);
}

/* --- all of it ----------------------------------------------------------------------- */

/* A config.json that claims more than the file holds must not cost its memory. */
static void check_large(struct loader *l)
{
    const struct encoder_shape *s = &l->w->shape;

    (void)find(l, "embeddings.word_embeddings.weight", s->words, s->d);
    for (size_t i = 0; i < s->layers && l->st == ST_OK; i++) {
        char name[NAME_BYTES];

        snprintf(name, sizeof(name), "encoder.layer.%zu.intermediate.dense.weight", i);
        (void)find(l, name, s->ffn, s->d);
        snprintf(name, sizeof(name), "encoder.layer.%zu.attention.self.query.weight", i);
        (void)find(l, name, s->d, s->d);
    }
}

static uint64_t bytes_needed(const struct encoder_weights *w)
{
    const struct encoder_shape *s = &w->shape;
    uint64_t d = s->d, layer = 4 * d * d + 2 * d * s->ffn;

    return (w->precision == ENCODER_F32 ? sizeof(float) : 1) *
               (s->words * d + s->layers * layer) +
           w->window * d * sizeof(float);
}

enum status encoder_load(struct encoder_weights *w, struct safetensors *s,
                         uint64_t memory_max_bytes, struct engine_error *err)
{
    struct loader l = {.w = w, .file = s, .err = err, .st = ST_OK};
    size_t d = w->shape.d, largest = 3 * d > w->shape.ffn ? 3 * d : w->shape.ffn;

    if (memory_max_bytes > 0 && bytes_needed(w) > memory_max_bytes)
        return error_set(err, ST_LIMIT, "the model needs %llu MiB, more than it may have",
                         (unsigned long long)(bytes_needed(w) >> 20));
    check_large(&l);
    if (l.st != ST_OK)
        return l.st;
    l.values = malloc((largest > WORD_ROWS ? largest : WORD_ROWS) * d * sizeof(float));
    w->layers = calloc(w->shape.layers, sizeof(*w->layers));
    if (l.values == NULL || w->layers == NULL)
        l.st = error_set(err, ST_NOMEM, "out of memory for the model");
    load_words(&l);
    load_positions(&l);
    load_norm(&l, "embeddings.LayerNorm", &w->embed_norm);
    for (size_t i = 0; i < w->shape.layers && l.st == ST_OK; i++)
        load_layer(&l, i, &w->layers[i]);
    free(l.values);
    return l.st;
}

static void release_product(struct encoder_product *p)
{
    free(p->i8.weights);
    free(p->i8.scales);
    free(p->i8.sums);
    free(p->i8.bias);
    free(p->i8.factor);
    free(p->f32.weights);
    free(p->f32.bias);
}

static void release_norm(struct encoder_norm *n)
{
    free(n->weight);
    free(n->bias);
}

void encoder_load_release(struct encoder_weights *w)
{
    free(w->words_i8);
    free(w->word_scales);
    free(w->words_f32);
    free(w->positions);
    release_norm(&w->embed_norm);
    for (size_t i = 0; w->layers != NULL && i < w->shape.layers; i++) {
        struct encoder_layer *l = &w->layers[i];

        release_product(&l->qkv);
        release_product(&l->out);
        release_product(&l->up);
        release_product(&l->down);
        release_norm(&l->after_attention);
        release_norm(&l->after_feed);
    }
    free(w->layers);
}
