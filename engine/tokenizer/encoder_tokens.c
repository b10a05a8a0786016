#include "engine/tokenizer/encoder_tokens.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/wordpiece.h"
#include "engine/tokenizer/wordpiece_gguf.h"
#include "engine/tokenizer/wordpiece_json.h"
#include "engine/tokenizer/xlmr.h"

#define ARENA_LIMIT (256u * 1024 * 1024)
#define DEPTH       32

struct encoder_tokens {
    struct wordpiece *wordpiece; /* owned; one of them */
    struct xlmr *xlmr;
};

static enum status open_tree(struct encoder_tokens *t, const struct json *root, bool bare,
                             struct engine_error *err)
{
    struct span type = json_str(json_get(json_get(root, SPAN("model")), SPAN("type")));

    if (span_eq(type, SPAN("Unigram")))
        return xlmr_open(root, bare, &t->xlmr, err);
    if (span_eq(type, SPAN("WordPiece")))
        return wordpiece_json_open(root, bare, &t->wordpiece, err);
    return error_set(err, ST_INVALID,
                     "tokenizer.json: model '%.*s' is not supported; supported: WordPiece, "
                     "Unigram",
                     (int)(type.len < 40 ? type.len : 40), type.ptr != NULL ? type.ptr : "");
}

static enum status open_json(struct encoder_tokens *t, struct span text, bool bare,
                             size_t limit, struct engine_error *err)
{
    struct json_error why;
    struct json *root;
    struct arena arena;
    enum status st;

    arena_init(&arena, limit < 1024 * 1024 ? limit : 1024 * 1024, limit);
    st = json_parse(&arena, text, DEPTH, &root, &why);
    if (st == ST_OK)
        st = open_tree(t, root, bare, err);
    else
        st = error_set(err, st == ST_LIMIT ? ST_LIMIT : ST_INVALID,
                       "tokenizer.json: %s (near byte %zu)", why.text, why.offset);
    arena_release(&arena);
    return st;
}

enum status encoder_tokens_open(struct span json, bool bare, uint64_t memory_max_bytes,
                                struct encoder_tokens **out, struct engine_error *err)
{
    struct encoder_tokens *t = calloc(1, sizeof(*t));
    bool less = memory_max_bytes > 0 && memory_max_bytes < ARENA_LIMIT;
    enum status st;

    if (t == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    st = open_json(t, json, bare, less ? (size_t)memory_max_bytes : ARENA_LIMIT, err);
    if (st != ST_OK) {
        encoder_tokens_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

enum status encoder_tokens_open_gguf(const struct gguf *g, struct encoder_tokens **out,
                                     struct engine_error *err)
{
    struct span model = gguf_string(g, "tokenizer.ggml.model");
    bool unigram = span_eq(model, SPAN("t5"));
    struct encoder_tokens *t;
    enum status st;

    if (!unigram && !span_eq(model, SPAN("bert")))
        return error_set(err, ST_INVALID,
                         "tokenizer '%.*s' is not supported in an encoder's GGUF; supported: "
                         "bert, t5",
                         (int)(model.len < 40 ? model.len : 40),
                         model.ptr != NULL ? model.ptr : "");
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    st =
        unigram ? xlmr_open_gguf(g, &t->xlmr, err) : wordpiece_gguf_open(g, &t->wordpiece, err);
    if (st != ST_OK) {
        encoder_tokens_close(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void encoder_tokens_close(struct encoder_tokens *t)
{
    if (t->wordpiece != NULL)
        wordpiece_close(t->wordpiece);
    if (t->xlmr != NULL)
        xlmr_close(t->xlmr);
    free(t);
}

uint32_t encoder_tokens_size(const struct encoder_tokens *t)
{
    return t->xlmr != NULL ? xlmr_size(t->xlmr) : wordpiece_size(t->wordpiece);
}

size_t encoder_tokens_bytes(const struct encoder_tokens *t)
{
    return sizeof(*t) + (t->xlmr != NULL ? xlmr_bytes(t->xlmr) : wordpiece_bytes(t->wordpiece));
}

enum status encoder_tokens_encode(const struct encoder_tokens *t, struct span text,
                                  uint32_t *ids, size_t cap, size_t most, size_t *count)
{
    return t->xlmr != NULL ? xlmr_encode(t->xlmr, text, ids, cap, most, count)
                           : wordpiece_encode(t->wordpiece, text, ids, cap, most, count);
}
