#include "engine/tokenizer/encoder_tokens.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/error.h"
#include "engine/tokenizer/wordpiece.h"
#include "engine/tokenizer/xlmr.h"

#define ARENA_LIMIT (256u * 1024 * 1024)
#define DEPTH       32

struct encoder_tokens {
    struct wordpiece *wordpiece; /* owned; one of them */
    struct xlmr *xlmr;
};

static enum status open_tree(struct encoder_tokens *t, const struct json *root,
                             struct engine_error *err)
{
    struct span type = json_str(json_get(json_get(root, SPAN("model")), SPAN("type")));

    if (span_eq(type, SPAN("Unigram")))
        return xlmr_open(root, &t->xlmr, err);
    if (span_eq(type, SPAN("WordPiece")))
        return wordpiece_open_tree(root, &t->wordpiece, err);
    return error_set(err, ST_INVALID,
                     "tokenizer.json: only WordPiece and Unigram are supported here");
}

enum status encoder_tokens_open(struct span json, struct encoder_tokens **out,
                                struct engine_error *err)
{
    struct encoder_tokens *t = calloc(1, sizeof(*t));
    struct json_error why;
    struct json *root;
    struct arena arena;
    enum status st;

    if (t == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    arena_init(&arena, 1024 * 1024, ARENA_LIMIT);
    st = json_parse(&arena, json, DEPTH, &root, &why);
    if (st == ST_OK)
        st = open_tree(t, root, err);
    else
        st = error_set(err, ST_INVALID, "tokenizer.json: %s", why.text);
    arena_release(&arena);
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

enum status encoder_tokens_encode(const struct encoder_tokens *t, struct span text,
                                  uint32_t *ids, size_t cap, size_t most, size_t *count)
{
    return t->xlmr != NULL ? xlmr_encode(t->xlmr, text, ids, cap, most, count)
                           : wordpiece_encode(t->wordpiece, text, ids, cap, most, count);
}
