/* A decoder: opening its file, conversations into answers. decoder_architecture.c says which
 * there are, decoder_shape.c and decoder_load.c what of a file is taken, decoder_forward.c how
 * it is computed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "engine/chat_template.h"
#include "engine/decoder_forward.h"
#include "engine/decoder_load.h"
#include "engine/decoder_pack.h"
#include "engine/decoder_shape.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/gguf.h"
#include "engine/model_id.h"
#include "engine/outlet.h"
#include "engine/sampler.h"
#include "engine/tokenizer/tokenizer.h"

#define ENDS_MAX    16
#define ARENA_LIMIT (256u * 1024 * 1024)

struct decoder {
    struct decoder_weights weights;
    struct file file;   /* owned */
    struct arena arena; /* what was read of the file */
    struct gguf gguf;
    struct tokenizer *tokens; /* owned */
    struct chat_template chat;
    uint32_t ends[ENDS_MAX]; /* end of generation */
    size_t end_count;
    char id[MODEL_ID_BYTES];
};

struct decoder_session {
    const struct decoder *model; /* borrowed */
    struct decoder_state state;
};

/* --- opening -------------------------------------------------------------------------- */

static void add_end(struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return;
    }
    if (m->end_count < ENDS_MAX)
        m->ends[m->end_count++] = id;
}

/* What ends an answer: the ids the file names, and tokens known by their text. */
static void find_ends(struct decoder *m)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    static const char *const texts[] = {"<|im_end|>",      "<|eot_id|>", "<|endoftext|>",
                                        "<|end_of_text|>", "<|eom_id|>", "<|end|>",
                                        "<end_of_turn>",   "</s>"};
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

static enum status check_memory(const struct decoder *m, uint64_t most,
                                struct engine_error *err)
{
    uint64_t needed = m->file.bytes.len + decoder_forward_bytes(&m->weights.shape);

    if (most > 0 && needed > most)
        return error_set(err, ST_LIMIT,
                         "the model and its cache need %llu MiB, more than it may have",
                         (unsigned long long)(needed >> 20));
    return ST_OK;
}

/* Last: the file's id is of its bytes as they were. */
static enum status pack_weights(struct decoder *m, struct engine_error *err)
{
    enum status st = file_set_writable(&m->file, true, err);

    if (st == ST_OK && decoder_pack(&m->weights) != ST_OK)
        st = error_set(err, ST_NOMEM, "out of memory");
    return st == ST_OK ? file_set_writable(&m->file, false, err) : st;
}

static enum status build(struct decoder *m, const struct decoder_options *o,
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
    if (o->context_max > 0 && o->context_max < s->context)
        s->context = o->context_max;
    find_ends(m);
    model_id(m->file.bytes, m->id);
    st = check_memory(m, o->memory_max_bytes, err);
    return st == ST_OK ? pack_weights(m, err) : st;
}

enum status decoder_open(const char *path, const struct decoder_options *o,
                         struct decoder **out, struct engine_error *err)
{
    struct decoder *m = calloc(1, sizeof(*m));
    enum status st;

    if (m == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    arena_init(&m->arena, 1 << 20, ARENA_LIMIT);
    st = file_read(path, o->memory_max_bytes, &m->file, err);
    if (st == ST_OK)
        st = build(m, o, err);
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

/* --- sessions ------------------------------------------------------------------------- */

enum status decoder_session_open(const struct decoder *d, unsigned threads,
                                 struct decoder_session **out)
{
    struct decoder_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->model = d;
    if (decoder_forward_init(&s->state, &d->weights, threads) != ST_OK) {
        decoder_session_close(s);
        return ST_NOMEM;
    }
    *out = s;
    return ST_OK;
}

void decoder_session_close(struct decoder_session *s)
{
    decoder_forward_release(&s->state);
    free(s);
}

enum status decoder_prefill(struct decoder_session *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop)
{
    decoder_forward_begin(&s->state);
    return decoder_forward(&s->state, ids, n, stop);
}

enum status decoder_step(struct decoder_session *s, uint32_t id)
{
    return decoder_forward(&s->state, &id, 1, (struct engine_stop){NULL, NULL});
}

const float *decoder_logits(const struct decoder_session *s)
{
    return s->state.logits;
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

static bool is_end(const struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return true;
    }
    return false;
}

/* From the logits of the prompt to the end of the answer. */
static enum status generate(struct decoder_session *s, struct sampler *sampler, uint32_t most,
                            struct outlet *o, struct engine_stop stop,
                            struct decoder_result *out)
{
    const struct decoder *m = s->model;
    struct decoder_state *d = &s->state;
    enum status st = ST_OK;

    out->finish = DECODER_LENGTH;
    while (st == ST_OK && out->completion_tokens < most) {
        uint32_t id = sampler_next(sampler, d->logits, m->weights.shape.vocabulary);

        if (stop.fn != NULL && stop.fn(stop.arg)) {
            out->finish = DECODER_CANCELED;
            return ST_CANCELED;
        }
        out->completion_tokens++;
        if (is_end(m, id)) {
            out->finish = DECODER_STOP;
            break;
        }
        st = tokenizer_decode(m->tokens, id, &o->held);
        if (st == ST_OK && outlet_pass(o)) {
            out->finish = DECODER_STOP;
            return ST_OK;
        }
        if (d->pos == m->weights.shape.context || out->completion_tokens == most)
            break;
        if (st == ST_OK)
            st = decoder_forward(d, &id, 1, stop);
    }
    if (st == ST_CANCELED)
        out->finish = DECODER_CANCELED;
    else
        outlet_end(o);
    return st;
}

/* What an earlier conversation of this session began with as well is not computed again. */
static enum status answer_prompt(struct decoder_session *s, const uint32_t *ids, size_t n,
                                 struct engine_stop stop, uint32_t *reused)
{
    *reused = decoder_forward_reuse(&s->state, ids, n);
    return decoder_forward(&s->state, ids + *reused, n - *reused, stop);
}

enum status decoder_chat(struct decoder_session *s, const struct decoder_turn *turns, size_t n,
                         const struct decoder_params *p, decoder_text_fn *on_text, void *arg,
                         struct engine_stop stop, struct decoder_result *out)
{
    const struct decoder *m = s->model;
    uint32_t context = m->weights.shape.context, *ids = malloc(context * sizeof(*ids));
    struct sampler sampler = {.items = NULL};
    uint64_t t0 = clock_now_us();
    struct outlet o;
    size_t count = 0;
    enum status st = ids != NULL ? ST_OK : ST_NOMEM;

    *out = (struct decoder_result){.finish = DECODER_CANCELED};
    outlet_init(&o, p->stop, p->stop_count, on_text, arg);
    /* One place is needed for the first token of the answer. */
    if (st == ST_OK)
        st = chat_template_encode(&m->chat, m->tokens, turns, n, ids, context - 1, &count);
    if (st == ST_OK)
        st = sampler_init(&sampler, p->temperature, p->top_p, p->top_k, p->seed,
                          m->weights.shape.vocabulary);
    if (st == ST_OK)
        st = answer_prompt(s, ids, count, stop, &out->reused_tokens);
    out->prompt_tokens = (uint32_t)count;
    out->prompt_us = clock_now_us() - t0;
    t0 = clock_now_us();
    if (st == ST_OK)
        st = generate(s, &sampler, p->max_tokens > 0 ? p->max_tokens : UINT32_MAX, &o, stop,
                      out);
    out->decode_us = clock_now_us() - t0;
    sampler_release(&sampler);
    outlet_release(&o);
    free(ids);
    return st;
}
