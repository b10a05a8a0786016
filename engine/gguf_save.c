#include "engine/gguf_save.h"

#include <string.h>

#include "engine/format.h"

#define DEFAULT_ALIGNMENT 32
#define VERSION           3
#define QUANTIZATION      2 /* of ggml's layouts of blocks */
#define FILE_TYPE_KEY     "general.file_type"
#define QUANTIZATION_KEY  "general.quantization_version"

static bool is_replaced(const struct gguf_pair *p, uint32_t file_type)
{
    if (file_type == GGUF_SAVE_NO_TYPE)
        return false;
    return span_eq(p->key, SPAN(FILE_TYPE_KEY)) || span_eq(p->key, SPAN(QUANTIZATION_KEY));
}

/* A failed write stays: stdio's error mark is looked at once, at the end. */
static void put(FILE *f, const void *p, size_t n)
{
    if (n > 0)
        (void)!fwrite(p, 1, n, f);
}

static void put_u32(FILE *f, uint32_t v)
{
    put(f, &v, sizeof(v));
}

static void put_u64(FILE *f, uint64_t v)
{
    put(f, &v, sizeof(v));
}

static void put_string(FILE *f, struct span s)
{
    put_u64(f, s.len);
    put(f, s.ptr, s.len);
}

static void put_pair(FILE *f, const struct gguf_pair *p)
{
    put_string(f, p->key);
    put_u32(f, p->kind);
    if (p->kind == GGUF_STRING) {
        put_string(f, p->value);
        return;
    }
    if (p->kind == GGUF_ARRAY) {
        put_u32(f, p->element);
        put_u64(f, p->count);
    }
    put(f, p->value.ptr, p->value.len);
}

static void put_number(FILE *f, struct span key, uint32_t v)
{
    put_string(f, key);
    put_u32(f, GGUF_U32);
    put_u32(f, v);
}

uint64_t gguf_save_bytes(const struct gguf_tensor *t, uint32_t type)
{
    const struct format *f = format_of(type);
    uint64_t n = 1;

    for (unsigned i = 0; i < t->dims; i++)
        n *= t->shape[i];
    return n / f->values * f->bytes;
}

static void put_infos(struct gguf_save *s, const struct gguf *g, const uint32_t *types)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];

        put_string(s->file, t->name);
        put_u32(s->file, t->dims);
        for (unsigned k = 0; k < t->dims; k++)
            put_u64(s->file, t->shape[k]);
        put_u32(s->file, types[i]);
        put_u64(s->file, offset);
        offset += gguf_save_bytes(t, types[i]);
        offset = (offset + s->alignment - 1) / s->alignment * s->alignment;
    }
}

static enum status pad(struct gguf_save *s, uint64_t at)
{
    while (at++ % s->alignment != 0)
        (void)fputc(0, s->file);
    return ferror(s->file) != 0 ? ST_UNAVAILABLE : ST_OK;
}

enum status gguf_save_open(struct gguf_save *s, FILE *file, const struct gguf *g,
                           const uint32_t *types, uint32_t file_type)
{
    uint64_t alignment, kept = 0;
    long at;

    if (!gguf_u64(g, "general.alignment", &alignment))
        alignment = DEFAULT_ALIGNMENT;
    *s = (struct gguf_save){.file = file, .alignment = alignment};
    for (size_t i = 0; i < g->pair_count; i++)
        kept += is_replaced(&g->pairs[i], file_type) ? 0 : 1;
    put(file, "GGUF", 4);
    put_u32(file, VERSION);
    put_u64(file, g->tensor_count);
    put_u64(file, kept + (file_type == GGUF_SAVE_NO_TYPE ? 0 : 2));
    for (size_t i = 0; i < g->pair_count; i++) {
        if (!is_replaced(&g->pairs[i], file_type))
            put_pair(file, &g->pairs[i]);
    }
    if (file_type != GGUF_SAVE_NO_TYPE) {
        put_number(file, SPAN(FILE_TYPE_KEY), file_type);
        put_number(file, SPAN(QUANTIZATION_KEY), QUANTIZATION);
    }
    put_infos(s, g, types);
    at = ftell(file);
    return at < 0 ? ST_UNAVAILABLE : pad(s, (uint64_t)at);
}

enum status gguf_save_data(struct gguf_save *s, const void *p, size_t n)
{
    put(s->file, p, n);
    s->at += n;
    return ferror(s->file) != 0 ? ST_UNAVAILABLE : ST_OK;
}

enum status gguf_save_pad(struct gguf_save *s)
{
    uint64_t at = s->at;

    s->at = (at + s->alignment - 1) / s->alignment * s->alignment;
    return pad(s, at);
}
