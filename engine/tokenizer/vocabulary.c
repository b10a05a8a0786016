#include "engine/tokenizer/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/error.h"
#include "engine/gguf.h"

#define TOKENS_MAX    1000000
#define FIRST_USER    1
#define FIRST_CONTROL 2

bool vocabulary_find(const struct vocabulary *v, struct span text, uint32_t *id)
{
    uint32_t i = (uint32_t)hash_bytes(text, 0) & v->slot_mask;

    for (; v->slots[i] != 0; i = (i + 1) & v->slot_mask) {
        if (span_eq(v->texts[v->slots[i] - 1], text)) {
            *id = v->slots[i] - 1;
            return true;
        }
    }
    return false;
}

static uint32_t table_size(uint64_t n)
{
    uint32_t cap = 1024;

    while (cap < 2 * n)
        cap *= 2;
    return cap;
}

/* false: another has the same text. Besides being a lie, a million of the same would take
 * a million steps each. Tokens without a text are places that are not used. */
static bool add_token(struct vocabulary *v, uint32_t id)
{
    struct span text = v->texts[id];
    uint32_t i = (uint32_t)hash_bytes(text, 0) & v->slot_mask;

    if (text.len == 0)
        return true;
    for (; v->slots[i] != 0; i = (i + 1) & v->slot_mask) {
        if (span_eq(v->texts[v->slots[i] - 1], text))
            return false;
    }
    v->slots[i] = id + 1;
    return true;
}

static bool is_special(const struct vocabulary *v, uint32_t id, bool control)
{
    return v->types[id] == TOKEN_USER || (control && v->types[id] == TOKEN_CONTROL);
}

static void list_specials(struct vocabulary *v)
{
    bool lengths[VOCABULARY_SPECIAL_MAX + 1] = {false};

    for (uint32_t id = 0; id < v->size; id++) {
        struct span text = v->texts[id];

        if (!is_special(v, id, true) || text.len == 0 || text.len > VOCABULARY_SPECIAL_MAX)
            continue;
        lengths[text.len] = true;
        v->special_first[(unsigned char)text.ptr[0]] |=
            v->types[id] == TOKEN_USER ? FIRST_USER : FIRST_CONTROL;
    }
    for (size_t n = VOCABULARY_SPECIAL_MAX; n > 0; n--) {
        if (lengths[n])
            v->special_lengths[v->special_length_count++] = (uint16_t)n;
    }
}

static enum status read_texts(struct vocabulary *v, const struct gguf_pair *texts,
                              const struct gguf_pair *types, struct engine_error *err)
{
    size_t at = 0;

    for (uint32_t id = 0; id < v->size && gguf_next_string(texts, &at, &v->texts[id]); id++) {
        int32_t type = TOKEN_NORMAL;

        if (types != NULL)
            memcpy(&type, types->value.ptr + 4 * (size_t)id, sizeof(type));
        v->types[id] =
            type >= TOKEN_NORMAL && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_NORMAL;
        v->longest = v->texts[id].len > v->longest ? v->texts[id].len : v->longest;
        if (!add_token(v, id))
            return error_set(err, ST_INVALID, "tokenizer.ggml.tokens: entry %u is there twice",
                             id);
    }
    return ST_OK;
}

enum status vocabulary_read(struct vocabulary *v, const struct gguf *g,
                            struct engine_error *err)
{
    const struct gguf_pair *p = gguf_find(g, "tokenizer.ggml.tokens");
    const struct gguf_pair *t = gguf_find(g, "tokenizer.ggml.token_type");
    uint32_t cap;
    enum status st;

    *v = (struct vocabulary){0};
    if (p == NULL || p->kind != GGUF_ARRAY || p->element != GGUF_STRING || p->count == 0 ||
        p->count > TOKENS_MAX)
        return error_set(err, ST_INVALID, "tokenizer.ggml.tokens is missing or not usable");
    if (t != NULL && (t->kind != GGUF_ARRAY || t->count != p->count ||
                      (t->element != GGUF_I32 && t->element != GGUF_U32)))
        return error_set(err, ST_INVALID, "tokenizer.ggml.token_type does not fit the tokens");
    cap = table_size(p->count);
    v->size = (uint32_t)p->count;
    v->slot_mask = cap - 1;
    v->texts = calloc(v->size, sizeof(*v->texts));
    v->types = calloc(v->size, 1);
    v->slots = calloc(cap, sizeof(*v->slots));
    if (v->texts == NULL || v->types == NULL || v->slots == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    st = read_texts(v, p, t, err);
    if (st == ST_OK)
        list_specials(v);
    return st;
}

size_t vocabulary_bytes(const struct vocabulary *v)
{
    return v->size * (sizeof(*v->texts) + 1) + ((size_t)v->slot_mask + 1) * sizeof(*v->slots);
}

void vocabulary_release(struct vocabulary *v)
{
    free(v->texts);
    free(v->types);
    free(v->slots);
}

bool vocabulary_special(const struct vocabulary *v, struct span rest, bool control,
                        uint32_t *id)
{
    uint8_t first = v->special_first[(unsigned char)rest.ptr[0]];

    if ((first & (control ? FIRST_USER | FIRST_CONTROL : FIRST_USER)) == 0)
        return false;
    for (size_t i = 0; i < v->special_length_count; i++) {
        struct span text = {rest.ptr, v->special_lengths[i]};
        uint32_t found;

        if (text.len <= rest.len && vocabulary_find(v, text, &found) &&
            is_special(v, found, control)) {
            *id = found;
            return true;
        }
    }
    return false;
}

size_t vocabulary_until_special(const struct vocabulary *v, struct span text, bool control,
                                uint32_t *id)
{
    size_t at = 0;

    while (at < text.len &&
           !vocabulary_special(v, (struct span){text.ptr + at, text.len - at}, control, id))
        at++;
    return at;
}

enum status vocabulary_unmark(struct span text, struct buf *out)
{
    enum status st = ST_OK;

    for (size_t at = 0; st == ST_OK && at < text.len;) {
        bool mark = text.len - at >= 3 && memcmp(text.ptr + at, "\xe2\x96\x81", 3) == 0;

        st = buf_append(out, mark ? SPAN(" ") : (struct span){text.ptr + at, 1});
        at += mark ? 3 : 1;
    }
    return st;
}

const char *vocabulary_scores(const struct vocabulary *v, const struct gguf *g)
{
    const struct gguf_pair *p = gguf_find(g, "tokenizer.ggml.scores");

    if (p == NULL || p->kind != GGUF_ARRAY || p->element != GGUF_FLOAT32 || p->count != v->size)
        return NULL;
    return p->value.ptr;
}
