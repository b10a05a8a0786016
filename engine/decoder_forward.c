/* Prompts go through in blocks of columns, so that a row of weights is unpacked once for
 * many tokens; the output head is computed for the last token only. Keys lie turned in the
 * cache (per head, a row a dimension), so that scores are additions of rows. */
#include "engine/decoder_forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

#define ROW_PIECE 64 /* rows of a matrix that a thread takes at a time */
#define ALIGNMENT 64 /* of the widest vector */

/* --- memory --------------------------------------------------------------------------- */

/* Columns of the widest input of a matrix. */
static size_t widest(const struct decoder_shape *h)
{
    size_t n = h->ffn > h->q ? h->ffn : h->q;

    return n > h->d ? n : h->d;
}

uint64_t decoder_forward_bytes(const struct decoder_shape *h)
{
    /* Each factor is bounded by decoder_load.c; the product is below 2^50. */
    uint64_t context = h->context;
    uint64_t floats = 2 * h->layers * context * h->kv + context * (h->rope + h->heads) +
                      h->vocabulary +
                      QUANT_TOKENS * (2 * h->d + 2 * h->q + 2 * h->kv + 2 * h->ffn);

    return floats * sizeof(float) +
           QUANT_TOKENS * widest(h) * (1 + 3 * sizeof(float) / QUANT_BLOCK);
}

static void *take(size_t count, size_t size)
{
    size_t bytes;

    if (!size_mul(count, size, &bytes) || !size_add(bytes, ALIGNMENT - 1, &bytes))
        return NULL;
    return aligned_alloc(ALIGNMENT, bytes & ~(size_t)(ALIGNMENT - 1));
}

static float *floats(size_t n)
{
    return take(n, sizeof(float));
}

static bool take_buffers(struct decoder_state *s)
{
    const struct decoder_shape *h = &s->weights->shape;
    size_t context = h->context, cache = h->layers * h->kv * context, most = widest(h);

    /* Pages of the caches are taken by the kernel as they are written. */
    s->keys = calloc(cache, sizeof(float));
    s->values = calloc(cache, sizeof(float));
    s->x = floats(QUANT_TOKENS * h->d);
    s->h = floats(QUANT_TOKENS * h->d);
    s->qkv = floats(QUANT_TOKENS * (h->q + 2 * h->kv));
    s->a = floats(QUANT_TOKENS * h->q);
    s->gate = floats(QUANT_TOKENS * h->ffn);
    s->up = floats(QUANT_TOKENS * h->ffn);
    s->cos = floats(context * h->rope / 2);
    s->sin = floats(context * h->rope / 2);
    s->scores = floats(h->heads * context);
    s->logits = floats(h->vocabulary);
    s->in.q = take(QUANT_TOKENS * most, 1);
    s->in.d = floats(QUANT_TOKENS * most / QUANT_BLOCK);
    s->in.s = floats(QUANT_TOKENS * most / QUANT_BLOCK);
    s->in.sums = take(QUANT_TOKENS * most / QUANT_BLOCK, 2 * sizeof(*s->in.sums));
    return s->keys != NULL && s->values != NULL && s->x != NULL && s->h != NULL &&
           s->qkv != NULL && s->a != NULL && s->gate != NULL && s->up != NULL &&
           s->cos != NULL && s->sin != NULL && s->scores != NULL && s->logits != NULL &&
           s->in.q != NULL && s->in.d != NULL && s->in.s != NULL && s->in.sums != NULL;
}

/* Angles of every position: base^(-2i / rope) * position (Su et al. 2021). */
static void fill_rope(struct decoder_state *s)
{
    const struct decoder_shape *h = &s->weights->shape;
    size_t half = h->rope / 2;

    for (size_t i = 0; i < half; i++) {
        double freq = pow((double)h->base, -2.0 * (double)i / (double)h->rope);

        if (s->weights->rope_factors != NULL)
            freq /= (double)s->weights->rope_factors[i];
        for (size_t p = 0; p < h->context; p++) {
            s->cos[p * half + i] = (float)cos((double)p * freq);
            s->sin[p * half + i] = (float)sin((double)p * freq);
        }
    }
}

