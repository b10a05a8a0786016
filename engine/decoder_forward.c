/* Columns of all sequences meet a row of weights at once, so that it is read and unpacked once
 * for all of them; each looks at the keys of its own sequence only. The output head is computed
 * for the columns whose logits are wanted. */
#include "engine/decoder_forward.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/guess.h"

#define ROW_PIECE    32 /* rows of a matrix that a thread takes at a time: two strips */
#define COLUMN_PIECE 4  /* columns: what lies between products is short */
/* So many answers are each a piece for the threads; fewer are split within, by positions. */
#define SPREAD_LEAST 4
#define ALIGNMENT    64 /* of the widest vector */

/* --- memory --------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t widest_feed(const struct decoder_shape *h)
{
    return larger(larger(h->ffn, h->expert_ffn), h->shared_ffn);
}

/* Columns of the widest input of a matrix. */
static size_t widest(const struct decoder_shape *h)
{
    return larger(larger(widest_feed(h), h->q), h->d);
}

/* Answers of a pass that may each be a thread's piece of attention. */
static size_t spread_most(const struct decoder_shape *h)
{
    size_t n = larger(h->sequences, 1);

    return n < QUANT_TOKENS ? n : QUANT_TOKENS;
}

/* Only layers that see a window turn in the second way. */
static size_t rope_count(const struct decoder_shape *h)
{
    return h->window > 0 ? DECODER_ROPES : 1;
}

static struct kv_shape kv_shape_of(const struct decoder_shape *h)
{
    return (struct kv_shape){h->layers, h->kv_heads, h->width, h->kv_type};
}

size_t decoder_forward_pages(const struct decoder_shape *h)
{
    /* One more, for a page that is shared and to be written. */
    return (larger(h->context, h->cache_tokens) + ATTEND_PAGE - (size_t)1) / ATTEND_PAGE + 1;
}

size_t decoder_forward_answers(const struct decoder_shape *h)
{
    return larger(h->sequences, 1) + (h->guessing != DECODER_GUESS_NEVER ? GUESS_MAX : 0);
}

uint64_t decoder_forward_bytes(const struct decoder_shape *h)
{
    /* Each factor is bounded by decoder_load.c; the product is below 2^50. */
    const struct kv_shape kv = kv_shape_of(h);
    uint64_t floats = decoder_forward_answers(h) * h->vocabulary +
                      spread_most(h) * attention_parts_floats(h->heads, h->width) +
                      QUANT_TOKENS * (2 * h->d + 2 * h->q + 2 * h->kv + 2 * widest_feed(h));
    uint64_t ropes = 0;

    floats += QUANT_TOKENS * DECODER_ADAPTER_RANK_MAX;
    if (h->experts > 0)
        floats += QUANT_TOKENS * (h->experts + 2 * h->experts_used + 2 * h->d);
    for (size_t i = 0; i < rope_count(h); i++)
        ropes += rope_bytes(&h->ropes[i], h->context);
    return floats * sizeof(float) + ropes + kv_cache_bytes(&kv, decoder_forward_pages(h)) +
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
    size_t most = widest(h);

    s->x = floats(QUANT_TOKENS * h->d);
    s->h = floats(QUANT_TOKENS * h->d);
    s->qkv = floats(QUANT_TOKENS * (h->q + 2 * h->kv));
    s->a = floats(QUANT_TOKENS * h->q);
    s->gate = floats(QUANT_TOKENS * widest_feed(h));
    s->up = floats(QUANT_TOKENS * widest_feed(h));
    s->low = floats(QUANT_TOKENS * (size_t)DECODER_ADAPTER_RANK_MAX);
    s->parts = floats(spread_most(h) * attention_parts_floats(h->heads, h->width));
    s->logits = floats(decoder_forward_answers(h) * h->vocabulary);
    s->in.q = take(QUANT_TOKENS * most, 1);
    s->in.d = floats(QUANT_TOKENS * most / QUANT_BLOCK);
    s->in.s = floats(QUANT_TOKENS * most / QUANT_BLOCK);
    s->in.sums = take(QUANT_TOKENS * most / QUANT_BLOCK, 2 * sizeof(*s->in.sums));
    return s->x != NULL && s->h != NULL && s->qkv != NULL && s->a != NULL && s->gate != NULL &&
           s->up != NULL && s->low != NULL && s->parts != NULL && s->logits != NULL &&
           s->in.q != NULL && s->in.d != NULL && s->in.s != NULL && s->in.sums != NULL;
}

