/* A piece of work is a key head's query heads for a few columns, so that its keys are read
 * once for all of them. A column alone is split by positions instead, or few key heads
 * would be few threads' work; where, depends on its position only, so that an answer does
 * not change with the number of threads. */
#include "engine/attention.h"

#define PARTS_MAX  8 /* that the positions of a column are split into */
#define PART_LEAST 8 /* pages; less is not worth putting together */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t attention_parts_floats(size_t heads, size_t width)
{
    return PARTS_MAX * heads * (width + 2);
}

void attention_store(const struct attention *a, const float *keys, const float *values)
{
    for (size_t h = 0; h < a->kv_heads; h++) {
        struct attend_keys slots = kv_cache_keys(a->sequence, a->layer, h);

        for (size_t t = 0; t < a->n; t++) {
            size_t pos = a->pos + t, from = (t * a->kv_heads + h) * a->width;

            a->k->store(slots.type, attend_slot(&slots, pos / ATTEND_PAGE), pos % ATTEND_PAGE,
                        a->width, keys + from, values + from);
        }
    }
}

/* --- rows ----------------------------------------------------------------------------- */

/* Query rows that read the same keys: columns from..from + columns of heads head..head +
 * heads. */
struct block {
    size_t kv_head, head, heads, from, columns;
};

struct rows {
    uint32_t first[ATTEND_ROWS_MAX], last[ATTEND_ROWS_MAX];
    float q[ATTEND_ROWS_MAX * ATTEND_WIDTH_MAX];
};

static struct attend_queries gather(const struct attention *a, const struct block *b,
                                    struct rows *to)
{
    size_t n = 0;

    for (size_t t = b->from; t < b->from + b->columns; t++) {
        for (size_t h = b->head; h < b->head + b->heads; h++, n++) {
            const float *q = a->q + (t * a->heads + h) * a->width;
            size_t seen = a->pos + t + 1;

            to->last[n] = (uint32_t)(seen - 1);
            to->first[n] = (uint32_t)(a->window > 0 && seen > a->window ? seen - a->window : 0);
            for (size_t i = 0; i < a->width; i++)
                to->q[n * a->width + i] = q[i] * a->scale;
        }
    }
    return (struct attend_queries){to->q, to->first, to->last, n, a->width};
}

static void finish(const float *out, float sum, size_t width, float *to)
{
    float factor = 1 / sum;

    for (size_t i = 0; i < width; i++)
        to[i] = out[i] * factor;
}

/* --- several columns ------------------------------------------------------------------ */

/* Pieces in one key head's work: by columns, and by heads where they are too many. */
struct plan {
    const struct attention *a;
    size_t group, heads, columns; /* query heads a key head; of a block */
    size_t head_blocks, column_blocks;
};

static struct plan plan_of(const struct attention *a)
{
    struct plan p = {.a = a, .group = a->heads / a->kv_heads};

    p.heads = smaller(p.group, ATTEND_ROWS_MAX);
    p.columns = ATTEND_ROWS_MAX / p.heads;
    p.head_blocks = (p.group + p.heads - 1) / p.heads;
    p.column_blocks = (a->n + p.columns - 1) / p.columns;
    return p;
}

static struct block block_of(const struct plan *p, size_t i)
{
    struct block b = {.kv_head = i / (p->head_blocks * p->column_blocks)};
    size_t head = i / p->column_blocks % p->head_blocks * p->heads;

    b.from = i % p->column_blocks * p->columns;
    b.columns = smaller(p->columns, p->a->n - b.from);
    b.head = b.kv_head * p->group + head;
    b.heads = smaller(p->heads, p->group - head);
    return b;
}

static void run_block(const struct attention *a, const struct block *b)
{
    float most[ATTEND_ROWS_MAX], sum[ATTEND_ROWS_MAX];
    float out[ATTEND_ROWS_MAX * ATTEND_WIDTH_MAX];
    struct attend_keys keys = kv_cache_keys(a->sequence, a->layer, b->kv_head);
    struct rows rows;
    struct attend_queries q = gather(a, b, &rows);
    const struct attend_state s = {most, sum, out};

    a->k->pages(&q, &keys, 0, (a->pos + b->from + b->columns - 1) / ATTEND_PAGE + 1, &s);
    for (size_t r = 0; r < q.rows; r++) {
        size_t t = b->from + r / b->heads, h = b->head + r % b->heads;

        finish(out + r * a->width, sum[r], a->width, a->out + (t * a->heads + h) * a->width);
    }
}

static void run_blocks(void *arg, size_t from, size_t to)
{
    const struct plan *p = arg;

    for (size_t i = from; i < to; i++) {
        struct block b = block_of(p, i);

        run_block(p->a, &b);
    }
}

/* --- one column ----------------------------------------------------------------------- */

/* Parts of the positions first..pos: pages from + i * each and on. */
struct split {
    struct plan plan;
    size_t from, to, each, parts;
};

static struct split split_of(const struct attention *a)
{
    size_t seen = a->pos + 1, first = a->window > 0 && seen > a->window ? seen - a->window : 0;
    struct split s = {
        .plan = plan_of(a), .from = first / ATTEND_PAGE, .to = a->pos / ATTEND_PAGE + 1};
    size_t n = s.to - s.from;

    s.each = (n + PARTS_MAX - 1) / PARTS_MAX;
    if (s.each < PART_LEAST)
        s.each = PART_LEAST;
    s.parts = (n + s.each - 1) / s.each;
    return s;
}

/* parts: most [PARTS_MAX][heads], sum the same, out [PARTS_MAX][heads][width] */
static struct attend_state state_of(const struct attention *a, size_t part, size_t head)
{
    size_t all = PARTS_MAX * a->heads, at = part * a->heads + head;

    return (struct attend_state){a->parts + at, a->parts + all + at,
                                 a->parts + 2 * all + at * a->width};
}

static void run_parts(void *arg, size_t from, size_t to)
{
    const struct split *s = arg;
    const struct attention *a = s->plan.a;

    for (size_t i = from; i < to; i++) {
        size_t part = i % s->parts, start = s->from + part * s->each;
        struct block b = block_of(&s->plan, i / s->parts);
        struct attend_keys keys = kv_cache_keys(a->sequence, a->layer, b.kv_head);
        struct attend_state state = state_of(a, part, b.head);
        struct rows rows;
        struct attend_queries q = gather(a, &b, &rows);

        a->k->pages(&q, &keys, start, smaller(start + s->each, s->to), &state);
    }
}

static void share(const struct attention *a, size_t pieces, threads_fn *fn, void *arg)
{
    if (a->threads != NULL)
        threads_run(a->threads, pieces, 1, fn, arg);
    else
        fn(arg, 0, pieces);
}

static void run_column(const struct attention *a)
{
    struct split s = split_of(a);
    struct attend_state all = state_of(a, 0, 0);

    share(a, a->kv_heads * s.plan.head_blocks * s.parts, run_parts, &s);
    for (size_t i = 1; i < s.parts; i++) {
        struct attend_state part = state_of(a, i, 0);

        attend_merge(&all, &part, a->heads, a->width);
    }
    for (size_t h = 0; h < a->heads; h++)
        finish(all.out + h * a->width, all.sum[h], a->width, a->out + h * a->width);
}

void attention_run(const struct attention *a)
{
    struct plan p = plan_of(a);

    if (a->alone)
        run_column(a);
    else
        share(a, a->kv_heads * p.head_blocks * p.column_blocks, run_blocks, &p);
}
