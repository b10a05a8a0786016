#include "engine/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/error.h"
#include "engine/format.h"

/* Far above what models have, far below what would hurt. */
#define PAIRS_MAX         65536
#define TENSORS_MAX       65536
#define ELEMENTS_MAX      (16u * 1024 * 1024)
#define STRING_MAX        (16u * 1024 * 1024)
#define NAME_MAX_BYTES    256
#define LIST_BYTES        256 /* names of all types of weights */
#define ALIGNMENT_MAX     65536
#define DEFAULT_ALIGNMENT 32

/* --- a cursor over the file ----------------------------------------------------------- */

struct cursor {
    struct span file;
    size_t at;
    bool failed; /* sticks: the caller checks once a record */
};

static struct span take(struct cursor *c, size_t n)
{
    struct span s = {"", 0};

    if (c->failed || !span_sub(c->file, c->at, n, &s)) {
        c->failed = true;
        return (struct span){"", 0};
    }
    c->at += n;
    return s;
}

static uint32_t take_u32(struct cursor *c)
{
    struct span s = take(c, 4);
    uint32_t v = 0;

    if (s.len == 4)
        memcpy(&v, s.ptr, 4);
    return v;
}

static uint64_t take_u64(struct cursor *c)
{
    struct span s = take(c, 8);
    uint64_t v = 0;

    if (s.len == 8)
        memcpy(&v, s.ptr, 8);
    return v;
}

static struct span take_string(struct cursor *c)
{
    uint64_t n = take_u64(c);

    if (n > STRING_MAX)
        c->failed = true;
    return take(c, (size_t)n);
}

static enum status broken(const struct cursor *c, const char *what, struct engine_error *err)
{
    return error_set(err, ST_INVALID, "GGUF: %s (near byte %zu)", what, c->at);
}

static size_t kind_bytes(uint32_t kind)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    return kind < ARRAY_LEN(bytes) ? bytes[kind] : 0;
}

/* Names of keys and tensors go into messages: printable ASCII, as the format asks. */
static bool is_name(struct span s)
{
    if (s.len == 0 || s.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    }
    return true;
}

/* --- key-value pairs ------------------------------------------------------------------ */

static enum status read_array(struct cursor *c, struct gguf_pair *p, struct engine_error *err)
{
    size_t start, bytes = 0;

    p->element = take_u32(c);
    p->count = take_u64(c);
    if (c->failed || p->count > ELEMENTS_MAX)
        return broken(c, "an array is too long", err);
    start = c->at;
    if (p->element == GGUF_STRING) {
        for (uint64_t i = 0; i < p->count && !c->failed; i++)
            (void)take_string(c);
    } else if (kind_bytes(p->element) > 0) {
        if (!size_mul((size_t)p->count, kind_bytes(p->element), &bytes))
            return broken(c, "an array is too long", err);
        (void)take(c, bytes);
    } else {
        return broken(c, "an array has elements of an unknown kind", err);
    }
    if (c->failed)
        return broken(c, "the file ends within an array", err);
    p->value = (struct span){c->file.ptr + start, c->at - start};
    return ST_OK;
}

static enum status read_pair(struct cursor *c, struct gguf_pair *p, struct engine_error *err)
{
    *p = (struct gguf_pair){.key = take_string(c)};
    p->kind = take_u32(c);
    if (c->failed || !is_name(p->key))
        return broken(c, "a key is empty, too long or not printable", err);
    if (p->kind == GGUF_ARRAY)
        return read_array(c, p, err);
    if (p->kind == GGUF_STRING)
        p->value = take_string(c);
    else if (kind_bytes(p->kind) > 0)
        p->value = take(c, kind_bytes(p->kind));
    else
        return broken(c, "a value of an unknown kind", err);
    if (c->failed)
        return broken(c, "the file ends within a value", err);
    if (p->kind == GGUF_BOOL && (unsigned char)p->value.ptr[0] > 1)
        return broken(c, "a truth value is neither 0 nor 1", err);
    return ST_OK;
}

static int by_key(const void *a, const void *b)
{
    return span_order(((const struct gguf_pair *)a)->key, ((const struct gguf_pair *)b)->key);
}

static int by_name(const void *a, const void *b)
{
    return span_order(((const struct gguf_tensor *)a)->name,
                      ((const struct gguf_tensor *)b)->name);
}