/* LongRoPE has factors for short contexts and for long ones: a session takes those of the
 * context it has room for, so that what is in its cache stays right. */
static enum status init_ropes(struct decoder_state *s)
{
    const struct decoder_weights *w = s->weights;
    const struct decoder_shape *h = &w->shape;
    bool is_long = w->rope_long != NULL && h->context > h->rope_original;
    enum status st = rope_init(&s->ropes[DECODER_FAR], &h->ropes[DECODER_FAR],
                               is_long ? w->rope_long : w->rope_factors, h->context);

    if (st == ST_OK && rope_count(h) > DECODER_NEAR)
        st = rope_init(&s->ropes[DECODER_NEAR], &h->ropes[DECODER_NEAR], NULL, h->context);
    return st;
}

static bool take_expert_buffers(struct decoder_state *s)
{
    const struct decoder_shape *h = &s->weights->shape;

    if (h->experts == 0)
        return true;
    s->router = floats(QUANT_TOKENS * h->experts);
    s->choices = take(QUANT_TOKENS * h->experts_used, sizeof(*s->choices));
    s->part = floats(QUANT_TOKENS * h->d);
    s->mixed = floats(QUANT_TOKENS * h->d);
    return s->router != NULL && s->choices != NULL && s->part != NULL && s->mixed != NULL;
}

static enum status open_cache(struct decoder_state *s)
{
    const struct decoder_shape *h = &s->weights->shape;
    const struct kv_shape kv = kv_shape_of(h);

    return kv_cache_open(&kv, decoder_forward_pages(h), &s->cache);
}

enum status decoder_forward_init(struct decoder_state *s, const struct decoder_weights *w,
                                 unsigned threads)
{
    *s = (struct decoder_state){.weights = w, .k = quant_kernels(), .attend = attend_kernels()};
    if (w->shape.width % ATTEND_STEP != 0)
        s->attend = &attend_ref;
    if (!take_buffers(s) || !take_expert_buffers(s) || init_ropes(s) != ST_OK ||
        open_cache(s) != ST_OK || threads_open(threads, &s->threads) != ST_OK)
        return ST_NOMEM;
    return ST_OK;
}

void decoder_forward_release(struct decoder_state *s)
{
    float *const list[] = {s->x,      s->h,    s->qkv,  s->a,      s->gate, s->up,    s->parts,
                           s->logits, s->in.d, s->in.s, s->router, s->part, s->mixed, s->low};

    if (s->threads != NULL)
        threads_close(s->threads);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        free(list[i]);
    for (size_t i = 0; i < DECODER_ROPES; i++)
        rope_release(&s->ropes[i]);
    if (s->cache != NULL)
        kv_cache_close(s->cache);
    free(s->in.q);
    free(s->choices);
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
    bool gated; /* of two, the first is the gate of the second: opened, it is the product */
};

static void open_gate(const struct decoder_state *s, float *gate, const float *up, size_t n)
{
    switch (s->weights->shape.arch->gate) {
    case GATE_SILU:
        s->k->silu_mul(gate, up, n);
        break;
    case GATE_GELU:
        s->k->gelu_mul(gate, up, n);
        break;
    case GATE_RELU2:
        s->k->relu2_mul(gate, up, n);
        break;
    }
}

static void run_gated(void *arg, size_t from, size_t to)
{
    const struct product *p = arg;

    for (size_t i = 0; i < 2; i++)
        p->s->k->matmul(p->w[i], &p->s->in, p->n, from, to, p->y[i], p->ldy[i]);
    for (size_t t = 0; t < p->n; t++)
        open_gate(p->s, p->y[0] + t * p->ldy[0] + from, p->y[1] + t * p->ldy[1] + from,
                  to - from);
}

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

struct input {
    struct decoder_state *s;
    const float *x;
    size_t cols;
};

static void quantize_columns(void *arg, size_t from, size_t to)
{
    const struct input *i = arg;

    for (size_t t = from; t < to; t++)
        i->s->k->quantize(i->x + t * i->cols, i->cols, &i->s->in, t);
}

static void set_input(struct decoder_state *s, const float *x, size_t n, size_t cols)
{
    struct input i = {s, x, cols};

    s->in.x = x;
    threads_run(s->threads, n, COLUMN_PIECE, quantize_columns, &i);
}