enum status decoder_forward_init(struct decoder_state *s, const struct decoder_weights *w,
                                 unsigned threads)
{
    *s = (struct decoder_state){.weights = w, .k = quant_kernels()};
    if (!take_buffers(s) || threads_open(threads, &s->threads) != ST_OK)
        return ST_NOMEM;
    fill_rope(s);
    return ST_OK;
}

void decoder_forward_release(struct decoder_state *s)
{
    float *const list[] = {s->keys, s->values, s->x,   s->h,      s->qkv,    s->a,    s->gate,
                           s->up,   s->cos,    s->sin, s->scores, s->logits, s->in.d, s->in.s};

    if (s->threads != NULL)
        threads_close(s->threads);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        free(list[i]);
    free(s->in.q);
    free(s->in.sums);
}

/* --- products ------------------------------------------------------------------------- */

/* Up to three matrices of the same input are one range of rows. */
struct product {
    struct decoder_state *s;
    const struct quant_matrix *w[3];
    float *y[3];
    size_t ldy[3];
    size_t count, n;
};

static void run_rows(void *arg, size_t from, size_t to)
{
    struct product *p = arg;
    size_t start = 0;

    for (size_t i = 0; i < p->count; i++) {
        size_t rows = p->w[i]->rows, a = from > start ? from - start : 0;
        size_t b = to > start ? to - start : 0;

        if (b > rows)
            b = rows;
        if (a < b)
            p->s->k->matmul(p->w[i], &p->s->in, p->n, a, b, p->y[i], p->ldy[i]);
        start += rows;
    }
}

static void set_input(struct decoder_state *s, const float *x, size_t n, size_t cols)
{
    s->in.x = x;
    for (size_t t = 0; t < n; t++)
        s->k->quantize(x + t * cols, cols, &s->in, t);
}

static void multiply(struct decoder_state *s, struct product *p, const float *x)
{
    size_t rows = 0;

    p->s = s;
    set_input(s, x, p->n, p->w[0]->cols);
    for (size_t i = 0; i < p->count; i++)
        rows += p->w[i]->rows;
    threads_run(s->threads, rows, ROW_PIECE, run_rows, p);
}

static void multiply_one(struct decoder_state *s, const struct quant_matrix *w, const float *x,
                         size_t n, float *y)
{
    struct product p = {.w = {w}, .y = {y}, .ldy = {w->rows}, .count = 1, .n = n};

    multiply(s, &p, x);
}

/* --- a layer -------------------------------------------------------------------------- */

/* Pairs (2i, 2i + 1) are turned: the file's rows are ordered for that (ENGINE: "NORM"). */
static void rotate(const struct decoder_state *s, float *v, size_t pos)
{
    size_t half = s->weights->shape.rope / 2;
    const float *c = s->cos + pos * half, *n = s->sin + pos * half;

    for (size_t i = 0; i < half; i++) {
        float a = v[2 * i], b = v[2 * i + 1];

        v[2 * i] = a * c[i] - b * n[i];
        v[2 * i + 1] = a * n[i] + b * c[i];
    }
}

static void remember(struct decoder_state *s, size_t layer, size_t pos, const float *k,
                     const float *v)
{
    const struct decoder_shape *h = &s->weights->shape;
    float *keys = s->keys + layer * h->kv * h->context;

    for (size_t c = 0; c < h->kv; c++)
        keys[c * h->context + pos] = k[c];
    memcpy(s->values + (layer * h->context + pos) * h->kv, v, h->kv * sizeof(*v));
}

struct attention {
    struct decoder_state *s;
    size_t layer, n;
};

