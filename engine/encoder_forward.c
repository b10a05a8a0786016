/* Embed, then layers of attention and feed-forward with a norm after each: whatever of it
 * the architecture has (encoder_architecture.h). Texts of a batch lie one after the other
 * without padding; only attention looks at where one ends. Activations are rounded per token as
 * they come (kernels). */
#include "engine/encoder_forward.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_STEP 64 /* a multiple of what attention rounds up to */
#define ALIGNMENT   64
/* Products and GELU go in pieces of some 20 us, and between them the caller is asked for its
 * stop. Weights are read once for so many tokens. */
#define PIECE_TOKENS   64
#define PIECE_PRODUCTS 1500000
#define PIECE_ROWS     ((size_t)2 * DENSE_ROWS) /* kernels take them in pairs of blocks */
#define PIECE_FLOATS   8192

void encoder_forward_init(struct encoder_scratch *s, const struct encoder_weights *w)
{
    memset(s, 0, sizeof(*s));
    s->weights = w;
    s->kernels = dense_kernels();
}

void encoder_forward_release(struct encoder_scratch *s)
{
    free(s->x);
    free(s->qkv);
    free(s->mixed);
    free(s->feed);
    free(s->attention);
    free(s->bytes.bytes);
    free(s->bytes.scale);
    free(s->bytes.zero);
    encoder_forward_init(s, s->weights);
}

/* What `cap` tokens take. What is wide is there for a piece of them. */
struct sizes {
    size_t x, qkv, mixed, feed, attention, bytes, scale;
};

static struct sizes sizes_of(const struct encoder_shape *h, size_t cap)
{
    size_t feed = encoder_shape_feed(h), widest = h->ffn > h->d ? h->ffn : h->d;
    struct sizes z = {.x = cap * h->d * sizeof(float)};

    if (h->layers == 0)
        return z;
    z.qkv = cap * 3 * h->d * sizeof(float);
    z.mixed = cap * h->d * sizeof(float);
    z.feed = PIECE_TOKENS * feed * sizeof(float);
    z.attention = dense_attention_scratch(cap, h->d / h->heads) * sizeof(float);
    z.bytes = PIECE_TOKENS * widest;
    z.scale = PIECE_TOKENS * sizeof(float);
    return z;
}

uint64_t encoder_forward_bytes(const struct encoder_shape *h, size_t tokens)
{
    size_t cap = TOKENS_STEP;
    struct sizes z;

    while (cap < tokens)
        cap *= 2;
    z = sizes_of(h, cap);
    return (uint64_t)z.x + z.qkv + z.mixed + z.feed + z.attention + z.bytes + 2 * z.scale;
}

/* Bounded by the batch and the limits of a shape; NULL for nothing. */
static void *take(size_t bytes, bool *enough)
{
    void *p = NULL;

    if (bytes > 0)
        p = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1));
    *enough &= p != NULL || bytes == 0;
    return p;
}

/* Room for `tokens` rows; grows in steps, so that short texts keep the session small. */
static enum status reserve(struct encoder_scratch *s, size_t tokens)
{
    size_t cap = TOKENS_STEP;
    bool enough = true;
    struct sizes z;

    if (tokens <= s->tokens_cap)
        return ST_OK;
    while (cap < tokens)
        cap *= 2;
    z = sizes_of(&s->weights->shape, cap);
    encoder_forward_release(s);
    s->x = take(z.x, &enough);
    s->qkv = take(z.qkv, &enough);
    s->mixed = take(z.mixed, &enough);
    s->feed = take(z.feed, &enough);
    s->attention = take(z.attention, &enough);
    s->bytes.bytes = take(z.bytes, &enough);
    s->bytes.scale = take(z.scale, &enough);
    s->bytes.zero = take(z.scale, &enough);
    if (!enough) {
        encoder_forward_release(s);
        return ST_NOMEM;
    }
    s->tokens_cap = cap;
    return ST_OK;
}

static bool stopped(struct engine_stop stop)
{
    return stop.fn != NULL && stop.fn(stop.arg);
}

/* y[n][rows] = W x[n][cols] + bias of some tokens. false: stopped. */
static bool multiply_some(struct encoder_scratch *s, const struct encoder_product *p,
                          const float *x, size_t n, float *y, struct engine_stop stop)
{
    const bool exact = s->weights->precision == ENCODER_F32;
    const size_t rows = exact ? p->f32.rows : p->i8.rows;
    const size_t cols = exact ? p->f32.cols : p->i8.cols;
    const size_t step = (PIECE_PRODUCTS / (n * cols * PIECE_ROWS) + 1) * PIECE_ROWS;

    if (!exact)
        s->kernels->quantize(x, n, cols, p->i8.factor, &s->bytes);
    for (size_t from = 0; from < rows; from += step) {
        size_t to = rows - from < step ? rows : from + step;

        if (exact)
            s->kernels->matmul_f32(&p->f32, x, n, from, to, y);
        else
            s->kernels->matmul_i8(&p->i8, &s->bytes, n, from, to, y);
        if (stopped(stop))
            return false;
    }
    return true;
}

static bool multiply(struct encoder_scratch *s, const struct encoder_product *p, const float *x,
                     size_t n, float *y, struct engine_stop stop)
{
    const bool exact = s->weights->precision == ENCODER_F32;
    const size_t rows = exact ? p->f32.rows : p->i8.rows;
    const size_t cols = exact ? p->f32.cols : p->i8.cols;

    for (size_t t = 0; t < n; t += PIECE_TOKENS) {
        size_t some = n - t < PIECE_TOKENS ? n - t : PIECE_TOKENS;

        if (!multiply_some(s, p, x + t * cols, some, y + t * rows, stop))
            return false;
    }
    return true;
}

