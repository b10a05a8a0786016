#include "engine/decoder_adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/decoder_model.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/gguf.h"

#define ARENA_LIMIT (64u * 1024 * 1024)
#define NAME_BYTES  288
#define RANK_STEP   32 /* the kernels' of floats: B's rows are filled up with zeros */
#define PIECE       32 /* rows that are added at a time */
#define LAYER_PARTS 7

/* What one matrix of the decoder gets. */
struct pair {
    const struct quant_matrix *of; /* borrowed from the decoder */
    struct quant_matrix a, b;      /* F32; b.cols: rank, filled up */
    float scale;
};

struct decoder_adapter {
    struct decoder *of; /* borrowed: its memory is reckoned there */
    struct pair *pairs; /* owned, [count], by the address of `of` */
    size_t count, cap;
    float *values; /* owned: of all a and b */
    size_t value_count;
    uint64_t partition;
    struct decoder_adapter_info info;
};

/* --- the file --------------------------------------------------------------------------- */

struct loader {
    const struct decoder *d;
    const struct gguf *g;
    struct decoder_adapter *out;
    struct engine_error *err;
    float alpha;
};

/* One tensor of the base that is changed. */
struct change {
    struct span name; /* of the base */
    const struct gguf_tensor *base, *a, *b;
    size_t rank, filled;
};

static bool ends_with(struct span s, const char *end, struct span *before)
{
    size_t n = strlen(end);

    if (s.len <= n || memcmp(s.ptr + s.len - n, end, n) != 0)
        return false;
    *before = (struct span){s.ptr, s.len - n};
    return true;
}

static enum status refuse(struct loader *l, const struct gguf_tensor *t, const char *why)
{
    return error_set(l->err, ST_INVALID, "tensor '%.*s' %s", (int)t->name.len, t->name.ptr,
                     why);
}

static enum status check_keys(struct loader *l)
{
    struct span type = gguf_string(l->g, "general.type");
    struct span kind = gguf_string(l->g, "adapter.type");
    struct span arch = gguf_string(l->g, "general.architecture");
    const char *wanted = l->d->weights.shape.arch->name;

    if (!span_eq(type, SPAN("adapter")))
        return error_set(l->err, ST_INVALID,
                         "it is no adapter: its general.type is not 'adapter'");
    if (!span_eq(kind, SPAN("lora")) || gguf_find(l->g, "adapter.alora.invocation_tokens"))
        return error_set(l->err, ST_INVALID,
                         "adapters are plain LoRA; its adapter.type is '%.*s'",
                         (int)(kind.len < 32 ? kind.len : 32), kind.len > 0 ? kind.ptr : "");
    if (arch.len != strlen(wanted) || memcmp(arch.ptr, wanted, arch.len) != 0)
        return error_set(
            l->err, ST_INVALID, "it is for the architecture '%.*s', the model is '%s'",
            (int)(arch.len < 32 ? arch.len : 32), arch.len > 0 ? arch.ptr : "", wanted);
    if (!gguf_f32(l->g, "adapter.lora.alpha", &l->alpha) || !isfinite(l->alpha))
        return error_set(l->err, ST_INVALID, "adapter.lora.alpha is missing, or no number");
    return ST_OK;
}

/* The other one of a pair; NULL with a word. */
static const struct gguf_tensor *partner(struct loader *l, struct span name, const char *end)
{
    const struct gguf_tensor *t;
    char text[NAME_BYTES];

    snprintf(text, sizeof(text), "%.*s%s", (int)name.len, name.ptr, end);
    t = gguf_tensor_find(l->g, text);
    if (t == NULL)
        (void)error_set(l->err, ST_INVALID, "tensor '%s' is missing", text);
    return t;
}

/* From a tensor NAME.lora_a. */
static enum status read_change(struct loader *l, const struct gguf_tensor *a, struct change *c)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof(name), "%.*s", (int)c->name.len, c->name.ptr);
    c->a = a;
    c->b = partner(l, c->name, ".lora_b");
    c->base = gguf_tensor_find(&l->d->gguf, name);
    if (c->b == NULL)
        return ST_INVALID;
    if (c->base == NULL)
        return refuse(l, a, "is for a matrix that the model has not got");
    if (c->base->dims != 2)
        return refuse(l, a, "is for what is no single matrix");
    if (a->dims != 2 || a->shape[0] != c->base->shape[0] || a->shape[1] < 1 ||
        a->shape[1] > DECODER_ADAPTER_RANK_MAX || format_of(a->type)->values == 0)
        return refuse(l, a, "has not the columns of the matrix it is for, or a rank above 256");
    if (c->b->dims != 2 || c->b->shape[0] != a->shape[1] ||
        c->b->shape[1] != c->base->shape[1] || format_of(c->b->type)->values == 0)
        return refuse(l, c->b, "has not the rows of the matrix it is for, or another rank");
    c->rank = (size_t)a->shape[1];
    c->filled = (c->rank + RANK_STEP - 1) / RANK_STEP * RANK_STEP;
    return ST_OK;
}

