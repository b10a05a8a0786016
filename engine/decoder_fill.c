#include "engine/decoder_fill.h"

#include "engine/decoder_model.h"
#include "engine/engine.h"

/* Of a family: Qwen Coder and CodeGemma, StarCoder, DeepSeek Coder, CodeLlama. */
static const char *const families[][3] = {
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
    {"▁<PRE>", "▁<SUF>", "▁<MID>"},
};

/* As llama.cpp's gguf-py writes them (constants.py), and as it did before. */
static const char *const keys[][3] = {
    {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.fim_suf_token_id",
     "tokenizer.ggml.fim_mid_token_id"},
    {"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.suffix_token_id",
     "tokenizer.ggml.middle_token_id"},
};

static bool by_keys(const struct gguf *g, const char *const names[3], size_t vocabulary,
                    uint32_t ids[3])
{
    for (size_t i = 0; i < 3; i++) {
        uint64_t id;

        if (!gguf_u64(g, names[i], &id) || id >= vocabulary)
            return false;
        ids[i] = (uint32_t)id;
    }
    return true;
}

static bool by_texts(const struct tokenizer *t, const char *const names[3], uint32_t ids[3])
{
    for (size_t i = 0; i < 3; i++) {
        if (!tokenizer_find(t, names[i], &ids[i]))
            return false;
    }
    return true;
}

void decoder_fill_find(const struct gguf *g, const struct tokenizer *t, size_t vocabulary,
                       struct decoder_fill *out)
{
    uint32_t ids[3];
    bool known = false;

    for (size_t i = 0; i < ARRAY_LEN(keys) && !known; i++)
        known = by_keys(g, keys[i], vocabulary, ids);
    for (size_t i = 0; i < ARRAY_LEN(families) && !known; i++)
        known = by_texts(t, families[i], ids);
    *out = (struct decoder_fill){.known = known};
    if (known)
        *out = (struct decoder_fill){true, ids[0], ids[1], ids[2]};
}

bool decoder_fill_known(const struct decoder *d)
{
    return d->fill.known;
}

/* The first failure sticks. */
struct writer {
    const struct tokenizer *t;
    uint32_t *ids;
    size_t cap, count;
    enum status st;
};

static void put(struct writer *w, uint32_t id)
{
    if (w->st != ST_OK)
        return;
    if (w->count == w->cap)
        w->st = ST_LIMIT;
    else
        w->ids[w->count++] = id;
}

/* What looks like a control token stays text. */
static void put_text(struct writer *w, struct span text)
{
    if (w->st == ST_OK && text.len > 0)
        w->st = tokenizer_encode(w->t, text, false, w->ids, w->cap, w->cap, &w->count);
    if (w->st == ST_OK && w->count > w->cap)
        w->st = ST_LIMIT;
}

enum status decoder_fill_prompt(const struct decoder *d, const struct decoder_request *q,
                                uint32_t *ids, size_t cap, size_t *count)
{
    struct writer w = {d->tokens, ids, cap, 0, ST_OK};
    bool fills = q->turn_count > 1;
    uint32_t begin;

    if (fills && !d->fill.known)
        return ST_INVALID;
    if (decoder_begin(d, &begin))
        put(&w, begin);
    if (fills)
        put(&w, d->fill.prefix);
    put_text(&w, q->turns[0].text);
    if (fills) {
        put(&w, d->fill.suffix);
        put_text(&w, q->turns[1].text);
        put(&w, d->fill.middle);
    }
    if (w.st == ST_OK && w.count == 0)
        return ST_INVALID; /* a text of nothing can not be continued */
    *count = w.count;
    return w.st;
}
