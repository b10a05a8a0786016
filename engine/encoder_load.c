/* In int8 the products' weights are rounded once, per output; the table of words too: it
 * is half of the file.
 *
 * A few inputs of a BERT layer are much larger than the rest, and a row of inputs is
 * rounded with one scale, so the rest would lose its bits. Inputs behind a norm are
 * therefore multiplied by a factor each and the weights divided by it (the idea is Xiao
 * et al. 2023, SmoothQuant; here from the weights alone, without samples).
 *
 * Loading goes over the file twice with the same steps: first it only looks every tensor
 * up and adds up what it will take, then it takes it. */
#include "engine/encoder_load.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
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
    struct encoder_tensors *file;
    const struct encoder_names *names;
    struct engine_error *err;
    bool planning;   /* nothing is taken yet, only counted */
    float *values;   /* owned: one matrix at a time */
    size_t largest;  /* floats of it */
    uint64_t needed; /* bytes: what take() was asked for */
    enum status st;
};

static void *take(struct loader *l, size_t count, size_t size)
{
    size_t bytes;
    void *p = NULL;

    if (l->st != ST_OK)
        return NULL;
    if (size_mul(count, size, &bytes) && size_add(bytes, ALIGNMENT - 1, &bytes)) {
        bytes &= ~(size_t)(ALIGNMENT - 1);
        l->needed += bytes;
        if (l->planning)
            return NULL;
        p = aligned_alloc(ALIGNMENT, bytes);
    }
    if (p == NULL)
        l->st = error_set(l->err, ST_NOMEM, "out of memory for the model");
    return p;
}

/* Is there something to compute with? */
static bool at_work(const struct loader *l)
{
    return l->st == ST_OK && !l->planning;
}

static void refuse_missing(struct loader *l, const char *name)
{
    l->st = error_set(l->err, ST_INVALID, "tensor '%s' is missing", name);
}

/* A tensor of exactly this shape (rows 0: a vector). */
static struct encoder_tensor find(struct loader *l, const char *name, size_t rows, size_t cols)
{
    struct encoder_tensor t = {.rows = 0};

    if (l->st != ST_OK)
        return t;
    if (!encoder_tensors_find(l->file, name, &t))
        refuse_missing(l, name);
    else if (t.dims != (rows != 0 ? 2u : 1u) || t.rows != (rows != 0 ? rows : 1) ||
             t.cols != cols)
        l->st = error_set(l->err, ST_INVALID,
                          "tensor '%s' has not the shape that the model's sizes imply", name);
    return t;
}

static void read_rows(struct loader *l, const struct encoder_tensor *t, size_t row, size_t n,
                      float *out)
{
    if (at_work(l))
        l->st = encoder_tensors_rows(l->file, t, row, n, out, l->err);
}

static void need_values(struct loader *l, size_t floats)
{
    l->largest = floats > l->largest ? floats : l->largest;
}

static void name_of(char name[NAME_BYTES], const char *part, const char *suffix)
{
    int bytes = snprintf(name, NAME_BYTES, "%s%s", part, suffix);

    assert(bytes > 0 && bytes < NAME_BYTES); /* both are names of ours */
}

static void load_vector(struct loader *l, const char *part, const char *suffix, size_t n,
                        float *out)
{
    char name[NAME_BYTES];
    struct encoder_tensor t;

    name_of(name, part, suffix);
    t = find(l, name, 0, n);
    read_rows(l, &t, 0, 1, out);
}