static bool is_adapted(const struct decoder_state *s)
{
    for (size_t i = 0; i < s->run_count; i++) {
        if (s->runs[i].adapter != NULL)
            return true;
    }
    return false;
}

/* Each run's own part of the products. */
static void adapt(struct decoder_state *s, const struct product *p, const float *x)
{
    size_t at = 0;

    for (size_t i = 0; i < s->run_count; at += s->runs[i].n, i++) {
        for (size_t k = 0; k < p->count && s->runs[i].adapter != NULL; k++) {
            const struct decoder_adapter_product add = {.k = s->k,
                                                        .threads = s->threads,
                                                        .w = p->w[k],
                                                        .low = s->low,
                                                        .x = x + at * p->w[k]->cols,
                                                        .n = s->runs[i].n,
                                                        .y = p->y[k] + at * p->ldy[k],
                                                        .ldy = p->ldy[k]};

            decoder_adapter_add(s->runs[i].adapter, &add);
        }
    }
}

static void multiply(struct decoder_state *s, struct product *p, const float *x)
{
    size_t rows = 0;

    p->s = s;
    set_input(s, x, p->n, p->w[0]->cols);
    for (size_t i = 0; i < p->count; i++) {
        rows += p->w[i]->rows;
        if (s->on_product != NULL)
            s->on_product(s->arg, p->w[i], x, p->n);
    }
    if (!p->gated) {
        threads_run(s->threads, rows, ROW_PIECE, run_rows, p);
        adapt(s, p, x);
    } else if (!is_adapted(s)) {
        threads_run(s->threads, p->w[0]->rows, ROW_PIECE, run_gated, p);
    } else {
        /* A gate opens when all of it is there. */
        threads_run(s->threads, rows, ROW_PIECE, run_rows, p);
        adapt(s, p, x);
        open_gate(s, p->y[0], p->y[1], p->n * p->ldy[0]);
    }
}

static void multiply_one(struct decoder_state *s, const struct quant_matrix *w, const float *x,
                         size_t n, float *y)
{
    struct product p = {.w = {w}, .y = {y}, .ldy = {w->rows}, .count = 1, .n = n};

    multiply(s, &p, x);
}

/* --- attention ------------------------------------------------------------------------ */

/* Each head of `heads` side by side: its norm, and its turn at `pos`. */
static void place_heads(const struct decoder_state *s, const struct decoder_layer *l,
                        const float *norm, size_t heads, size_t pos, float *v)
{
    const struct decoder_shape *h = &s->weights->shape;

    for (size_t i = 0; i < heads; i++, v += h->width) {
        if (norm != NULL)
            s->k->rms_norm(v, norm, h->eps, h->width, v);
        if (l->positions != DECODER_NONE)
            rope_turn(&s->ropes[l->positions], v, pos);
    }
}

static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void add_bias(float *y, const float *bias, size_t n, size_t cols)
{
    for (size_t t = 0; bias != NULL && t < n; t++)
        add(y + t * cols, bias, cols);
}

static void scale(float *x, float factor, size_t n)
{
    for (size_t i = 0; factor != 1 && i < n; i++)
        x[i] *= factor;
}

struct norm {
    const struct decoder_state *s;
    const float *x, *norm;
    size_t cols;
    float *y;
};

static void normalize_columns(void *arg, size_t from, size_t to)
{
    const struct norm *a = arg;

    for (size_t t = from; t < to; t++)
        a->s->k->rms_norm(a->x + t * a->cols, a->norm, a->s->weights->shape.eps, a->cols,
                          a->y + t * a->cols);
}

/* y[n][cols] = the norm of x; in place as well. */
static void normalize(const struct decoder_state *s, const float *x, const float *norm,
                      size_t n, size_t cols, float *y)
{
    struct norm a = {s, x, norm, cols, y};

    threads_run(s->threads, n, COLUMN_PIECE, normalize_columns, &a);
}

/* What a half of a layer computed, into the stream. */
static void add_to_stream(struct decoder_state *s, const float *post_norm, size_t n)
{
    size_t d = s->weights->shape.d;

    if (post_norm != NULL)
        normalize(s, s->h, post_norm, n, d, s->h);
    add(s->x, s->h, n * d);
}