/* Heads from..to of all columns. */
static void run_heads(void *arg, size_t from, size_t to)
{
    struct attention *a = arg;
    struct decoder_state *s = a->s;
    const struct decoder_shape *h = &s->weights->shape;
    size_t q = h->q, group = h->heads / h->kv_heads;

    for (size_t head = from; head < to; head++) {
        size_t kv = head / group * h->width;
        const float *keys = s->keys + (a->layer * h->kv + kv) * h->context;
        const float *values = s->values + a->layer * h->context * h->kv + kv;

        for (size_t t = 0; t < a->n; t++)
            s->k->attend(s->qkv + t * q + head * h->width, keys, h->context, values, h->kv,
                         s->pos + t + 1, h->width, s->scores + head * h->context,
                         s->a + t * q + head * h->width);
    }
}

static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void attention(struct decoder_state *s, const struct decoder_layer *l, size_t layer,
                      size_t n)
{
    const struct decoder_shape *h = &s->weights->shape;
    size_t q = h->q;
    float *k = s->qkv + n * q, *v = k + n * h->kv;
    struct product p = {.w = {&l->q, &l->k, &l->v},
                        .y = {s->qkv, k, v},
                        .ldy = {q, h->kv, h->kv},
                        .count = 3,
                        .n = n};
    struct attention a = {s, layer, n};

    for (size_t t = 0; t < n; t++)
        s->k->rms_norm(s->x + t * h->d, l->attn_norm, h->eps, h->d, s->h + t * h->d);
    multiply(s, &p, s->h);
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < h->heads; i++)
            rotate(s, s->qkv + t * q + i * h->width, s->pos + t);
        for (size_t i = 0; i < h->kv_heads; i++)
            rotate(s, k + t * h->kv + i * h->width, s->pos + t);
        remember(s, layer, s->pos + t, k + t * h->kv, v + t * h->kv);
    }
    threads_run(s->threads, h->heads, 1, run_heads, &a);
    multiply_one(s, &l->o, s->a, n, s->h);
    add(s->x, s->h, n * h->d);
}

static void feed_forward(struct decoder_state *s, const struct decoder_layer *l, size_t n)
{
    const struct decoder_shape *h = &s->weights->shape;
    struct product p = {.w = {&l->gate, &l->up},
                        .y = {s->gate, s->up},
                        .ldy = {h->ffn, h->ffn},
                        .count = 2,
                        .n = n};

    for (size_t t = 0; t < n; t++)
        s->k->rms_norm(s->x + t * h->d, l->ffn_norm, h->eps, h->d, s->h + t * h->d);
    multiply(s, &p, s->h);
    s->k->silu_mul(s->gate, s->up, n * h->ffn);
    multiply_one(s, &l->down, s->gate, n, s->h);
    add(s->x, s->h, n * h->d);
}

/* Columns pos..pos + n of the conversation. */
static enum status run_columns(struct decoder_state *s, const uint32_t *ids, size_t n,
                               struct engine_stop stop)
{
    const struct decoder_weights *w = s->weights;
    const struct decoder_shape *h = &w->shape;

    for (size_t t = 0; t < n; t++)
        quant_row(&w->embeddings, ids[t], s->x + t * h->d);
    for (size_t i = 0; i < h->layers; i++) {
        if (stop.fn != NULL && stop.fn(stop.arg))
            return ST_CANCELED;
        attention(s, &w->layers[i], i, n);
        feed_forward(s, &w->layers[i], n);
    }
    s->pos += (uint32_t)n;
    return ST_OK;
}

static void run_head(struct decoder_state *s, size_t column)
{
    const struct decoder_weights *w = s->weights;

    s->k->rms_norm(s->x + column * w->shape.d, w->out_norm, w->shape.eps, w->shape.d, s->h);
    multiply_one(s, &w->head, s->h, 1, s->logits);
}

enum status decoder_forward(struct decoder_state *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop)
{
    size_t done = 0, columns = 0;
    enum status st = ST_OK;

    if (n == 0 || n > s->weights->shape.context - s->pos)
        return ST_LIMIT;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= s->weights->shape.vocabulary)
            return ST_INVALID;
    }
    while (st == ST_OK && done < n) {
        columns = n - done < QUANT_TOKENS ? n - done : QUANT_TOKENS;
        st = run_columns(s, ids + done, columns, stop);
        done += columns;
    }
    if (st == ST_OK)
        run_head(s, columns - 1);
    return st;
}