static void load_norm(struct loader *l, const char *part, struct encoder_norm *out)
{
    size_t d = l->w->shape.d;

    if (part == NULL)
        return;
    out->weight = take(l, d, sizeof(float));
    out->bias = take(l, d, sizeof(float));
    load_vector(l, part, ".weight", d, out->weight);
    load_vector(l, part, ".bias", d, out->bias);
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

/* The table of a static model has no ".weight". */
static void words_name(const struct loader *l, char name[NAME_BYTES])
{
    name_of(name, l->names->words, l->w->shape.architecture->bare ? "" : ".weight");
}

static void load_words(struct loader *l)
{
    struct encoder_weights *w = l->w;
    size_t d = w->shape.d, words = w->shape.words;
    char name[NAME_BYTES];
    struct encoder_tensor t;

    words_name(l, name);
    t = find(l, name, words, d);
    if (w->precision == ENCODER_F32) {
        w->words_f32 = take(l, words * d, sizeof(float));
        read_rows(l, &t, 0, words, w->words_f32);
        return;
    }
    w->words_i8 = take(l, words * d, 1);
    w->word_scales = take(l, words, sizeof(float));
    need_values(l, WORD_ROWS * d);
    for (size_t at = 0; at < words && at_work(l); at += WORD_ROWS) {
        size_t n = words - at < WORD_ROWS ? words - at : WORD_ROWS;

        read_rows(l, &t, at, n, l->values);
        for (size_t i = 0; i < n && l->st == ST_OK; i++)
            w->word_scales[at + i] =
                round_row(l->values + i * d, d, w->words_i8 + (at + i) * d);
    }
}

/* A static model's words may weigh differently in the mean. */
static void load_word_weights(struct loader *l)
{
    struct encoder_weights *w = l->w;
    size_t d = w->shape.d, words = w->shape.words;
    struct encoder_tensor t;

    if (!w->shape.architecture->bare || !encoder_tensors_find(l->file, "weights", &t))
        return;
    t = find(l, "weights", 0, words);
    need_values(l, words);
    read_rows(l, &t, 0, 1, l->values);
    for (size_t i = 0; i < words && at_work(l); i++) {
        for (size_t k = 0; w->words_f32 != NULL && k < d; k++)
            w->words_f32[i * d + k] *= l->values[i];
        if (w->word_scales != NULL)
            w->word_scales[i] *= l->values[i];
    }
}

/* Every token is of type 0: its row is added to the positions, where there are some. */
static void load_added(struct loader *l)
{
    struct encoder_weights *w = l->w;
    const struct encoder_shape *s = &w->shape;
    size_t d = s->d, rows = l->names->positions != NULL ? w->window : 1;
    char name[NAME_BYTES];
    struct encoder_tensor t;

    if (l->names->positions == NULL && s->types == 0)
        return;
    w->added = take(l, rows * d, sizeof(float));
    for (size_t i = 0; at_work(l) && i < rows * d; i++)
        w->added[i] = 0;
    if (l->names->positions != NULL) {
        name_of(name, l->names->positions, ".weight");
        t = find(l, name, s->positions, d);
        read_rows(l, &t, s->first, rows, w->added);
    }
    if (s->types == 0)
        return;
    name_of(name, l->names->types, ".weight");
    t = find(l, name, s->types, d);
    need_values(l, d);
    read_rows(l, &t, 0, 1, l->values);
    for (size_t i = 0; at_work(l) && i < rows * d; i++)
        w->added[i] += l->values[i % d];
}

static void load_rotary(struct loader *l)
{
    struct encoder_weights *w = l->w;
    const struct encoder_shape *s = &w->shape;
    const struct rope_scheme scheme = {.pairs = ROPE_HALVES,
                                       .dimensions = s->d / s->heads,
                                       .base = s->base,
                                       .stretch = 1,
                                       .magnitude = 1};

    if (!s->architecture->rotary)
        return;
    l->needed += rope_bytes(&scheme, w->window);
    if (at_work(l) && rope_init(&w->rope, &scheme, NULL, w->window) != ST_OK)
        l->st = error_set(l->err, ST_NOMEM, "out of memory for the model");
}

/* --- products ------------------------------------------------------------------------ */

struct part {
    const char *name; /* of the layer's tensor, without ".weight"; NULL: there is none */
    size_t rows;      /* 0: the end */
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

    for (const struct part *part = parts; part->rows > 0 && l->st == ST_OK; part++) {
        char prefix[NAME_BYTES], name[NAME_BYTES];
        struct encoder_tensor t;

        if (part->name == NULL)
            continue;
        snprintf(prefix, sizeof(prefix), "%s%zu.%s", l->names->layer, layer, part->name);
        name_of(name, prefix, ".weight");
        t = find(l, name, part->rows, cols);
        read_rows(l, &t, 0, part->rows, at_work(l) ? l->values + at * cols : NULL);
        if (l->w->shape.architecture->biases)
            load_vector(l, prefix, ".bias", part->rows, bias != NULL ? bias + at : NULL);
        else if (bias != NULL)
            memset(bias + at, 0, part->rows * sizeof(*bias));
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

    for (const struct part *part = parts; part->rows > 0; part++)
        rows += part->name != NULL ? part->rows : 0;
    need_values(l, rows * cols);
    take_product(l, p, rows, cols);
    read_parts(l, layer, parts, cols, i8 ? p->i8.bias : p->f32.bias);
    if (i8 && inputs != INPUTS_PLAIN)
        p->i8.factor = take(l, cols, sizeof(float));
    if (!at_work(l))
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
    const struct encoder_names *n = l->names;
    size_t d = l->w->shape.d, ffn = l->w->shape.ffn;
    const struct part qkv[] = {
        {n->q, n->k != NULL ? d : 3 * d}, {n->k, d}, {n->v, d}, {NULL, 0}};
    const struct part after[] = {{n->out, d}, {NULL, 0}};
    const struct part up[] = {{n->up, ffn}, {n->gate, ffn}, {NULL, 0}};
    const struct part down[] = {{n->down, d}, {NULL, 0}};
    char name[NAME_BYTES];

    snprintf(name, sizeof(name), "%s%zu.%s", n->layer, i, n->after_attention);
    load_norm(l, name, &out->after_attention);
    snprintf(name, sizeof(name), "%s%zu.%s", n->layer, i, n->after_feed);
    load_norm(l, name, &out->after_feed);
    load_product(l, i, qkv, d, INPUTS_BY_WEIGHTS, NULL, &out->qkv);
    load_product(l, i, after, d, INPUTS_PLAIN, NULL, &out->out);
    load_product(l, i, up, d, INPUTS_BY_NORM, &out->after_attention, &out->up);
    load_product(l, i, down, ffn, INPUTS_PLAIN, NULL, &out->down);
}

/* --- all of it ----------------------------------------------------------------------- */

enum status encoder_load_shape(struct encoder_shape *s, struct encoder_tensors *t,
                               struct engine_error *err)
{
    const char *name = s->architecture->names[t->format].words;
    struct encoder_tensor table, other;

    if (!s->architecture->bare)
        return ST_OK;
    if (name == NULL || !encoder_tensors_find(t, name, &table) || table.dims != 2)
        return error_set(err, ST_INVALID, "a static model must have a table 'embeddings'");
    if (table.rows == 0 || table.rows > ENCODER_WORDS_MAX || table.cols == 0 ||
        table.cols > ENCODER_WIDTH_MAX)
        return error_set(err, ST_INVALID,
                         "tensor 'embeddings' must have 1..%d rows of 1..%d values",
                         ENCODER_WORDS_MAX, ENCODER_WIDTH_MAX);
    if (encoder_tensors_find(t, "mapping", &other))
        return error_set(err, ST_INVALID,
                         "tensor 'mapping': a static model whose words share rows is not "
                         "supported");
    s->words = table.rows;
    s->d = table.cols;
    s->heads = 1;
    s->positions = ENCODER_POSITIONS_MAX;
    return ST_OK;
}

static void load_all(struct loader *l)
{
    const size_t layers = l->w->shape.layers;
    struct encoder_layer counted = {.qkv = {.i8 = {.rows = 0}}};

    load_words(l);
    load_word_weights(l);
    load_added(l);
    load_rotary(l);
    load_norm(l, l->names->norm, &l->w->embed_norm);
    if (layers > 0)
        l->w->layers = take(l, layers, sizeof(*l->w->layers));
    if (l->w->layers != NULL)
        memset(l->w->layers, 0, layers * sizeof(*l->w->layers));
    for (size_t i = 0; i < layers && l->st == ST_OK; i++)
        load_layer(l, i, l->w->layers != NULL ? &l->w->layers[i] : &counted);
}

enum status encoder_load(struct encoder_weights *w, struct encoder_tensors *t, uint64_t beside,
                         uint64_t memory_max_bytes, struct engine_error *err)
{
    struct loader l = {.w = w,
                       .file = t,
                       .names = &w->shape.architecture->names[t->format],
                       .err = err,
                       .planning = true,
                       .st = ST_OK};
    uint64_t sum;

    load_all(&l);
    if (l.st == ST_OK)
        l.st = encoder_tensors_check_unused(t, err);
    if (l.st != ST_OK)
        return l.st;
    sum = l.needed + l.largest * sizeof(float) + encoder_tensors_bytes(t) + beside;
    if (memory_max_bytes > 0 && sum > memory_max_bytes)
        return error_set(
            err, ST_LIMIT, "the model needs %llu KiB, more than the %llu KiB it may have",
            (unsigned long long)(sum >> 10), (unsigned long long)(memory_max_bytes >> 10));
    l.planning = false;
    l.needed = 0;
    l.values = malloc(l.largest * sizeof(float) + 1);
    if (l.values == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the model");
    load_all(&l);
    free(l.values);
    w->memory_bytes = l.needed;
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
    free(w->added);
    rope_release(&w->rope);
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