static size_t change_floats(const struct change *c)
{
    return c->rank * (size_t)c->base->shape[0] + c->filled * (size_t)c->base->shape[1];
}

/* --- values ----------------------------------------------------------------------------- */

/* Rows of `t` as floats, `stride` apart. */
static enum status take_rows(struct loader *l, const struct gguf_tensor *t, size_t stride,
                             float *out)
{
    const struct format *f = format_of(t->type);
    size_t cols = (size_t)t->shape[0], rows = (size_t)t->shape[1];
    size_t row_bytes = cols / f->values * f->bytes;

    for (size_t r = 0; r < rows; r++) {
        float *to = out + r * stride;

        format_row(t->type, (const uint8_t *)t->data.ptr + r * row_bytes, cols, to);
        for (size_t i = 0; i < cols; i++) {
            if (!isfinite(to[i]))
                return refuse(l, t, "holds a value that is not finite");
        }
        for (size_t i = cols; i < stride; i++)
            to[i] = 0;
    }
    return ST_OK;
}

static struct quant_matrix matrix_of(const float *values, size_t rows, size_t cols)
{
    return (struct quant_matrix){.type = FORMAT_F32,
                                 .rows = rows,
                                 .cols = cols,
                                 .data = (const uint8_t *)values,
                                 .row_bytes = cols * sizeof(float)};
}

/* Of a layer, what lies in the bytes of the base's tensor: one matrix, or fused ones. */
static size_t find_matrices(const struct decoder_layer *l, const struct gguf_tensor *t,
                            const struct quant_matrix *out[LAYER_PARTS])
{
    const struct quant_matrix *const all[LAYER_PARTS] = {
        &l->q, &l->k, &l->v, &l->o, &l->feed.gate, &l->feed.up, &l->feed.down};
    uintptr_t from = (uintptr_t)t->data.ptr;
    size_t n = 0;

    for (size_t i = 0; i < LAYER_PARTS; i++) {
        uintptr_t at = (uintptr_t)all[i]->data;

        if (all[i]->data != NULL && at >= from && at < from + t->data.len)
            out[n++] = all[i];
    }
    return n;
}

static void add_pairs(struct loader *l, const struct change *c, const float *a, const float *b)
{
    const struct decoder_weights *w = &l->d->weights;
    const struct quant_matrix *list[LAYER_PARTS];
    struct decoder_adapter *out = l->out;

    for (size_t i = 0; i < w->shape.layers; i++) {
        size_t n = find_matrices(&w->layers[i], c->base, list);

        for (size_t k = 0; k < n; k++) {
            size_t from = (size_t)(list[k]->data - (const uint8_t *)c->base->data.ptr) /
                          list[k]->row_bytes;

            out->pairs[out->count++] =
                (struct pair){.of = list[k],
                              .a = matrix_of(a, c->rank, (size_t)c->base->shape[0]),
                              .b = matrix_of(b + from * c->filled, list[k]->rows, c->filled),
                              .scale = l->alpha != 0 ? l->alpha / (float)c->rank : 1};
        }
    }
}

static enum status take_change(struct loader *l, const struct change *c)
{
    struct decoder_adapter *out = l->out;
    float *a = out->values + out->value_count;
    float *b = a + c->rank * (size_t)c->base->shape[0];
    size_t before = out->count;
    enum status st = take_rows(l, c->a, (size_t)c->a->shape[0], a);

    if (st == ST_OK)
        st = take_rows(l, c->b, c->filled, b);
    if (st != ST_OK)
        return st;
    out->value_count += change_floats(c);
    add_pairs(l, c, a, b);
    if (out->count == before)
        return refuse(l, c->a, "is for what adapters do not change: only matrices of layers");
    if (c->rank > out->info.rank)
        out->info.rank = (uint32_t)c->rank;
    return ST_OK;
}

/* --- opening ---------------------------------------------------------------------------- */

/* Calls fn, or only counts, for every pair of tensors. */
static enum status walk(struct loader *l, bool take, size_t *floats)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < l->g->tensor_count; i++) {
        const struct gguf_tensor *t = &l->g->tensors[i];
        struct change c = {.rank = 0};

        if (ends_with(t->name, ".lora_b", &c.name)) {
            st = partner(l, c.name, ".lora_a") != NULL ? ST_OK : ST_INVALID;
            continue;
        }
        if (!ends_with(t->name, ".lora_a", &c.name))
            return refuse(l, t, "is no part of a LoRA adapter");
        st = read_change(l, t, &c);
        if (st == ST_OK && take)
            st = take_change(l, &c);
        else if (st == ST_OK)
            *floats += change_floats(&c);
    }
    return st;
}

static int by_matrix(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct pair *)a)->of;
    uintptr_t y = (uintptr_t)((const struct pair *)b)->of;

    return (x > y) - (x < y);
}

static enum status take_memory(struct loader *l, struct decoder *d, size_t floats)
{
    size_t pairs = LAYER_PARTS * d->weights.shape.layers;
    uint64_t bytes = floats * (uint64_t)sizeof(float) + pairs * sizeof(struct pair);

