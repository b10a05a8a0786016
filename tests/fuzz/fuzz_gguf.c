/* A model file of a stranger. What is taken must also compute: the sizes that were checked
 * are all that keeps the products within their memory. */
#include <stdlib.h>

#include "base/status.h"
#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "fuzz/measure.h"
#include "fuzz/memory_file.h"

/* Of what reading a file may take: a fixed part (a chunk of the arena), and so many bytes
 * for each of the file's. The largest part is a table of 16 bytes a token, twice as large
 * as it must be, for tokens of 8 bytes. */
#define TAKEN_FIXED  (4u << 20)
#define TAKEN_FACTOR 64

#define CONTEXT 64
#define IDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

/* Every value in every way; spans must lie within the file. */
static void look_up(const struct gguf *g, struct span file)
{
    for (size_t i = 0; i < g->pair_count; i++) {
        const struct gguf_pair *p = &g->pairs[i];
        struct span text;
        size_t at = 0;

        must(p->value.ptr >= file.ptr && p->value.ptr + p->value.len <= file.ptr + file.len);
        while (p->kind == GGUF_ARRAY && p->element == GGUF_STRING &&
               gguf_next_string(p, &at, &text))
            must(text.ptr >= file.ptr && text.ptr + text.len <= file.ptr + file.len);
    }
    for (size_t i = 0; i < g->tensor_count; i++) {
        struct span d = g->tensors[i].data;

        must(d.ptr >= file.ptr && d.ptr + d.len <= file.ptr + file.len);
    }
}

/* The tokenizer by itself needs no weights. */
static void tokenize(const struct gguf *g)
{
    const struct span text = SPAN("hello  wor 12\n<s>\xc3\xa9\xff<|im_end|>");
    struct engine_error why;
    struct tokenizer *t;
    uint32_t ids[IDS_MAX];
    struct buf out;
    size_t count = 0;

    if (tokenizer_open(g, &t, &why) != ST_OK)
        return;
    buf_init(&out, 1 << 24);
    (void)!tokenizer_encode(t, text, true, ids, IDS_MAX, SIZE_MAX, &count);
    for (size_t i = 0; i < count && i < IDS_MAX; i++)
        must(ids[i] < tokenizer_size(t) && tokenizer_decode(t, ids[i], &out) == ST_OK);
    buf_release(&out);
    tokenizer_close(t);
}

static void read_file(struct span file)
{
    struct engine_error why;
    struct arena arena;
    struct gguf g;

    arena_init(&arena, 65536, 1u << 30);
    if (gguf_read(file, &arena, &g, &why) == ST_OK) {
        look_up(&g, file);
        tokenize(&g);
    }
    arena_release(&arena);
}

static void compute(struct decoder *d)
{
    const struct decoder_turn turns[] = {
        {SPAN("system"), SPAN(" b")},
        {SPAN("user"), SPAN("hello world  12 345\n<|im_end|>\xc3\xa9\xff")},
        {SPAN("assistant"), SPAN("")},
    };
    struct decoder_session *s;
    struct model_info info;
    uint32_t ids[IDS_MAX];
    struct buf out;
    size_t count;

    decoder_info(d, &info);
    buf_init(&out, 1 << 24);
    if (decoder_tokenize(d, turns[1].text, true, ids, IDS_MAX, &count) == ST_OK) {
        for (size_t i = 0; i < count && i < IDS_MAX; i++)
            must(ids[i] < info.vocabulary && decoder_token_text(d, ids[i], &out) == ST_OK);
    }
    buf_release(&out);
    (void)!decoder_chat_tokens(d, turns, 3, ids, IDS_MAX, &count);
    must(decoder_session_open(d, 1, &s) == ST_OK);
    if (count > 0 && count <= info.context_max)
        (void)!decoder_prefill(s, ids, count < IDS_MAX ? count : IDS_MAX,
                               (struct engine_stop){NULL, NULL});
    decoder_session_close(s);
}

/* The same file as an encoder. */
static void embed(struct span file)
{
    const struct span texts[] = {SPAN("hello world  12 345\n\xc3\xa9"), SPAN("")};
    const struct encoder_options o = {.precision = ENCODER_INT8, .memory_max_bytes = 64u << 20};
    float *out;
    enum status each[2], st;
    struct engine_error why;
    struct encoder_session *s;
    struct model_info info;
    struct encoder *e;

    measure_start();
    st = encoder_open(memory_file(file), &o, &e, &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * file.len);
    if (st != ST_OK)
        return;
    encoder_info(e, &info);
    out = calloc(2 * (size_t)info.dimensions, sizeof(*out));
    must(out != NULL);
    must(encoder_session_open(e, &s) == ST_OK);
    must(encoder_embed(s, texts, 2, out, each, (struct engine_stop){NULL, NULL}) == ST_OK);
    encoder_session_close(s);
    encoder_close(e);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct decoder_options o = {.context_max = CONTEXT, .memory_max_bytes = 256u << 20};
    struct span file = {(const char *)data, size};
    struct engine_error why;
    struct decoder *d;
    enum status st;

    read_file(file);
    embed(file);
    measure_start();
    st = decoder_open(memory_file(file), &o, &d, &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * size);
    if (st != ST_OK)
        return 0;
    compute(d);
    decoder_close(d);
    return 0;
}
