#include "engine/tokenizer/tokenizer.h"

#include <stdlib.h>

#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/spm.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/vocabulary.h"

struct tokenizer {
    struct vocabulary words;
    struct bpe *bpe; /* owned; one of them */
    struct spm *spm;
    struct unigram *unigram;
    uint32_t begin, end;
    bool begins;
};

/* --- opening ---------------------------------------------------------------------------- */

static uint32_t read_id(const struct tokenizer *t, const struct gguf *g, const char *key,
                        const char *otherwise)
{
    uint64_t id;
    uint32_t found;

    if (gguf_find(g, key) != NULL)
        return gguf_u64(g, key, &id) && id < t->words.size ? (uint32_t)id : TOKENIZER_NONE;
    return tokenizer_find_control(t, otherwise, &found) ? found : TOKENIZER_NONE;
}

static enum status open_model(struct tokenizer *t, const struct gguf *g,
                              struct engine_error *err)
{
    struct span model = gguf_string(g, "tokenizer.ggml.model");

    if (span_eq(model, SPAN("gpt2")))
        return bpe_open(g, &t->words, &t->bpe, err);
    if (span_eq(model, SPAN("llama")))
        return spm_open(g, &t->words, &t->spm, err);
    if (span_eq(model, SPAN("t5")))
        return unigram_open_gguf(g, &t->words, &t->unigram, err);
    return error_set(
        err, ST_INVALID, "tokenizer '%.*s' is not supported; supported: gpt2, llama, t5",
        (int)(model.len < 40 ? model.len : 40), model.ptr != NULL ? model.ptr : "");
}

enum status tokenizer_open(const struct gguf *g, struct tokenizer **out,
                           struct engine_error *err)
{
    struct tokenizer *t = calloc(1, sizeof(*t));
    enum status st;

    if (t == NULL)
        return error_set(err, ST_NOMEM, "out of memory for the tokenizer");
    st = vocabulary_read(&t->words, g, err);
    if (st == ST_OK)
        st = open_model(t, g, err);
    if (st != ST_OK) {
        tokenizer_close(t);
        return st;
    }
    t->begin = read_id(t, g, "tokenizer.ggml.bos_token_id", "<s>");
    t->end = read_id(t, g, "tokenizer.ggml.eos_token_id", "</s>");
    t->begins = t->spm != NULL || (t->bpe != NULL && bpe_begins(t->bpe));
    (void)!gguf_bool(g, "tokenizer.ggml.add_bos_token", &t->begins);
    t->begins = t->begins && t->begin != TOKENIZER_NONE;
    *out = t;
    return ST_OK;
}

void tokenizer_close(struct tokenizer *t)
{
    if (t->bpe != NULL)
        bpe_close(t->bpe);
    if (t->spm != NULL)
        spm_close(t->spm);
    if (t->unigram != NULL)
        unigram_close(t->unigram);
    vocabulary_release(&t->words);
    free(t);
}

/* --- what it has ------------------------------------------------------------------------ */

size_t tokenizer_bytes(const struct tokenizer *t)
{
    size_t own = sizeof(*t) + vocabulary_bytes(&t->words);

    return own + (t->bpe != NULL   ? bpe_bytes(t->bpe)
                  : t->spm != NULL ? spm_bytes(t->spm)
                                   : unigram_bytes(t->unigram));
}

size_t tokenizer_work_bytes(const struct tokenizer *t, size_t text_bytes)
{
    return t->bpe != NULL   ? bpe_work_bytes(t->bpe, text_bytes)
           : t->spm != NULL ? spm_work_bytes(text_bytes)
                            : unigram_work_bytes(text_bytes);
}

size_t tokenizer_longest(const struct tokenizer *t)
{
    return t->words.longest;
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    return t->words.size;
}

bool tokenizer_find(const struct tokenizer *t, const char *text, uint32_t *id)
{
    return vocabulary_find(&t->words, span_of(text), id);
}

bool tokenizer_find_control(const struct tokenizer *t, const char *text, uint32_t *id)
{
    uint32_t found;

    if (!tokenizer_find(t, text, &found) || !tokenizer_is_control(t, found))
        return false;
    *id = found;
    return true;
}

bool tokenizer_is_control(const struct tokenizer *t, uint32_t id)
{
    return id < t->words.size && t->words.types[id] == TOKEN_CONTROL;
}

struct span tokenizer_text(const struct tokenizer *t, uint32_t id)
{
    return id < t->words.size ? t->words.texts[id] : (struct span){"", 0};
}

uint32_t tokenizer_begin(const struct tokenizer *t)
{
    return t->begin;
}

uint32_t tokenizer_end(const struct tokenizer *t)
{
    return t->end;
}

bool tokenizer_begins(const struct tokenizer *t)
{
    return t->begins;
}

bool tokenizer_is_sentencepiece(const struct tokenizer *t)
{
    return t->bpe == NULL;
}

bool tokenizer_prefixes(const struct tokenizer *t)
{
    return t->spm != NULL ? spm_prefixes(t->spm)
                          : t->unigram != NULL && unigram_prefixes(t->unigram);
}

/* --- texts ------------------------------------------------------------------------------ */

static enum status encode_plain(const struct tokenizer *t, struct span text,
                                struct token_sink *s)
{
    if (text.len == 0)
        return ST_OK;
    if (t->unigram != NULL)
        return unigram_encode(t->unigram, text, s);
    return t->bpe != NULL ? bpe_encode(t->bpe, text, s) : spm_encode(t->spm, text, s);
}

enum status tokenizer_encode(const struct tokenizer *t, struct span text, bool special,
                             uint32_t *ids, size_t cap, size_t most, size_t *count)
{
    struct token_sink s = {ids, cap, *count, most};
    enum status st = ST_OK;

    while (st == ST_OK && text.len > 0) {
        uint32_t id = 0;
        size_t plain = vocabulary_until_special(&t->words, text, special, &id);

        st = encode_plain(t, (struct span){text.ptr, plain}, &s);
        if (plain < text.len) {
            token_sink_put(&s, id);
            plain += t->words.texts[id].len;
        }
        text = (struct span){text.ptr + plain, text.len - plain};
        if (st == ST_OK && s.count > most)
            st = ST_LIMIT;
    }
    *count = s.count;
    return st;
}

enum status tokenizer_decode(const struct tokenizer *t, uint32_t id, struct buf *out)
{
    if (id >= t->words.size)
        return ST_INVALID;
    if (t->words.types[id] == TOKEN_CONTROL)
        return ST_OK;
    if (t->words.types[id] == TOKEN_USER)
        return buf_append(out, t->words.texts[id]);
    if (t->unigram != NULL)
        return vocabulary_unmark(t->words.texts[id], out);
    return t->bpe != NULL ? bpe_decode(t->bpe, t->words.texts[id], out)
                          : spm_decode(t->spm, id, out);
}
