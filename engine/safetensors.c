#include "engine/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/size.h"
#include "engine/error.h"
#include "engine/half.h"

#define HEADER_MAX  (64u * 1024 * 1024)
#define ARENA_LIMIT (256u * 1024 * 1024)
#define TENSORS_MAX 65536
#define LENGTH_SIZE 8 /* of the header's length */

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

/* --- the header ---------------------------------------------------------------------- */

static enum status read_tensor(const struct json *v, uint64_t data, struct tensor *t,
                               struct engine_error *err)
{
    const struct json *shape = json_get(v, SPAN("shape"));
    const struct json *offsets = json_get(v, SPAN("data_offsets"));
    size_t bytes = type_bytes(json_str(json_get(v, SPAN("dtype"))), &t->type);
    uint64_t from, to, dim;

    t->name = v->key;
    if (bytes == 0)
        return refuse(err, v->key, "has an unknown dtype");
    if (shape == NULL || shape->type != JSON_ARRAY || shape->count > TENSOR_DIMS_MAX)
        return refuse(err, v->key, "has no usable shape");
    t->dims = 0;
    for (const struct json *d = shape->child; d != NULL; d = d->next) {
        if (!json_u64(d, &dim) || dim > SIZE_MAX || !size_mul(bytes, (size_t)dim, &bytes))
            return refuse(err, v->key, "has a shape that is too large");
        t->shape[t->dims++] = (size_t)dim;
    }
    if (offsets == NULL || offsets->type != JSON_ARRAY || offsets->count != 2 ||
        !json_u64(offsets->child, &from) || !json_u64(offsets->child->next, &to) || to < from ||
        to - from != bytes || to > data)
        return refuse(err, v->key, "has offsets that do not fit its shape or the file");
    t->at = from;
    t->bytes = bytes;
    return ST_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/* Two tensors in the same place would be a file that says two things; bytes that no tensor
 * names could be anything. The format allows neither. */
static enum status check_places(struct safetensors *s, uint64_t data, struct engine_error *err)
{
    uint64_t end = 0;

    qsort(s->list, s->count, sizeof(*s->list), by_place);
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].bytes == 0)
            continue;
        if (s->list[i].at < end)
            return refuse(err, s->list[i].name, "overlaps another");
        if (s->list[i].at > end)
            return refuse(err, s->list[i].name, "has a hole before it");
        end = s->list[i].at + s->list[i].bytes;
    }
    if (end != data)
        return error_set(err, ST_INVALID,
                         "safetensors: the data goes on behind the tensors, which end at byte "
                         "%llu of %llu",
                         (unsigned long long)end, (unsigned long long)data);
    return ST_OK;
}

enum status safetensors_parse(struct span header, uint64_t data, struct arena *arena,
                              struct safetensors *out, struct engine_error *err)
{
    struct json_error why;
    struct json *root;

    out->list = NULL;
    out->count = 0;
    if (json_parse(arena, header, 8, &root, &why) != ST_OK)
        return error_set(err, ST_INVALID, "safetensors: the header: %s (near byte %zu)",
                         why.text, LENGTH_SIZE + why.offset);
    if (root->type != JSON_OBJECT || root->count > TENSORS_MAX)
        return error_set(err, ST_INVALID, "safetensors: the header is no list of tensors");
    out->list =
        arena_alloc(arena, (root->count + 1) * sizeof(*out->list), _Alignof(struct tensor));
    if (out->list == NULL)
        return error_set(err, ST_NOMEM, "safetensors: out of memory");
    for (const struct json *v = root->child; v != NULL; v = v->next) {
        enum status st;

        if (span_eq(v->key, SPAN("__metadata__")))
            continue;
        st = read_tensor(v, data, &out->list[out->count], err);
        if (st != ST_OK)
            return st;
        out->count++;
    }
    return check_places(out, data, err);
}

/* --- the file ------------------------------------------------------------------------ */