static void multiply_qkv(struct decoder_state *s, const struct decoder_layer *l, size_t n,
                         float *k, float *v)
{
    const struct decoder_shape *h = &s->weights->shape;
    struct product p = {.w = {&l->q, &l->k, &l->v},
                        .y = {s->qkv, k, v},
                        .ldy = {h->q, h->kv, h->kv},
                        .count = 3,
                        .n = n};

    multiply(s, &p, s->h);
    add_bias(s->qkv, l->q_bias, n, h->q);
    add_bias(k, l->k_bias, n, h->kv);
    add_bias(v, l->v_bias, n, h->kv);
}

/* Columns of one sequence: who computes what they see, and where. */
struct gaze {
    struct decoder_state *s;
    size_t layer;
    const struct decoder_run *run;
    size_t at;               /* of the run's first column in the pass */
    struct threads *threads; /* NULL: the caller alone */
    float *parts;
};

/* Columns at..at + n of the pass, which are the run's. */
static void look(const struct gaze *g, size_t at, size_t n, bool alone)
{
    const struct decoder_state *s = g->s;
    const struct decoder_shape *h = &s->weights->shape;
    const struct attention a = {.k = s->attend,
                                .threads = g->threads,
                                .sequence = g->run->sequence,
                                .layer = g->layer,
                                .heads = h->heads,
                                .kv_heads = h->kv_heads,
                                .width = h->width,
                                .window = s->weights->layers[g->layer].window,
                                .pos = s->pos[at],
                                .n = n,
                                .alone = alone,
                                .scale = h->query_scale / sqrtf((float)h->width),
                                .q = s->qkv + at * h->q,
                                .out = s->a + at * h->q,
                                .parts = g->parts};

    attention_run(&a);
}

/* Columns of an answer one by one, as they come when nothing is guessed. */
static void look_run(const struct gaze *g)
{
    size_t prompt = g->run->n - g->run->answers;

    if (prompt > 0)
        look(g, g->at, prompt, false);
    for (size_t t = prompt; t < g->run->n; t++)
        look(g, g->at + t, 1, true);
}

static void store_keys(const struct gaze *g, const float *k, const float *v)
{
    const struct decoder_shape *h = &g->s->weights->shape;
    const struct attention a = {.k = g->s->attend,
                                .sequence = g->run->sequence,
                                .layer = g->layer,
                                .kv_heads = h->kv_heads,
                                .width = h->width,
                                .pos = g->s->pos[g->at],
                                .n = g->run->n};

    attention_store(&a, k + g->at * h->kv, v + g->at * h->kv);
}

/* What the run's columns see, of the queries, keys k[n][kv] and values v of the pass. */
static void attend_run(const struct gaze *g, float *k, const float *v)
{
    const struct decoder_state *s = g->s;
    const struct decoder_shape *h = &s->weights->shape;
    const struct decoder_layer *l = &s->weights->layers[g->layer];

    for (size_t t = g->at; t < g->at + g->run->n; t++) {
        place_heads(s, l, l->q_norm, h->heads, s->pos[t], s->qkv + t * h->q);
        place_heads(s, l, l->k_norm, h->kv_heads, s->pos[t], k + t * h->kv);
    }
    store_keys(g, k, v);
    look_run(g);
}

/* Runs of one column each. */
struct spread {
    struct decoder_state *s;
    size_t layer;
    const struct decoder_run *runs;
    float *k;
    const float *v;
};

static void attend_spread(void *arg, size_t from, size_t to)
{
    const struct spread *p = arg;
    const struct decoder_shape *h = &p->s->weights->shape;

    for (size_t i = from; i < to; i++) {
        const struct gaze g = {.s = p->s,
                               .layer = p->layer,
                               .run = &p->runs[i],
                               .at = i,
                               .parts = p->s->parts +
                                        i * attention_parts_floats(h->heads, h->width)};

        attend_run(&g, p->k, p->v);
    }
}

static void attend_runs(struct decoder_state *s, size_t layer, const struct decoder_run *runs,
                        size_t count, size_t n, float *k, const float *v)
{
    struct spread p = {s, layer, runs, k, v};
    struct gaze g = {.s = s, .layer = layer, .threads = s->threads, .parts = s->parts};

    if (n == count && count >= SPREAD_LEAST && count <= spread_most(&s->weights->shape)) {
        threads_run(s->threads, count, 1, attend_spread, &p);
        return;
    }
    for (size_t i = 0; i < count; g.at += runs[i].n, i++) {
        g.run = &runs[i];
        attend_run(&g, k, v);
    }
}

