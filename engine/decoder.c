/* A decoder: opening its file, text to tokens and back. decoder_architecture.c says which there
 * are, decoder_shape.c and decoder_load.c what of a file is taken, decoder_forward.c how it is
 * computed, decoder_session.c how conversations become answers. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/decoder_forward.h"
#include "engine/decoder_load.h"
#include "engine/decoder_model.h"
#include "engine/decoder_pack.h"
#include "engine/decoder_shape.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/format.h"

#define ARENA_LIMIT (256u * 1024 * 1024)
/* Threads that opening shares its reading and packing among, at most: more wait for memory. */
#define OPEN_THREADS 4

/* --- opening -------------------------------------------------------------------------- */

static void add_end(struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return;
    }
    if (m->end_count < DECODER_ENDS_MAX)
        m->ends[m->end_count++] = id;
}

/* What ends an answer: the ids the file names, and tokens known by their text. */
static void find_ends(struct decoder *m)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const texts[] = {"<|im_end|>",      "<|eot_id|>",   "<|endoftext|>",
                                        "<|end_of_text|>", "<|eom_id|>",   "<|end|>",
                                        "<end_of_turn>",   "</s>",         "<|fim_pad|>",
                                        "<|file_sep|>",    "<|repo_name|>"};
    uint64_t id;
    uint32_t found;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (gguf_u64(&m->gguf, keys[i], &id) && id < m->weights.shape.vocabulary)
            add_end(m, (uint32_t)id);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (tokenizer_find(m->tokens, texts[i], &found))
            add_end(m, found);
    }
}

/* Ids of an answer: its own, and those it may be like. */
#define ANSWER_IDS 2

/* A worker that writes all its answers. */
static uint64_t session_bytes(const struct decoder *m)
{
    const struct decoder_shape *s = &m->weights.shape;
    uint64_t answers = s->sequences > 0 ? s->sequences : 1;

    return decoder_forward_bytes(s) + chat_template_bytes(m->tokens, s->context) +
           answers * ANSWER_IDS * s->context * sizeof(uint32_t);
}

/* The file, what was read of it, and a worker. */
static enum status check_memory(struct decoder *m, uint64_t most, struct engine_error *err)
{
    uint64_t needed =
        m->file.bytes.len + m->arena.used + tokenizer_bytes(m->tokens) + session_bytes(m);

    if (most > 0 && needed > most)
        return error_set(err, ST_LIMIT,
                         "the model and its cache need %llu MiB, more than it may have",
                         (unsigned long long)(needed >> 20));
    m->memory_max = most;
    m->memory_needed = needed;
    return ST_OK;
}

/* Last: the file's id is of its bytes as they were. */
static enum status pack_weights(struct decoder *m, struct threads *t, struct engine_error *err)
{
    enum status st = file_set_writable(&m->file, true, err);

    if (st == ST_OK && decoder_pack(&m->weights, t) != ST_OK)
        st = error_set(err, ST_NOMEM, "out of memory");
    return st == ST_OK ? file_set_writable(&m->file, false, err) : st;
}

static enum status build(struct decoder *m, struct threads *t, const struct decoder_options *o,
                         struct engine_error *err)
{
    struct decoder_shape *s = &m->weights.shape;
    enum status st = gguf_read(m->file.bytes, &m->arena, &m->gguf, err);

    if (st == ST_OK)
        st = decoder_shape_read(&m->gguf, s, err);
    if (st == ST_OK)
        st = tokenizer_open(&m->gguf, &m->tokens, err);
    if (st == ST_OK)
        st = decoder_load(&m->weights, &m->gguf, tokenizer_size(m->tokens), &m->arena, err);
    if (st == ST_OK && !o->tokens_only)
        st = chat_template_open(m->tokens, gguf_string(&m->gguf, "tokenizer.chat_template"),
                                o->chat_template, &m->chat, err);
    if (st != ST_OK)
        return st;
    s->kv_type = o->kv_type;
    s->sequences = o->sequences;
    s->guessing = o->guessing;
    s->cache_tokens = o->cache_tokens;
    if (o->context_max > 0 && o->context_max < s->context)
        s->context = o->context_max;
    find_ends(m);
    decoder_fill_find(&m->gguf, m->tokens, s->vocabulary, &m->fill);
    model_id(m->file.bytes, m->id);
    st = check_memory(m, o->memory_max_bytes, err);
    return st == ST_OK && !o->look ? pack_weights(m, t, err) : st;
}