static enum status read_pairs(struct cursor *c, struct arena *arena, uint64_t n, struct gguf *g,
                              struct engine_error *err)
{
    g->pairs =
        arena_alloc(arena, ((size_t)n + 1) * sizeof(*g->pairs), _Alignof(struct gguf_pair));
    if (g->pairs == NULL)
        return error_set(err, ST_NOMEM, "GGUF: out of memory");
    for (; g->pair_count < n; g->pair_count++) {
        enum status st = read_pair(c, &g->pairs[g->pair_count], err);

        if (st != ST_OK)
            return st;
    }
    qsort(g->pairs, g->pair_count, sizeof(*g->pairs), by_key);
    for (size_t i = 1; i < g->pair_count; i++) {
        if (span_eq(g->pairs[i - 1].key, g->pairs[i].key))
            return error_set(err, ST_INVALID, "GGUF: the key '%.*s' is there twice",
                             (int)g->pairs[i].key.len, g->pairs[i].key.ptr);
    }
    return ST_OK;
}

/* --- tensors -------------------------------------------------------------------------- */

static enum status read_info(struct cursor *c, struct gguf_tensor *t, uint64_t *offset,
                             struct engine_error *err)
{
    *t = (struct gguf_tensor){.name = take_string(c)};
    t->dims = take_u32(c);
    if (c->failed || !is_name(t->name) || t->dims == 0 || t->dims > GGUF_DIMS_MAX)
        return broken(c, "a tensor's name or number of dimensions is not possible", err);
    for (unsigned i = 0; i < t->dims; i++)
        t->shape[i] = take_u64(c);
    t->type = take_u32(c);
    *offset = take_u64(c);
    return c->failed ? broken(c, "the file ends within the list of tensors", err) : ST_OK;
}

/* Bytes of a tensor; false when they can not be. */
static bool tensor_bytes(const struct gguf_tensor *t, size_t *out)
{
    const struct format *f = format_of(t->type);
    size_t n = 1;

    for (unsigned i = 0; i < t->dims; i++) {
        if (t->shape[i] == 0 || !size_mul(n, (size_t)t->shape[i], &n))
            return false;
    }
    return t->shape[0] % f->values == 0 && size_mul(n / f->values, f->bytes, out);
}

static enum status refuse_type(const struct gguf_tensor *t, struct engine_error *err)
{
    char list[LIST_BYTES];

    format_list(list, sizeof(list));
    return error_set(err, ST_INVALID,
                     "tensor '%.*s' has weights of type %s (%u), which is not supported; "
                     "supported: %s",
                     (int)t->name.len, t->name.ptr, format_name(t->type), t->type, list);
}

static enum status place(struct gguf_tensor *t, struct span data, uint64_t offset,
                         uint64_t alignment, struct engine_error *err)
{
    size_t bytes = 0;

    if (format_of(t->type)->values == 0)
        return refuse_type(t, err);
    if (!tensor_bytes(t, &bytes) || offset % alignment != 0 ||
        !span_sub(data, (size_t)offset, bytes, &t->data))
        return error_set(err, ST_INVALID,
                         "GGUF: tensor '%.*s' does not fit the file, or is not aligned (%zu "
                         "bytes at byte %llu of the %zu bytes of data)",
                         (int)t->name.len, t->name.ptr, bytes, (unsigned long long)offset,
                         data.len);
    return ST_OK;
}

static int by_data(const void *a, const void *b)
{
    const struct gguf_tensor *x = a, *y = b;

    return (x->data.ptr > y->data.ptr) - (x->data.ptr < y->data.ptr);
}

static enum status check_tensors(struct gguf *g, struct engine_error *err)
{
    qsort(g->tensors, g->tensor_count, sizeof(*g->tensors), by_data);
    for (size_t i = 1; i < g->tensor_count; i++) {
        if (g->tensors[i - 1].data.ptr + g->tensors[i - 1].data.len > g->tensors[i].data.ptr)
            return error_set(err, ST_INVALID, "GGUF: tensor '%.*s' overlaps another",
                             (int)g->tensors[i].name.len, g->tensors[i].name.ptr);
    }
    qsort(g->tensors, g->tensor_count, sizeof(*g->tensors), by_name);
    for (size_t i = 1; i < g->tensor_count; i++) {
        if (span_eq(g->tensors[i - 1].name, g->tensors[i].name))
            return error_set(err, ST_INVALID, "GGUF: tensor '%.*s' is there twice",
                             (int)g->tensors[i].name.len, g->tensors[i].name.ptr);
    }
    return ST_OK;
}

static enum status read_tensors(struct cursor *c, struct arena *arena, uint64_t n,
                                struct gguf *g, struct engine_error *err)
{
    uint64_t alignment = DEFAULT_ALIGNMENT, *offsets;
    struct span data;
    enum status st = ST_OK;

