#include "engine/encoder_tensors.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/size.h"
#include "engine/error.h"
#include "engine/format.h"
#include "engine/half.h"

#define ARENA_LIMIT (64u * 1024 * 1024)

static bool is_gguf(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char magic[4];
    bool found = fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) &&
                 memcmp(magic, "GGUF", sizeof(magic)) == 0;

    if (fd >= 0)
        close(fd);
    return found;
}

static enum status open_gguf(struct encoder_tensors *t, const char *path, uint64_t most,
                             struct engine_error *err)
{
    enum status st;

    arena_init(&t->arena, 65536, ARENA_LIMIT);
    st = file_read(path, most, &t->file, err);
    if (st != ST_OK)
        return st;
    st = gguf_read(t->file.bytes, &t->arena, &t->gguf, err);
    if (st == ST_OK) {
        t->used = arena_alloc(&t->arena, t->gguf.tensor_count + 1, 1);
        if (t->used == NULL)
            st = error_set(err, ST_NOMEM, "out of memory for the model");
        else
            memset(t->used, 0, t->gguf.tensor_count + 1);
    }
    return st;
}

enum status encoder_tensors_open(const char *path, uint64_t most, struct encoder_tensors *out,
                                 struct engine_error *err)
{
    struct encoder_tensors t = {.format = ENCODER_SAFETENSORS, .safetensors = {.fd = -1}};
    enum status st;

    if (is_gguf(path)) {
        t.format = ENCODER_GGUF;
        st = open_gguf(&t, path, most, err);
    } else {
        st = safetensors_open(path, &t.safetensors, err);
    }
    if (st != ST_OK && t.format == ENCODER_GGUF)
        encoder_tensors_close(&t);
    if (st == ST_OK)
        *out = t;
    return st;
}

void encoder_tensors_close(struct encoder_tensors *t)
{
    if (t->format == ENCODER_SAFETENSORS) {
        safetensors_close(&t->safetensors);
        return;
    }
    arena_release(&t->arena);
    file_release(&t->file);
}

uint64_t encoder_tensors_bytes(const struct encoder_tensors *t)
{
    return t->format == ENCODER_GGUF ? t->file.bytes.len : 0;
}

bool encoder_tensors_find(struct encoder_tensors *t, const char *name,
                          struct encoder_tensor *out)
{
    struct encoder_tensor found = {.rows = 1};

    if (t->format == ENCODER_GGUF) {
        found.gguf = gguf_tensor_find(&t->gguf, name);
        if (found.gguf == NULL || found.gguf->dims > 2)
            return false;
        t->used[found.gguf - t->gguf.tensors] = true;
        found.dims = found.gguf->dims;
        found.cols = (size_t)found.gguf->shape[0];
        if (found.dims == 2)
            found.rows = (size_t)found.gguf->shape[1];
    } else {
        found.safetensor = safetensors_find(&t->safetensors, name);
        if (found.safetensor == NULL || found.safetensor->dims == 0 ||
            found.safetensor->dims > 2)
            return false;
        found.dims = found.safetensor->dims;
        found.cols = found.safetensor->shape[found.dims - 1];
        if (found.dims == 2)
            found.rows = found.safetensor->shape[0];
    }
    *out = found;
    return true;
}

static enum status gguf_rows(struct encoder_tensors *t, const struct encoder_tensor *which,
                             size_t row, size_t n, float *out, struct engine_error *err)
{
    const struct gguf_tensor *g = which->gguf;
    size_t stride = g->data.len / which->rows;
    struct span bytes;

    if (!span_sub(g->data, row * stride, n * stride, &bytes))
        return error_set(err, ST_INVALID, "tensor '%.*s' is smaller than it should be",
                         (int)g->name.len, g->name.ptr);
    t->hash[0] = hash_bytes(bytes, t->hash[0]);
    t->hash[1] = hash_bytes(bytes, t->hash[1] + 1);
    for (size_t i = 0; i < n; i++)
        format_row(g->type, (const uint8_t *)bytes.ptr + i * stride, which->cols,
                   out + i * which->cols);
    if (!half_all_finite(out, n * which->cols))
        return error_set(err, ST_INVALID, "tensor '%.*s' holds a value that is not finite",
                         (int)g->name.len, g->name.ptr);
    return ST_OK;
}

enum status encoder_tensors_rows(struct encoder_tensors *t, const struct encoder_tensor *which,
                                 size_t row, size_t n, float *out, struct engine_error *err)
{
    enum status st;

    if (t->format == ENCODER_GGUF)
        return gguf_rows(t, which, row, n, out, err);
    st = safetensors_floats(&t->safetensors, which->safetensor, row * which->cols,
                            n * which->cols, out, err);
    memcpy(t->hash, t->safetensors.hash, sizeof(t->hash));
    return st;
}

enum status encoder_tensors_check_unused(const struct encoder_tensors *t,
                                         struct engine_error *err)
{
    for (size_t i = 0; t->format == ENCODER_GGUF && i < t->gguf.tensor_count; i++) {
        const struct span name = t->gguf.tensors[i].name;

        if (!t->used[i])
            return error_set(err, ST_INVALID,
                             "tensor '%.*s' is not one that this architecture has",
                             (int)name.len, name.ptr);
    }
    return ST_OK;
}
