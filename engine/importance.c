#include "engine/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/error.h"
#include "engine/text_chunks.h"

#define ARENA_LIMIT (1024u * 1024 * 1024)
#define LEAST       1e-3 /* of the mean: a column that a text leaves alone is not worth nothing */

void importance_init(struct importance *m)
{
    *m = (struct importance){.list = NULL};
    arena_init(&m->arena, 1 << 20, ARENA_LIMIT);
}

void importance_release(struct importance *m)
{
    arena_release(&m->arena);
    free(m->list);
    m->list = NULL;
}

/* --- sums ------------------------------------------------------------------------------- */

static struct importance_tensor *find(const struct importance *m, struct span name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (span_eq(m->list[i].name, name))
            return &m->list[i];
    }
    return NULL;
}

const struct importance_tensor *importance_find(const struct importance *m, struct span name)
{
    return find(m, name);
}

static bool grow(struct importance *m)
{
    size_t cap = m->cap > 0 ? 2 * m->cap : 256;
    struct importance_tensor *list;

    if (m->count < m->cap)
        return true;
    list = realloc(m->list, cap * sizeof(*list));
    if (list == NULL)
        return false;
    m->list = list;
    m->cap = cap;
    return true;
}

static void *take_zeros(struct importance *m, size_t count, size_t size)
{
    size_t bytes;
    void *p = size_mul(count, size, &bytes) ? arena_alloc(&m->arena, bytes, size) : NULL;

    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

/* NULL: out of memory. */
static struct importance_tensor *append(struct importance *m, struct span name, size_t matrices,
                                        size_t cols)
{
    struct importance_tensor t = {.matrices = matrices, .cols = cols};
    char *copy = arena_alloc(&m->arena, name.len, 1);
    size_t values;

    if (copy == NULL || !size_mul(matrices, cols, &values) || !grow(m))
        return NULL;
    memcpy(copy, name.ptr, name.len);
    t.name = (struct span){copy, name.len};
    t.sums = take_zeros(m, values, sizeof(*t.sums));
    t.counts = take_zeros(m, matrices, sizeof(*t.counts));
    if (t.sums == NULL || t.counts == NULL)
        return NULL;
    m->list[m->count] = t;
    return &m->list[m->count++];
}

enum status importance_add(struct importance *m, struct span name, size_t matrices, size_t at,
                           const float *x, size_t n, size_t cols)
{
    struct importance_tensor *t = find(m, name);
    double *sums;

    if (t == NULL)
        t = append(m, name, matrices, cols);
    if (t == NULL)
        return ST_NOMEM;
    if (t->matrices != matrices || t->cols != cols || at >= matrices)
        return ST_INVALID;
    sums = t->sums + at * cols;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < cols; i++)
            sums[i] += (double)x[k * cols + i] * (double)x[k * cols + i];
    }
    t->counts[at] += n;
    return ST_OK;
}

bool importance_weights(const struct importance_tensor *t, size_t at, float *out)
{
    const double *sums = t->sums + at * t->cols;
    double mean = 0;

    for (size_t i = 0; i < t->cols; i++)
        mean += sums[i] / (double)t->cols;
    if (!(mean > 0) || !isfinite(mean))
        return false;
    for (size_t i = 0; i < t->cols; i++)
        out[i] = (float)fmax(sums[i] / mean, LEAST);
    return true;
}

/* --- from a text ------------------------------------------------------------------------ */

struct collector {
    struct importance *m;
    enum status st; /* the first failure stays */
};

static void on_input(void *arg, const struct decoder_input *in)
{
    static const struct span layers = {"blk.", 4};
    struct collector *c = arg;

    /* The head is computed for one token of a chunk only: too few to say anything. */
    if (c->st != ST_OK || in->tensor.len < layers.len ||
        memcmp(in->tensor.ptr, layers.ptr, layers.len) != 0)
        return;
    c->st = importance_add(c->m, in->tensor, in->matrices, in->matrix, in->x, in->n, in->cols);
}

static enum status run(struct importance *m, struct decoder_session *s,
                       const struct text_chunks *chunks, importance_progress_fn *progress,
                       void *arg)
{
    const struct engine_stop never = {NULL, NULL};
    struct collector c = {.m = m, .st = ST_OK};
    enum status st = ST_OK;

    decoder_session_observe(s, on_input, &c);
    for (size_t i = 0; st == ST_OK && i < chunks->count; i++) {
        if (progress != NULL)
            progress(arg, i, chunks->count);
        st = decoder_prefill(s, text_chunks_get(chunks, i), chunks->context, never);
        st = st == ST_OK ? c.st : st;
    }
    return st;
}

enum status importance_collect(struct importance *m, const char *path, struct span text,
                               unsigned threads, importance_progress_fn *progress, void *arg,
                               struct engine_error *err)
{
    const struct decoder_options o = {.context_max = IMPORTANCE_CHUNK, .tokens_only = true};
    struct text_chunks chunks = {.ids = NULL};
    struct decoder_session *s = NULL;
    struct model_info info;
    struct decoder *d;
    enum status st = decoder_open(path, &o, &d, err);

    if (st != ST_OK)
        return st;
    decoder_info(d, &info);
    m->chunk = info.context_max;
    st = text_chunks_open(d, text, info.context_max, &chunks);
    if (st == ST_OK && chunks.count == 0) {
        st = error_set(err, ST_INVALID,
                       "the text for the importance matrix has %zu tokens, fewer than the %u "
                       "of a chunk",
                       chunks.tokens, m->chunk);
    } else {
        if (st == ST_OK)
            st = decoder_session_open(d, threads, &s);
        if (st == ST_OK)
            st = run(m, s, &chunks, progress, arg);
        if (st != ST_OK)
            (void)error_set(err, st, "the text for the importance matrix: %s", status_text(st));
    }
    m->chunks = (uint32_t)chunks.count;
    if (s != NULL)
        decoder_session_close(s);
    text_chunks_close(&chunks);
    decoder_close(d);
    return st;
}
