#include "golden/exact.h"

#include <string.h>

#include "engine/decoder_load.h"
#include "engine/decoder_shape.h"
#include "engine/kernels/quant.h"

static float dot(const float *a, const float *b, size_t n)
{
    float part[8] = {0};
    double sum = 0;

    for (size_t i = 0; i < n; i += 8) {
        for (size_t j = 0; j < 8; j++)
            part[j] += a[i + j] * b[i + j];
    }
    for (size_t j = 0; j < 8; j++)
        sum += (double)part[j];
    return (float)sum;
}

static void matmul(const struct quant_matrix *w, const struct quant_input *in, size_t n,
                   size_t from, size_t to, float *y, size_t ldy)
{
    float row[QUANT_COLS_MAX];

    for (size_t r = from; r < to; r++) {
        quant_row(w, r, row);
        for (size_t t = 0; t < n; t++)
            y[t * ldy + r] = dot(row, in->x + t * w->cols, w->cols);
    }
}

enum status exact_open(const char *path, uint32_t context_max, struct exact *e,
                       struct engine_error *err)
{
    static struct quant_kernels kernels;
    enum status st;

    memset(e, 0, sizeof(*e));
    arena_init(&e->arena, 65536, 64u << 20);
    st = file_read(path, 0, &e->file, err);
    if (st == ST_OK)
        st = gguf_read(e->file.bytes, &e->arena, &e->gguf, err);
    if (st == ST_OK)
        st = decoder_shape_read(&e->gguf, &e->weights.shape, err);
    if (st == ST_OK)
        st = tokenizer_open(&e->gguf, &e->tokens, err);
    if (st == ST_OK)
        st = decoder_load(&e->weights, &e->gguf, tokenizer_size(e->tokens), &e->arena, err);
    if (st != ST_OK)
        return st;
    if (context_max < e->weights.shape.context)
        e->weights.shape.context = context_max;
    kernels = quant_ref;
    kernels.matmul = matmul;
    st = decoder_forward_init(&e->state, &e->weights, 1);
    e->state.k = &kernels;
    return st == ST_OK ? kv_cache_init(&e->sequence, e->state.cache, e->weights.shape.context)
                       : st;
}

enum status exact_feed(struct exact *e, const uint32_t *ids, size_t n, bool first)
{
    const struct decoder_run run = {.sequence = &e->sequence, .ids = ids, .n = n};

    if (first)
        kv_cache_truncate(&e->sequence, 0);
    return decoder_forward_feed(&e->state, &run, (struct engine_stop){NULL, NULL});
}

void exact_close(struct exact *e)
{
    kv_cache_release(&e->sequence);
    decoder_forward_release(&e->state);
    if (e->tokens != NULL)
        tokenizer_close(e->tokens);
    arena_release(&e->arena);
    file_release(&e->file);
}