static bool apply_gelu(struct encoder_scratch *s, size_t n, struct engine_stop stop)
{
    for (size_t i = 0; i < n; i += PIECE_FLOATS) {
        s->kernels->gelu(s->feed + i, n - i < PIECE_FLOATS ? n - i : PIECE_FLOATS);
        if (stopped(stop))
            return false;
    }
    return true;
}

/* up * silu(gate), or gelu(up), of a piece; the rows of s->feed are then `ffn` long. */
static bool activate(struct encoder_scratch *s, size_t n, struct engine_stop stop)
{
    const struct encoder_shape *h = &s->weights->shape;

    if (!h->architecture->gated)
        return apply_gelu(s, n * h->ffn, stop);
    for (size_t t = 0; t < n; t++) {
        /* A row moves up to where one before it was. */
        s->kernels->swiglu(s->feed + 2 * t * h->ffn, h->ffn, s->feed + t * h->ffn);
        if ((t + 1) * h->ffn % PIECE_FLOATS == 0 && stopped(stop))
            return false;
    }
    return !stopped(stop);
}

static void embed_word(const struct encoder_weights *w, uint32_t id, float *x)
{
    size_t d = w->shape.d, row = id * d;

    if (w->precision == ENCODER_F32) {
        memcpy(x, w->words_f32 + row, d * sizeof(*x));
        return;
    }
    for (size_t i = 0; i < d; i++)
        x[i] = (float)w->words_i8[row + i] * w->word_scales[id];
}

/* x[t] = word + position (with the type) */
static void embed(const struct encoder_weights *w, const uint32_t *ids, size_t n, float *x)
{
    size_t d = w->shape.d, step = w->shape.architecture->rotary ? 0 : d;

    for (size_t t = 0; t < n; t++) {
        embed_word(w, ids[t], x + t * d);
        for (size_t i = 0; w->added != NULL && i < d; i++)
            x[t * d + i] += w->added[t * step + i];
    }
}

/* Queries and keys of one text by their positions. */
static void turn(const struct encoder_weights *w, float *qkv, size_t n)
{
    const struct encoder_shape *h = &w->shape;

    for (size_t t = 0; t < n; t++) {
        for (size_t head = 0; head < 2 * h->heads; head++) /* of queries, then of keys */
            rope_turn(&w->rope, qkv + t * 3 * h->d + head * (h->d / h->heads), t);
    }
}

static bool run_attention(struct encoder_scratch *s, const size_t *lengths, size_t texts,
                          struct engine_stop stop)
{
    const struct encoder_shape *h = &s->weights->shape;
    size_t at = 0;

    for (size_t i = 0; i < texts; i++) {
        if (h->architecture->rotary)
            turn(s->weights, s->qkv + at * 3 * h->d, lengths[i]);
        for (size_t head = 0; head < h->heads; head++) {
            bool long_piece = lengths[i] >= PIECE_TOKENS || head + 1 == h->heads;

            s->kernels->attention(s->qkv + at * 3 * h->d, lengths[i], h->d, h->heads, head,
                                  s->attention, s->mixed + at * h->d);
            if (long_piece && stopped(stop))
                return false;
        }
        at += lengths[i];
    }
    return true;
}

/* mixed = down(act(up(x))), piece by piece. false: stopped. */
static bool feed_forward(struct encoder_scratch *s, const struct encoder_layer *l, size_t n,
                         struct engine_stop stop)
{
    size_t d = s->weights->shape.d;

    for (size_t t = 0; t < n; t += PIECE_TOKENS) {
        size_t some = n - t < PIECE_TOKENS ? n - t : PIECE_TOKENS;

        if (!multiply_some(s, &l->up, s->x + t * d, some, s->feed, stop) ||
            !activate(s, some, stop) ||
            !multiply_some(s, &l->down, s->feed, some, s->mixed + t * d, stop))
            return false;
    }
    return true;
}

/* false: stopped. */
static bool run_layer(struct encoder_scratch *s, const struct encoder_layer *l,
                      const size_t *lengths, size_t texts, size_t n, struct engine_stop stop)
{
    const struct encoder_shape *h = &s->weights->shape;
    const struct encoder_norm *a = &l->after_attention, *f = &l->after_feed;

    if (!multiply(s, &l->qkv, s->x, n, s->qkv, stop) ||
        !run_attention(s, lengths, texts, stop) ||
        !multiply(s, &l->out, s->mixed, n, s->qkv, stop))
        return false;
    s->kernels->layer_norm(s->x, s->qkv, a->weight, a->bias, h->eps, n, h->d);
    if (!feed_forward(s, l, n, stop))
        return false;
    s->kernels->layer_norm(s->x, s->mixed, f->weight, f->bias, h->eps, n, h->d);
    return true;
}

enum status encoder_forward(struct encoder_scratch *s, const uint32_t *ids,
                            const size_t *lengths, size_t texts, size_t n,
                            struct engine_stop stop)
{
    const struct encoder_weights *w = s->weights;
    const struct encoder_norm *first = &w->embed_norm;
    enum status st = reserve(s, n);
    size_t at = 0;

    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < texts; i++) {
        embed(w, ids + at, lengths[i], s->x + at * w->shape.d);
        at += lengths[i];
    }
    if (first->weight != NULL)
        s->kernels->layer_norm(s->x, NULL, first->weight, first->bias, w->shape.eps, n,
                               w->shape.d);
    for (size_t i = 0; i < w->shape.layers; i++) {
        if (!run_layer(s, &w->layers[i], lengths, texts, n, stop))
            return ST_CANCELED;
    }
    return ST_OK;
}