static bool read_at(int fd, uint64_t at, void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static enum status read_header(struct safetensors *s, uint64_t size, struct engine_error *err)
{
    unsigned char length[LENGTH_SIZE];
    uint64_t bytes = 0;
    enum status st;
    char *header;

    if (size < LENGTH_SIZE || !read_at(s->fd, 0, length, sizeof(length)))
        return error_set(err, ST_INVALID, "safetensors: the file is too short");
    for (size_t i = LENGTH_SIZE; i-- > 0;)
        bytes = bytes << 8 | length[i];
    if (bytes > HEADER_MAX || bytes > size - LENGTH_SIZE)
        return error_set(
            err, ST_INVALID,
            "safetensors: the header's length, %llu, is not possible in a file of %llu "
            "bytes",
            (unsigned long long)bytes, (unsigned long long)size);
    header = malloc((size_t)bytes + 1);
    if (header == NULL)
        return error_set(err, ST_NOMEM, "safetensors: out of memory");
    s->data_at = LENGTH_SIZE + bytes;
    if (read_at(s->fd, LENGTH_SIZE, header, (size_t)bytes))
        st = safetensors_parse((struct span){header, (size_t)bytes}, size - s->data_at,
                               &s->arena, s, err);
    else
        st = error_set(err, ST_INVALID, "safetensors: the file ended while it was read");
    free(header);
    return st;
}

enum status safetensors_open(const char *path, struct safetensors *out,
                             struct engine_error *err)
{
    struct safetensors s = {.count = 0};
    struct stat info;
    enum status st;

    /* O_NONBLOCK: a pipe under that name is refused, not waited for. */
    s.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s.fd < 0)
        return error_set(err, errno == ENOENT ? ST_NOTFOUND : ST_UNAVAILABLE,
                         "cannot open '%s': %s", path, strerror(errno));
    arena_init(&s.arena, 65536, ARENA_LIMIT);
    if (fstat(s.fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = error_set(err, ST_INVALID, "'%s' is no regular file", path);
    else
        st = read_header(&s, (uint64_t)info.st_size, err);
    if (st != ST_OK) {
        safetensors_close(&s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void safetensors_close(struct safetensors *s)
{
    arena_release(&s->arena);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* --- its values ---------------------------------------------------------------------- */

static struct span behind(struct span name, struct span front)
{
    if (name.len > front.len && memcmp(name.ptr, front.ptr, front.len) == 0)
        return (struct span){name.ptr + front.len, name.len - front.len};
    return name;
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct span want = span_of(name);

    for (size_t i = 0; i < s->count; i++) {
        struct span have = s->list[i].name;

        if (span_eq(behind(have, SPAN("bert.")), want) ||
            span_eq(behind(have, SPAN("roberta.")), want))
            return &s->list[i];
    }
    return NULL;
}

enum status safetensors_floats(struct safetensors *s, const struct tensor *t, size_t at,
                               size_t n, float *out, struct engine_error *err)
{
    size_t width = t->type == TENSOR_F32 ? 4 : 2;
    /* 16-bit values go to the end of `out` and are widened from its beginning on: each is
     * read before its place is written. */
    char *to = (char *)out + n * (sizeof(float) - width);

    if (t->type == TENSOR_OTHER)
        return refuse(err, t->name, "must be F32, F16 or BF16");
    if (at > t->bytes / width || n > t->bytes / width - at)
        return refuse(err, t->name, "is smaller than it should be");
    if (!read_at(s->fd, s->data_at + t->at + at * width, to, n * width))
        return refuse(err, t->name, "is not in the file any more");
    s->hash[0] = hash_bytes((struct span){to, n * width}, s->hash[0]);
    s->hash[1] = hash_bytes((struct span){to, n * width}, s->hash[1] + 1);
    for (size_t i = 0; width == 2 && i < n; i++) {
        uint16_t bits;

        memcpy(&bits, to + i * 2, sizeof(bits));
        out[i] = t->type == TENSOR_F16 ? half_to_float(bits) : half_bf16_to_float(bits);
    }
    return half_all_finite(out, n) ? ST_OK
                                   : refuse(err, t->name, "holds a value that is not finite");
}