static void attend(struct decoder_state *s, size_t layer, const struct decoder_run *runs,
                   size_t count, size_t n)
{
    const struct decoder_shape *h = &s->weights->shape;
    const struct decoder_layer *l = &s->weights->layers[layer];
    float *k = s->qkv + n * h->q, *v = k + n * h->kv;

    normalize(s, s->x, l->attn_norm, n, h->d, s->h);
    multiply_qkv(s, l, n, k, v);
    attend_runs(s, layer, runs, count, n, k, v);
    if (l->attn_sub_norm != NULL)
        normalize(s, s->a, l->attn_sub_norm, n, h->q, s->a);
    multiply_one(s, &l->o, s->a, n, s->h);
    add_bias(s->h, l->o_bias, n, h->d);
    add_to_stream(s, l->attn_post_norm, n);
}

/* --- feed-forward --------------------------------------------------------------------- */

/* y[n][d] of x[n][d]; y may be x. sub_norm: of what goes down, or NULL. */
static void feed(struct decoder_state *s, const struct decoder_feed *f, const float *sub_norm,
                 const float *x, size_t n, float *y)
{
    size_t ffn = f->up.rows;
    struct product p = {.w = {&f->gate, &f->up},
                        .y = {s->gate, s->up},
                        .ldy = {ffn, ffn},
                        .count = 2,
                        .n = n,
                        .gated = true};

    multiply(s, &p, x);
    if (sub_norm != NULL)
        normalize(s, s->gate, sub_norm, n, ffn, s->gate);
    multiply_one(s, &f->down, s->gate, n, y);
}

/* mixed[column] += weight * y */
static void mix(struct decoder_state *s, size_t column, float weight, const float *y)
{
    size_t d = s->weights->shape.d;
    float *to = s->mixed + column * d;

    for (size_t i = 0; i < d; i++)
        to[i] += weight * y[i];
}

/* One expert, for those of n columns that have chosen it. */
static void feed_expert(struct decoder_state *s, const struct decoder_feed *f, size_t expert,
                        size_t n)
{
    const struct decoder_shape *h = &s->weights->shape;
    size_t columns[QUANT_TOKENS], m = 0;
    float weights[QUANT_TOKENS];

    for (size_t i = 0; i < n * h->experts_used; i++) {
        if (s->choices[i].expert != expert)
            continue;
        columns[m] = i / h->experts_used;
        weights[m] = s->choices[i].weight;
        memcpy(s->part + m * h->d, s->h + columns[m] * h->d, h->d * sizeof(*s->part));
        m++;
    }
    if (m == 0)
        return;
    feed(s, f, NULL, s->part, m, s->part);
    for (size_t k = 0; k < m; k++)
        mix(s, columns[k], weights[k], s->part + k * h->d);
}

static float sigmoid_of_product(const float *w, const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)w[i] * (double)x[i];
    return (float)(1 / (1 + exp(-sum)));
}

/* Only the experts that a column has chosen are read. */
static void feed_experts(struct decoder_state *s, const struct decoder_experts *x, size_t n)
{
    const struct decoder_shape *h = &s->weights->shape;

    multiply_one(s, &x->router, s->h, n, s->router);
    for (size_t t = 0; t < n; t++)
        experts_choose(s->router + t * h->experts, h->experts, h->experts_used,
                       h->arch->renormalizes_experts, s->choices + t * h->experts_used);
    memset(s->mixed, 0, n * h->d * sizeof(*s->mixed));
    for (size_t e = 0; e < h->experts; e++)
        feed_expert(s, &x->list[e], e, n);
    if (x->shared_gate != NULL) {
        feed(s, &x->shared, NULL, s->h, n, s->part);
        for (size_t t = 0; t < n; t++)
            mix(s, t, sigmoid_of_product(x->shared_gate, s->h + t * h->d, h->d),
                s->part + t * h->d);
    }
    memcpy(s->h, s->mixed, n * h->d * sizeof(*s->h));
}

static void feed_forward(struct decoder_state *s, const struct decoder_layer *l, size_t n)
{
    normalize(s, s->x, l->ffn_norm, n, s->weights->shape.d, s->h);
    if (l->experts != NULL)
        feed_experts(s, l->experts, n);
    else
        feed(s, &l->feed, l->ffn_sub_norm, s->h, n, s->h);
    add_to_stream(s, l->ffn_post_norm, n);
}

