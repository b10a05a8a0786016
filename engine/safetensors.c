#include "engine/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "engine/error.h"
#include "engine/half.h"

#define HEADER_MAX  (64u * 1024 * 1024)
#define TENSORS_MAX 65536

static size_t type_bytes(struct span dtype, enum tensor_type *type)
{
    static const struct {
        struct span name;
        size_t bytes;
        enum tensor_type type;
    } types[] = {
        {{"F32", 3}, 4, TENSOR_F32},    {{"F16", 3}, 2, TENSOR_F16},
        {{"BF16", 4}, 2, TENSOR_BF16},  {{"F64", 3}, 8, TENSOR_OTHER},
        {{"I64", 3}, 8, TENSOR_OTHER},  {{"I32", 3}, 4, TENSOR_OTHER},
        {{"I16", 3}, 2, TENSOR_OTHER},  {{"I8", 2}, 1, TENSOR_OTHER},
        {{"U8", 2}, 1, TENSOR_OTHER},   {{"U16", 3}, 2, TENSOR_OTHER},
        {{"U32", 3}, 4, TENSOR_OTHER},  {{"U64", 3}, 8, TENSOR_OTHER},
        {{"BOOL", 4}, 1, TENSOR_OTHER},
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (span_eq(dtype, types[i].name)) {
            *type = types[i].type;
            return types[i].bytes;
        }
    }
    return 0;
}

static enum status refuse(struct engine_error *err, struct span name, const char *what)
{
    return error_set(err, ST_INVALID, "safetensors: tensor '%.*s' %s",
                     (int)(name.len < 64 ? name.len : 64), name.ptr, what);
}

static enum status read_tensor(const struct json *v, struct span data, struct tensor *t,
                               struct engine_error *err)
{
    const struct json *shape = json_get(v, SPAN("shape"));
    const struct json *offsets = json_get(v, SPAN("data_offsets"));
    uint64_t from, to, dim;
    size_t bytes = type_bytes(json_str(json_get(v, SPAN("dtype"))), &t->type);

    t->name = v->key;
    if (bytes == 0)
        return refuse(err, v->key, "has an unknown dtype");
    if (shape == NULL || shape->type != JSON_ARRAY || shape->count > TENSOR_DIMS_MAX)
        return refuse(err, v->key, "has no usable shape");
    t->dims = 0;
    for (const struct json *d = shape->child; d != NULL; d = d->next) {
        if (!json_u64(d, &dim) || !size_mul(bytes, (size_t)dim, &bytes))
            return refuse(err, v->key, "has a shape that is too large");
        t->shape[t->dims++] = (size_t)dim;
    }
    if (offsets == NULL || offsets->type != JSON_ARRAY || offsets->count != 2 ||
        !json_u64(offsets->child, &from) || !json_u64(offsets->child->next, &to) || to < from ||
        to - from != bytes || !span_sub(data, (size_t)from, bytes, &t->data))
        return refuse(err, v->key, "has offsets that do not fit its shape or the file");
    return ST_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;

    return (x->data.ptr > y->data.ptr) - (x->data.ptr < y->data.ptr);
}

/* Two tensors in the same place would be a file that says two things. */
static enum status check_overlap(struct safetensors *s, struct engine_error *err)
{
    qsort(s->list, s->count, sizeof(*s->list), by_place);
    for (size_t i = 1; i < s->count; i++) {
        if (s->list[i - 1].data.ptr + s->list[i - 1].data.len > s->list[i].data.ptr)
            return refuse(err, s->list[i].name, "overlaps another");
    }
    return ST_OK;
}

enum status safetensors_read(struct span file, struct arena *arena, struct safetensors *out,
                             struct engine_error *err)
{
    struct safetensors s = {NULL, 0};
    struct json_error why;
    struct json *root;
    struct span data;
    uint64_t header;

    if (file.len < sizeof(header))
        return error_set(err, ST_INVALID, "safetensors: the file is too short");
    memcpy(&header, file.ptr, sizeof(header));
    if (header > HEADER_MAX || header > file.len - sizeof(header))
        return error_set(err, ST_INVALID, "safetensors: the header's length is not possible");
    data = (struct span){file.ptr + 8 + header, file.len - 8 - (size_t)header};
    if (json_parse(arena, (struct span){file.ptr + 8, (size_t)header}, 8, &root, &why) != ST_OK)
        return error_set(err, ST_INVALID, "safetensors: the header: %s", why.text);
    if (root->type != JSON_OBJECT || root->count > TENSORS_MAX)
        return error_set(err, ST_INVALID, "safetensors: the header is no list of tensors");
    s.list = arena_alloc(arena, (root->count + 1) * sizeof(*s.list), _Alignof(struct tensor));
    if (s.list == NULL)
        return error_set(err, ST_NOMEM, "safetensors: out of memory");
    for (const struct json *v = root->child; v != NULL; v = v->next) {
        enum status st;

        if (span_eq(v->key, SPAN("__metadata__")))
            continue;
        st = read_tensor(v, data, &s.list[s.count], err);
        if (st != ST_OK)
            return st;
        s.count++;
    }
    *out = s;
    return check_overlap(out, err);
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct span want = span_of(name);

    for (size_t i = 0; i < s->count; i++) {
        struct span have = s->list[i].name;

        if (have.len == want.len + 5 && memcmp(have.ptr, "bert.", 5) == 0)
            have = (struct span){have.ptr + 5, want.len};
        if (span_eq(have, want))
            return &s->list[i];
    }
    return NULL;
}

void safetensors_floats(const struct tensor *t, size_t at, size_t n, float *out)
{
    if (t->type == TENSOR_F32) {
        memcpy(out, t->data.ptr + at * 4, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;

        memcpy(&bits, t->data.ptr + (at + i) * 2, sizeof(bits));
        out[i] = t->type == TENSOR_F16 ? half_to_float(bits) : half_bf16_to_float(bits);
    }
}