    if (gguf_find(g, "general.alignment") != NULL &&
        (!gguf_u64(g, "general.alignment", &alignment) || alignment == 0 ||
         alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0))
        return error_set(err, ST_INVALID, "GGUF: general.alignment must be a power of two");
    g->tensors =
        arena_alloc(arena, ((size_t)n + 1) * sizeof(*g->tensors), _Alignof(struct gguf_tensor));
    offsets = arena_alloc(arena, ((size_t)n + 1) * sizeof(*offsets), _Alignof(uint64_t));
    if (g->tensors == NULL || offsets == NULL)
        return error_set(err, ST_NOMEM, "GGUF: out of memory");
    for (; st == ST_OK && g->tensor_count < n; g->tensor_count++)
        st = read_info(c, &g->tensors[g->tensor_count], &offsets[g->tensor_count], err);
    if (st != ST_OK)
        return st;
    (void)take(c, (size_t)((alignment - c->at % alignment) % alignment));
    if (c->failed)
        return broken(c, "the file ends before its data", err);
    data = (struct span){c->file.ptr + c->at, c->file.len - c->at};
    for (size_t i = 0; st == ST_OK && i < g->tensor_count; i++)
        st = place(&g->tensors[i], data, offsets[i], alignment, err);
    return st == ST_OK ? check_tensors(g, err) : st;
}

enum status gguf_read(struct span file, struct arena *arena, struct gguf *out,
                      struct engine_error *err)
{
    struct cursor c = {.file = file};
    struct gguf g = {0};
    uint64_t tensors, pairs;
    uint32_t version;
    enum status st;

    if (!span_eq(take(&c, 4), SPAN("GGUF")))
        return error_set(err, ST_INVALID, "this is no GGUF file");
    version = take_u32(&c);
    if (version != 2 && version != 3)
        return error_set(
            err, ST_INVALID, "GGUF version %u is not supported; supported: 2, 3%s", version,
            version != 0 && (version & 0xffff) == 0 ? " (the file is big-endian)" : "");
    tensors = take_u64(&c);
    pairs = take_u64(&c);
    /* The smallest records are 13 and 24 bytes: a count beyond that is a lie. */
    if (c.failed || pairs > PAIRS_MAX || tensors > TENSORS_MAX || pairs > file.len / 13 ||
        tensors > file.len / 24)
        return broken(&c, "the numbers of keys and tensors are not possible", err);
    st = read_pairs(&c, arena, pairs, &g, err);
    if (st == ST_OK)
        st = read_tensors(&c, arena, tensors, &g, err);
    if (st == ST_OK)
        *out = g;
    return st;
}

/* --- look-up -------------------------------------------------------------------------- */

const struct gguf_pair *gguf_find(const struct gguf *g, const char *key)
{
    struct gguf_pair want = {.key = span_of(key)};

    if (g->pair_count == 0)
        return NULL;
    return bsearch(&want, g->pairs, g->pair_count, sizeof(want), by_key);
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
    struct gguf_tensor want = {.name = span_of(name)};

    if (g->tensor_count == 0)
        return NULL;
    return bsearch(&want, g->tensors, g->tensor_count, sizeof(want), by_name);
}

bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out)
{
    const struct gguf_pair *p = gguf_find(g, key);
    uint64_t v = 0;
    size_t n = p != NULL ? p->value.len : 0;
    bool is_signed;

    if (p == NULL || p->kind > GGUF_I64 || p->kind == GGUF_FLOAT32 || p->kind == GGUF_BOOL ||
        p->kind == GGUF_STRING || p->kind == GGUF_ARRAY)
        return false;
    is_signed =
        p->kind == GGUF_I8 || p->kind == GGUF_I16 || p->kind == GGUF_I32 || p->kind == GGUF_I64;
    memcpy(&v, p->value.ptr, n);
    if (is_signed && ((unsigned char)p->value.ptr[n - 1] & 0x80) != 0)
        return false;
    *out = v;
    return true;
}

bool gguf_f32(const struct gguf *g, const char *key, float *out)
{
    const struct gguf_pair *p = gguf_find(g, key);

    if (p == NULL || p->kind != GGUF_FLOAT32)
        return false;
    memcpy(out, p->value.ptr, sizeof(*out));
    return true;
}

bool gguf_bool(const struct gguf *g, const char *key, bool *out)
{
    const struct gguf_pair *p = gguf_find(g, key);

    if (p == NULL || p->kind != GGUF_BOOL)
        return false;
    *out = p->value.ptr[0] != 0;
    return true;
}

struct span gguf_string(const struct gguf *g, const char *key)
{
    const struct gguf_pair *p = gguf_find(g, key);

    return p != NULL && p->kind == GGUF_STRING ? p->value : (struct span){NULL, 0};
}

bool gguf_next_string(const struct gguf_pair *p, size_t *at, struct span *out)
{
    struct cursor c = {.file = p->value, .at = *at};

    if (*at >= p->value.len)
        return false;
    *out = take_string(&c);
    *at = c.at;
    return !c.failed;
}
