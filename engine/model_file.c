#include "engine/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "engine/chat_template.h"
#include "engine/decoder_forward.h"
#include "engine/decoder_shape.h"
#include "engine/encoder_architecture.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/gguf.h"
#include "engine/model_id.h"
#include "engine/tokenizer/tokenizer.h"

#define ARENA_LIMIT (256u * 1024 * 1024)

struct model_file {
    struct file file;   /* owned */
    struct arena arena; /* what was read of it */
    struct gguf gguf;
};

enum status model_file_open(const char *path, struct model_file **out, struct engine_error *err)
{
    struct model_file *f = calloc(1, sizeof(*f));
    enum status st;

    if (f == NULL)
        return error_set(err, ST_NOMEM, "out of memory");
    arena_init(&f->arena, 1 << 16, ARENA_LIMIT);
    st = file_map(path, &f->file, err);
    if (st == ST_OK)
        st = gguf_read(f->file.bytes, &f->arena, &f->gguf, err);
    if (st != ST_OK) {
        model_file_close(f);
        return st;
    }
    *out = f;
    return ST_OK;
}

void model_file_close(struct model_file *f)
{
    arena_release(&f->arena);
    file_release(&f->file);
    free(f);
}

/* --- facts ----------------------------------------------------------------------------- */

/* A name of the file that is printable, or as much of it as is. */
static void copy_word(const struct gguf *g, const char *key, char out[MODEL_FILE_WORD])
{
    struct span s = gguf_string(g, key);
    size_t n = 0;

    while (n < s.len && n + 1 < MODEL_FILE_WORD && s.ptr[n] > ' ' && s.ptr[n] <= '~' &&
           s.ptr[n] != '"' && s.ptr[n] != '\\') {
        out[n] = s.ptr[n];
        n++;
    }
    out[n] = '\0';
}

static void read_sizes(const struct gguf *g, struct model_file_facts *out)
{
    const struct {
        const char *key;
        uint64_t *to;
    } list[] = {
        {"block_count", &out->layers},
        {"embedding_length", &out->dimensions},
        {"feed_forward_length", &out->feed_forward},
        {"attention.head_count", &out->heads},
        {"attention.head_count_kv", &out->kv_heads},
        {"context_length", &out->context},
    };
    const struct gguf_pair *words = gguf_find(g, "tokenizer.ggml.tokens");
    char key[MODEL_FILE_WORD + 32];

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        snprintf(key, sizeof(key), "%s.%s", out->architecture, list[i].key);
        if (!gguf_u64(g, key, list[i].to))
            *list[i].to = 0;
    }
    out->vocabulary = words != NULL && words->kind == GGUF_ARRAY ? words->count : 0;
}

static void read_weights(const struct gguf *g, struct model_file_facts *out)
{
    for (size_t i = 0; i < g->tensor_count; i++) {
        uint64_t n = 1;

        for (unsigned k = 0; k < g->tensors[i].dims; k++)
            n *= g->tensors[i].shape[k];
        out->parameters += n;
        out->weights_bytes += g->tensors[i].data.len;
    }
}

static enum status read_tokenizer(const struct gguf *g, struct model_file_facts *out,
                                  struct engine_error *err)
{
    struct engine_error ignored;
    struct chat_template t;
    struct tokenizer *k;
    enum status st = tokenizer_open(g, &k, err);

    if (st != ST_OK)
        return st;
    /* A base model has none; that it can not chat is no reason not to show it. */
    if (chat_template_open(k, gguf_string(g, "tokenizer.chat_template"), NULL, &t, &ignored) ==
        ST_OK)
        snprintf(out->chat_template, sizeof(out->chat_template), "%s", chat_template_name(&t));
    out->tokenizer_bytes = tokenizer_bytes(k) + chat_template_bytes(k, (size_t)out->context);
    tokenizer_close(k);
    return st;
}

/* What a session takes: the same sum that opening checks against its limit. */
static enum status read_memory(const struct gguf *g, struct model_file_facts *out,
                               struct engine_error *err)
{
    struct decoder_shape s;
    enum status st = decoder_shape_read(g, &s, err);
    uint64_t all;

    if (st != ST_OK)
        return st;
    s.vocabulary = (size_t)out->vocabulary;
    all = decoder_forward_bytes(&s);
    out->session_bytes = all;
    s.context = s.context > 1 ? s.context - 1 : 1;
    out->token_bytes = all - decoder_forward_bytes(&s);
    return ST_OK;
}

void model_file_read(const struct model_file *f, struct model_file_facts *out)
{
    const struct gguf *g = &f->gguf;
    struct engine_error first = {.text = ""}, second = {.text = ""};
    bool shaped, spoken;

    *out = (struct model_file_facts){.file_bytes = f->file.bytes.len};
    model_id(f->file.bytes, out->id);
    copy_word(g, "general.architecture", out->architecture);
    copy_word(g, "tokenizer.ggml.model", out->tokenizer);
    copy_word(g, "tokenizer.ggml.pre", out->pre_tokenizer);
    read_sizes(g, out);
    read_weights(g, out);
    shaped = read_memory(g, out, &first) == ST_OK;
    spoken = read_tokenizer(g, out, &second) == ST_OK;
    out->supported = shaped && spoken;
    snprintf(out->why, sizeof(out->why), "%s", shaped ? second.text : first.text);
}

bool model_file_is_encoder(const struct model_file *f)
{
    return encoder_architecture_find(gguf_string(&f->gguf, "general.architecture")) != NULL;
}

size_t model_file_tensors(const struct model_file *f)
{
    return f->gguf.tensor_count;
}

struct model_file_tensor model_file_tensor(const struct model_file *f, size_t i)
{
    const struct gguf_tensor *t = &f->gguf.tensors[i];
    struct model_file_tensor out = {
        .name = t->name, .type = format_name(t->type), .dims = t->dims, .bytes = t->data.len};

    memcpy(out.shape, t->shape, sizeof(out.shape));
    return out;
}