    if (d->memory_max > 0 && bytes > d->memory_max - d->memory_needed)
        return error_set(l->err, ST_LIMIT,
                         "the adapter needs %llu KiB, more than the model has left it",
                         (unsigned long long)(bytes >> 10));
    l->out->values = aligned_alloc(64, (floats * sizeof(float) + 64) & ~(size_t)63);
    l->out->pairs = malloc(pairs * sizeof(*l->out->pairs));
    if (l->out->values == NULL || l->out->pairs == NULL)
        return error_set(l->err, ST_NOMEM, "out of memory");
    d->memory_needed += bytes;
    l->out->of = d;
    l->out->info.memory_bytes = bytes;
    return ST_OK;
}

static enum status load(struct loader *l, struct decoder *d)
{
    size_t floats = 0;
    enum status st = check_keys(l);

    if (st == ST_OK)
        st = walk(l, false, &floats);
    if (st == ST_OK && floats == 0)
        st = error_set(l->err, ST_INVALID, "the adapter has no tensors");
    if (st == ST_OK)
        st = take_memory(l, d, floats);
    if (st == ST_OK)
        st = walk(l, true, NULL);
    return st;
}

/* Of all its bytes: it is small, and two of one training differ in few. */
static void identify(struct decoder_adapter *a, struct span bytes)
{
    uint64_t high = hash_bytes(bytes, 0), low = hash_bytes(bytes, 1);

    snprintf(a->info.id, sizeof(a->info.id), "xxh3:%016llx%016llx", (unsigned long long)high,
             (unsigned long long)low);
    a->partition = high | 1;
}

enum status decoder_adapter_open(struct decoder *d, const char *path,
                                 struct decoder_adapter **out, struct engine_error *err)
{
    struct decoder_adapter *a = calloc(1, sizeof(*a));
    struct file file = {{NULL, 0}};
    struct loader l = {.d = d, .out = a, .err = err};
    struct arena arena;
    struct gguf g;
    enum status st = a != NULL ? ST_OK : error_set(err, ST_NOMEM, "out of memory");

    arena_init(&arena, 1 << 16, ARENA_LIMIT);
    if (st == ST_OK)
        st = file_read(path, d->memory_max, &file, err);
    if (st == ST_OK)
        st = gguf_read(file.bytes, &arena, &g, err);
    l.g = &g;
    if (st == ST_OK)
        st = load(&l, d);
    if (st == ST_OK) {
        qsort(a->pairs, a->count, sizeof(*a->pairs), by_matrix);
        identify(a, file.bytes);
        a->info.matrices = (uint32_t)a->count;
        *out = a;
    } else if (a != NULL) {
        decoder_adapter_close(a);
    }
    arena_release(&arena);
    file_release(&file);
    return st;
}

void decoder_adapter_close(struct decoder_adapter *a)
{
    if (a->of != NULL)
        a->of->memory_needed -= a->info.memory_bytes;
    free(a->pairs);
    free(a->values);
    free(a);
}

void decoder_adapter_info(const struct decoder_adapter *a, struct decoder_adapter_info *out)
{
    *out = a->info;
}

uint64_t decoder_adapter_partition(const struct decoder_adapter *a)
{
    return a->partition;
}

/* --- products --------------------------------------------------------------------------- */

struct work {
    const struct decoder_adapter_product *p;
    const struct pair *pair;
};

static void run_down(void *arg, size_t from, size_t to)
{
    const struct work *w = arg;
    const struct quant_input in = {.x = w->p->x};

    w->p->k->matmul(&w->pair->a, &in, w->p->n, from, to, w->p->low, w->pair->b.cols);
}

static void add_up(const struct work *w, size_t from, size_t rows)
{
    const struct decoder_adapter_product *p = w->p;
    const struct quant_input in = {.x = p->low};
    struct quant_matrix b = w->pair->b;
    float part[QUANT_TOKENS * PIECE];

    b.data += from * b.row_bytes;
    b.rows = rows;
    p->k->matmul(&b, &in, p->n, 0, rows, part, PIECE);
    for (size_t t = 0; t < p->n; t++) {
        for (size_t r = 0; r < rows; r++)
            p->y[t * p->ldy + from + r] += w->pair->scale * part[t * PIECE + r];
    }
}

static void run_up(void *arg, size_t from, size_t to)
{
    for (; from < to; from += PIECE)
        add_up(arg, from, to - from < PIECE ? to - from : PIECE);
}

void decoder_adapter_add(const struct decoder_adapter *a,
                         const struct decoder_adapter_product *p)
{
    const struct pair key = {.of = p->w};
    struct work w = {.p = p};
    size_t filled;

    w.pair = bsearch(&key, a->pairs, a->count, sizeof(key), by_matrix);
    if (w.pair == NULL)
        return;
    filled = w.pair->b.cols;
    for (size_t t = 0; t < p->n; t++) /* beyond the rank, numbers at least */
        memset(p->low + t * filled + w.pair->a.rows, 0,
               (filled - w.pair->a.rows) * sizeof(*p->low));
    threads_run(p->threads, w.pair->a.rows, 8, run_down, &w);
    threads_run(p->threads, w.pair->b.rows, PIECE, run_up, &w);
}
