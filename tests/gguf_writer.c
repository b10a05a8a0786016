#include "gguf_writer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

#define LIMIT (256u << 20)

static void put(struct buf *b, const void *p, size_t n)
{
    if (buf_append(b, (struct span){p, n}) != ST_OK)
        abort();
}

static void put_u32(struct buf *b, uint64_t v)
{
    uint32_t small = (uint32_t)v;

    put(b, &small, sizeof(small));
}

static void put_u64(struct buf *b, uint64_t v)
{
    put(b, &v, sizeof(v));
}

static void put_text(struct buf *b, struct span s)
{
    put_u64(b, s.len);
    put(b, s.ptr, s.len);
}

void gguf_writer_init(struct gguf_writer *w, const struct gguf_edit *edit)
{
    memset(w, 0, sizeof(*w));
    buf_init(&w->keys, LIMIT);
    buf_init(&w->infos, LIMIT);
    buf_init(&w->data, LIMIT);
    w->alignment = 32;
    if (edit != NULL)
        w->edit = *edit;
}

void gguf_writer_release(struct gguf_writer *w)
{
    buf_release(&w->keys);
    buf_release(&w->infos);
    buf_release(&w->data);
}

static bool edits(const struct gguf_writer *w, const char *name, enum gguf_edit_kind kind)
{
    return w->edit.kind == kind && strcmp(w->edit.name, name) == 0;
}

/* Key and kind; false: the key is left out. */
static bool begin(struct gguf_writer *w, const char *key, uint32_t kind)
{
    if (edits(w, key, EDIT_DROP_KEY))
        return false;
    put_text(&w->keys, span_of(key));
    put_u32(&w->keys, edits(w, key, EDIT_KIND) ? w->edit.number : kind);
    w->key_count++;
    return true;
}

static void number(struct gguf_writer *w, const char *key, uint32_t kind, uint32_t bits)
{
    if (edits(w, key, EDIT_TWICE)) {
        w->edit.kind = EDIT_NONE;
        number(w, key, kind, bits);
    }
    if (edits(w, key, EDIT_U32))
        bits = (uint32_t)w->edit.number;
    if (edits(w, key, EDIT_FLOAT))
        memcpy(&bits, &w->edit.f, sizeof(bits));
    if (begin(w, key, kind))
        put_u32(&w->keys, bits);
}

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    number(w, key, 4, v);
}

void gguf_writer_f32(struct gguf_writer *w, const char *key, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof(bits));
    number(w, key, 6, bits);
}

void gguf_writer_text(struct gguf_writer *w, const char *key, const char *v)
{
    if (begin(w, key, 8))
        put_text(&w->keys, span_of(edits(w, key, EDIT_TEXT) ? w->edit.text : v));
}

static bool begin_array(struct gguf_writer *w, const char *key, uint32_t kind, size_t n)
{
    if (!begin(w, key, 9))
        return false;
    put_u32(&w->keys, kind);
    put_u64(&w->keys, edits(w, key, EDIT_COUNT) ? w->edit.number : n);
    return true;
}

void gguf_writer_texts(struct gguf_writer *w, const char *key, const struct span *v, size_t n)
{
    if (!begin_array(w, key, 8, n))
        return;
    for (size_t i = 0; i < n; i++)
        put_text(&w->keys, edits(w, key, EDIT_TEXT) && i == w->edit.number
                               ? span_of(w->edit.text)
                               : v[i]);
}

void gguf_writer_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    if (begin_array(w, key, 5, n))
        put(&w->keys, v, n * sizeof(*v));
}

void gguf_writer_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n)
{
    if (begin_array(w, key, 6, n))
        put(&w->keys, v, n * sizeof(*v));
}

void gguf_writer_bytes(struct gguf_writer *w, const char *key, struct span v)
{
    if (begin_array(w, key, 0, v.len))
        put(&w->keys, v.ptr, v.len);
}

void gguf_writer_bool(struct gguf_writer *w, const char *key, int v)
{
    if (begin(w, key, 7))
        put(&w->keys, v != 0 ? "\1" : "", 1);
}

static void pad(struct buf *b, uint64_t alignment)
{
    while (b->len % alignment != 0)
        put(b, "", 1);
}

static void info(struct gguf_writer *w, const char *name, uint32_t type,
                 const uint64_t shape[3])
{
    uint32_t dims = shape[1] == 0 ? 1 : shape[2] > 1 ? 3 : 2;

    put_text(&w->infos, span_of(edits(w, name, EDIT_NAME) ? w->edit.text : name));
    put_u32(&w->infos, edits(w, name, EDIT_DIMS) ? w->edit.number : dims);
    put_u64(&w->infos, edits(w, name, EDIT_SHAPE) ? w->edit.number : shape[0]);
    if (dims >= 2)
        put_u64(&w->infos, shape[1]);
    if (dims == 3)
        put_u64(&w->infos, shape[2]);
    put_u32(&w->infos, edits(w, name, EDIT_TYPE) ? w->edit.number : type);
    put_u64(&w->infos, edits(w, name, EDIT_OFFSET) ? w->edit.number : w->data.len);
    w->tensor_count++;
}

void gguf_writer_tensor(struct gguf_writer *w, const char *name, uint32_t type,
                        const uint64_t shape[3], struct span data)
{
    static const char zeros[128];
    size_t at;

    if (edits(w, name, EDIT_DROP_TENSOR))
        return;
    if (edits(w, name, EDIT_TWICE)) {
        w->edit.kind = EDIT_NONE;
        gguf_writer_tensor(w, name, type, shape, data);
    }
    info(w, name, type, shape);
    at = w->data.len;
    put(&w->data, data.ptr, data.len);
    if (edits(w, name, EDIT_VALUE))
        memcpy(w->data.ptr + at, &w->edit.number, 4);
    pad(&w->data, w->alignment);
    if (edits(w, name, EDIT_ADD_TENSOR)) {
        info(w, w->edit.text, 0, (const uint64_t[3]){32, 0, 1});
        put(&w->data, zeros, sizeof(zeros));
    }
}

void gguf_writer_finish(struct gguf_writer *w, struct buf *out)
{
    put(out, "GGUF", 4);
    put_u32(out, 3);
    put_u64(out, w->tensor_count);
    put_u64(out, w->key_count);
    put(out, w->keys.ptr, w->keys.len);
    put(out, w->infos.ptr, w->infos.len);
    pad(out, w->alignment);
    put(out, w->data.ptr, w->data.len);
}

void gguf_writer_save(struct span bytes, char *path)
{
    static const char pattern[] = "/tmp/ibid-test-XXXXXX";
    int fd;

    memcpy(path, pattern, sizeof(pattern));
    fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len || close(fd) != 0)
        abort();
}
