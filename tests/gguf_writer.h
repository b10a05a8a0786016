/* Writes GGUF files for tests, and, if an edit says so, wrong ones. */
#ifndef TESTS_GGUF_WRITER_H
#define TESTS_GGUF_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/* One deviation from what the test writes otherwise. */
struct gguf_edit {
    enum gguf_edit_kind {
        EDIT_NONE,
        EDIT_DROP_KEY,
        EDIT_U32,   /* the key's value */
        EDIT_FLOAT, /* the key's value */
        EDIT_TEXT,  /* the key's value */
        EDIT_KIND,  /* the kind number of the key, its bytes as they were */
        EDIT_COUNT, /* the count of the key's array, its elements as they were */
        EDIT_TWICE, /* the key, or the tensor, is there twice */
        EDIT_DROP_TENSOR,
        EDIT_ADD_TENSOR, /* F32, 32 values */
        EDIT_SHAPE,      /* the tensor's first dimension */
        EDIT_DIMS,       /* the tensor's number of dimensions */
        EDIT_TYPE,       /* the tensor's type */
        EDIT_OFFSET,     /* the tensor's offset */
        EDIT_VALUE,      /* the tensor's first float, as bits */
        EDIT_NAME,       /* the tensor's name becomes `text` */
    } kind;
    const char *name; /* of the key or the tensor */
    uint64_t number;
    float f;
    const char *text;
};

struct gguf_writer {
    struct buf keys, infos, data;
    uint64_t key_count, tensor_count;
    uint64_t alignment; /* a power of two */
    struct gguf_edit edit;
};

void gguf_writer_init(struct gguf_writer *w, const struct gguf_edit *edit);
void gguf_writer_release(struct gguf_writer *w);

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_writer_f32(struct gguf_writer *w, const char *key, float v);
void gguf_writer_text(struct gguf_writer *w, const char *key, const char *v);
void gguf_writer_texts(struct gguf_writer *w, const char *key, const struct span *v, size_t n);
void gguf_writer_i32s(struct gguf_writer *w, const char *key, const int32_t *v, size_t n);
void gguf_writer_f32s(struct gguf_writer *w, const char *key, const float *v, size_t n);
void gguf_writer_bytes(struct gguf_writer *w, const char *key, struct span v);
void gguf_writer_bool(struct gguf_writer *w, const char *key, int v);
/* shape[1] 0: a vector; shape[2] above 1: as many matrices */
void gguf_writer_tensor(struct gguf_writer *w, const char *name, uint32_t type,
                        const uint64_t shape[3], struct span data);

/* The whole file, appended to `out`. */
void gguf_writer_finish(struct gguf_writer *w, struct buf *out);
/* The same into a file below /tmp; `path` has room for 64 bytes. */
void gguf_writer_save(struct span bytes, char *path);

#endif