static unsigned open_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores < OPEN_THREADS ? (unsigned)cores : OPEN_THREADS;
}

enum status decoder_open(const char *path, const struct decoder_options *o,
                         struct decoder **out, struct engine_error *err)
{
    struct decoder *m = calloc(1, sizeof(*m));
    struct threads *t;
    enum status st;

    if (m == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    st = threads_open(open_threads(), &t);
    if (st != ST_OK) {
        free(m);
        return error_set(err, st, "no threads to read '%s' by", path);
    }
    arena_init(&m->arena, 1 << 20, ARENA_LIMIT);
    st = o->look ? file_map(path, &m->file, err)
                 : file_read_by(t, path, o->memory_max_bytes, &m->file, err);
    if (st == ST_OK)
        st = build(m, t, o, err);
    threads_close(t);
    if (st != ST_OK) {
        decoder_close(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void decoder_close(struct decoder *m)
{
    if (m->tokens != NULL)
        tokenizer_close(m->tokens);
    arena_release(&m->arena);
    file_release(&m->file);
    free(m);
}

void decoder_info(const struct decoder *m, struct model_info *out)
{
    const struct decoder_shape *s = &m->weights.shape;
    const struct decoder_experts *first;

    *out = (struct model_info){
        .memory_bytes = m->file.bytes.len,
        .dimensions = (uint32_t)s->d,
        .context_max = s->context,
        .vocabulary = (uint32_t)s->vocabulary,
    };
    for (size_t i = 0; i < m->gguf.tensor_count; i++) {
        uint64_t n = 1;

        for (unsigned k = 0; k < m->gguf.tensors[i].dims; k++)
            n *= m->gguf.tensors[i].shape[k];
        out->parameters += n;
    }
    snprintf(out->id, sizeof(out->id), "%s", m->id);
    snprintf(out->architecture, sizeof(out->architecture), "%s", s->arch->name);
    first = m->weights.layers[0].experts;
    snprintf(out->weights, sizeof(out->weights), "%s",
             format_name(first != NULL ? first->list[0].up.type
                                       : m->weights.layers[0].feed.up.type));
}

uint64_t decoder_memory(const struct decoder *m, unsigned sessions)
{
    return m->memory_needed + (sessions > 1 ? sessions - 1 : 0) * session_bytes(m);
}

/* --- text ----------------------------------------------------------------------------- */

enum status decoder_tokenize(const struct decoder *d, struct span text, bool special,
                             uint32_t *ids, size_t cap, size_t *count)
{
    *count = 0;
    return tokenizer_encode(d->tokens, text, special, ids, cap, SIZE_MAX, count);
}

bool decoder_begin(const struct decoder *d, uint32_t *id)
{
    if (!tokenizer_begins(d->tokens))
        return false;
    *id = tokenizer_begin(d->tokens);
    return true;
}

enum status decoder_token_text(const struct decoder *d, uint32_t id, struct buf *out)
{
    return tokenizer_decode(d->tokens, id, out);
}

enum status decoder_chat_tokens(const struct decoder *d, const struct decoder_turn *turns,
                                size_t n, uint32_t *ids, size_t cap, size_t *count)
{
    return chat_template_encode(&d->chat, d->tokens, turns, n, ids, cap, count);
}

bool decoder_same_vocabulary(const struct decoder *a, const struct decoder *b)
{
    size_t n = a->weights.shape.vocabulary;
    struct buf x, y;
    bool same = n == b->weights.shape.vocabulary;

    buf_init(&x, 1 << 16);
    buf_init(&y, 1 << 16);
    for (size_t i = 0; same && i < n; i++) {
        buf_clear(&x);
        buf_clear(&y);
        same = tokenizer_decode(a->tokens, (uint32_t)i, &x) == ST_OK &&
               tokenizer_decode(b->tokens, (uint32_t)i, &y) == ST_OK &&
               span_eq(buf_span(&x), buf_span(&y));
    }
    buf_release(&x);
    buf_release(&y);
    return same;
}