/* --- the pass ------------------------------------------------------------------------- */

static enum status run_layers(struct decoder_state *s, const struct decoder_run *runs,
                              size_t count, size_t n, struct engine_stop stop)
{
    for (size_t i = 0; i < s->weights->shape.layers; i++) {
        if (stop.fn != NULL && stop.fn(stop.arg))
            return ST_CANCELED;
        attend(s, i, runs, count, n);
        feed_forward(s, &s->weights->layers[i], n);
    }
    return ST_OK;
}

/* The logits that are wanted, in the order of their columns. */
static void run_head(struct decoder_state *s, const struct decoder_run *runs, size_t count)
{
    const struct decoder_weights *w = s->weights;
    size_t d = w->shape.d, at = 0, answers = 0;

    for (size_t i = 0; i < count; i++) {
        at += runs[i].n;
        for (size_t t = at - runs[i].answers; t < at; t++, answers++)
            s->k->rms_norm(s->x + t * d, w->out_norm, w->shape.eps, d, s->h + answers * d);
    }
    if (answers > 0)
        multiply_one(s, &w->head, s->h, answers, s->logits);
}

static enum status check_runs(const struct decoder_state *s, const struct decoder_run *runs,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < runs[i].n; t++) {
            if (runs[i].ids[t] >= s->weights->shape.vocabulary)
                return ST_INVALID;
        }
        if (runs[i].n == 0 || runs[i].n > s->weights->shape.context - runs[i].sequence->length)
            return ST_LIMIT;
    }
    return ST_OK;
}

/* Sequences have room for their columns, or none has. */
static enum status extend(const struct decoder_run *runs, size_t count)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < count && st == ST_OK; i++) {
        st = kv_cache_extend(runs[i].sequence, runs[i].ids, runs[i].n);
        for (size_t k = 0; st != ST_OK && k < i; k++)
            kv_cache_truncate(runs[k].sequence, runs[k].sequence->length - (uint32_t)runs[k].n);
    }
    return st;
}

/* Their embeddings and positions. Returns how many columns there are. */
static size_t place_columns(struct decoder_state *s, const struct decoder_run *runs,
                            size_t count)
{
    const struct decoder_weights *w = s->weights;
    size_t d = w->shape.d, n = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t from = runs[i].sequence->length - (uint32_t)runs[i].n;

        for (size_t t = 0; t < runs[i].n; t++, n++) {
            assert(n < QUANT_TOKENS);
            quant_row(&w->embeddings, runs[i].ids[t], s->x + n * d);
            s->pos[n] = from + (uint32_t)t;
        }
    }
    scale(s->x, w->shape.embedding_scale, n * d);
    return n;
}

enum status decoder_forward(struct decoder_state *s, const struct decoder_run *runs,
                            size_t count, struct engine_stop stop)
{
    enum status st = check_runs(s, runs, count);
    size_t n;

    if (st == ST_OK)
        st = extend(runs, count);
    if (st != ST_OK)
        return st;
    n = place_columns(s, runs, count);
    s->runs = runs;
    s->run_count = count;
    st = run_layers(s, runs, count, n, stop);
    s->run_count = 0; /* the head's columns are others, and it is not adapted */
    for (size_t i = 0; i < count; i++) {
        struct kv_sequence *q = runs[i].sequence;

        if (st == ST_OK)
            kv_cache_commit(q);
        else
            kv_cache_truncate(q, q->length - (uint32_t)runs[i].n);
    }
    if (st == ST_OK)
        run_head(s, runs, count);
    return st;
}

enum status decoder_forward_feed(struct decoder_state *s, const struct decoder_run *run,
                                 struct engine_stop stop)
{
    enum status st = ST_OK;

    if (run->n == 0 || run->n > s->weights->shape.context - run->sequence->length)
        return ST_LIMIT;
    for (size_t done = 0; st == ST_OK && done < run->n; done += QUANT_TOKENS) {
        struct decoder_run part = *run;

        part.ids = run->ids + done;
        part.n = run->n - done < QUANT_TOKENS ? run->n - done : QUANT_TOKENS;
        part.answers = done + part.n == run->n;
        st = decoder_forward(s, &part, 1, stop);
    }
    return st;
}
