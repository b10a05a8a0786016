/* A tokenizer.json up to the first NUL, then a text. Without '{' at the front all of it is
 * text, for vocabularies that are known to be good: those that have every byte must give
 * the text back. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "engine/gguf.h"
#include "engine/tokenizer/encoder_tokens.h"
#include "engine/tokenizer/tokenizer.h"
#include "fuzz/measure.h"
#include "tiny_llama.h"

#define TAKEN_FIXED  (4u << 20)
#define TAKEN_FACTOR 64

#define IDS_MAX   64
#define KNOWN_MAX 16

static const char good[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\"},{\"id\":2,\"content\":\"[CLS]\"},"
    "{\"id\":3,\"content\":\"[SEP]\"}],\"normalizer\":{\"type\":\"BertNormalizer\","
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
    "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\"},\"model\":{\"type\":\"WordPiece\","
    "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,"
    "\"[SEP]\":3,\"a\":4,\"##a\":5,\"ab\":6,\"##ab\":7,\".\":8,\"\xe4\xb8\x80\":9,"
    "\"##\xc3\xa9\":10}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good_)
{
    if (!good_)
        abort();
}

static void check_encode(const struct encoder_tokens *w, struct span text)
{
    uint32_t ids[IDS_MAX], first[1];
    size_t count, same, none = 0;

    if (encoder_tokens_encode(w, text, ids, IDS_MAX, SIZE_MAX, &count) != ST_OK) {
        must(!unicode_valid(text));
        return;
    }
    must(unicode_valid(text) && count >= 2);
    for (size_t i = 0; i < count && i < IDS_MAX; i++)
        must(ids[i] < encoder_tokens_size(w));
    must(encoder_tokens_encode(w, text, first, 1, SIZE_MAX, &same) == ST_OK && same == count &&
         first[0] == ids[0]);
    must(encoder_tokens_encode(w, text, NULL, 0, count - 1, &none) == ST_LIMIT && none == 0);
}

/* --- vocabularies of decoders ------------------------------------------------------------- */

/* SentencePiece's: all bytes, and a few pieces. */
static void write_pieces(struct gguf_writer *w)
{
    static const char *const words[] = {
        "\xe2\x96\x81",  "a", "b",       "ab", "aa", "\xe2\x96\x81\xe2\x96\x81",
        "\xe2\x96\x81z", "z", "\xc3\xa9"};
    enum { WORDS = ARRAY_LEN(words) };
    static char names[256][8];
    struct span texts[256 + WORDS];
    int32_t types[256 + WORDS];
    float scores[256 + WORDS];

    for (size_t i = 0; i < 256 + WORDS; i++) {
        if (i < 256)
            snprintf(names[i], sizeof(names[i]), "<0x%02X>", (unsigned)i);
        texts[i] = span_of(i < 256 ? names[i] : words[i - 256]);
        types[i] = i < 256 ? 6 : 1;
        scores[i] = -(float)i;
    }
    gguf_writer_text(w, "tokenizer.ggml.model", "llama");
    gguf_writer_texts(w, "tokenizer.ggml.tokens", texts, 256 + WORDS);
    gguf_writer_i32s(w, "tokenizer.ggml.token_type", types, 256 + WORDS);
    gguf_writer_f32s(w, "tokenizer.ggml.scores", scores, 256 + WORDS);
}

static bool holds_mark(struct span text)
{
    for (size_t i = 0; i + 2 < text.len; i++) {
        if (memcmp(text.ptr + i, "\xe2\x96\x81", 3) == 0)
            return true;
    }
    return false;
}

/* `pre` NULL: SentencePiece's. Kept to the end. */
static struct tokenizer *open_known(const char *pre)
{
    static struct buf files[KNOWN_MAX];
    static struct arena arenas[KNOWN_MAX];
    static size_t n;
    struct engine_error why;
    struct gguf_writer w;
    struct tokenizer *t;
    struct gguf g;

    gguf_writer_init(&w, NULL);
    if (pre != NULL)
        tiny_llama_tokenizer(&w, pre);
    else
        write_pieces(&w);
    buf_init(&files[n], 1 << 20);
    gguf_writer_finish(&w, &files[n]);
    gguf_writer_release(&w);
    arena_init(&arenas[n], 65536, 1 << 20);
    must(gguf_read(buf_span(&files[n]), &arenas[n], &g, &why) == ST_OK);
    must(tokenizer_open(&g, &t, &why) == ST_OK);
    n++;
    return t;
}

/* What goes in comes out; SentencePiece's with a space before it. */
static void check_round_trip(const struct tokenizer *t, struct span text, bool prefix)
{
    uint32_t *ids = malloc((2 * text.len + 2) * sizeof(*ids));
    struct span back;
    struct buf out;
    size_t count = 0;

    must(ids != NULL);
    must(tokenizer_encode(t, text, false, ids, 2 * text.len + 2, SIZE_MAX, &count) == ST_OK);
    must(count <= 2 * text.len + 2);
    buf_init(&out, 4 * text.len + 64);
    for (size_t i = 0; i < count; i++)
        must(tokenizer_decode(t, ids[i], &out) == ST_OK);
    back = buf_span(&out);
    if (prefix && text.len > 0) {
        must(back.len > 0 && back.ptr[0] == ' ');
        back = (struct span){back.ptr + 1, back.len - 1};
    }
    must(span_eq(back, text));
    buf_release(&out);
    free(ids);
}

static void check_decoders(struct span text)
{
    /* qwen2 last: its texts are brought into a normal form. */
    static const char *const pres[] = {NULL,           "gpt-2",          "smollm",
                                       "llama-bpe",    "gpt-4o",         "tekken",
                                       "deepseek-llm", "deepseek-coder", "qwen2"};
    static struct tokenizer *known[ARRAY_LEN(pres)];

    static_assert(ARRAY_LEN(pres) <= KNOWN_MAX, "one is kept for each");

    for (size_t i = 0; i < ARRAY_LEN(pres); i++) {
        if (known[i] == NULL)
            known[i] = open_known(pres[i]);
        /* A mark that is written comes back as a space. */
        if (pres[i] == NULL && holds_mark(text))
            continue;
        if (i + 1 < ARRAY_LEN(pres) || unicode_is_composed(text))
            check_round_trip(known[i], text, pres[i] == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct encoder_tokens *known;
    struct span json = {(const char *)data, size}, text = json;
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    struct engine_error why;
    struct encoder_tokens *w;
    enum status st;

    if (known == NULL)
        must(encoder_tokens_open(span_of(good), false, 0, &known, &why) == ST_OK);
    if (size == 0 || data[0] != '{') {
        check_encode(known, text);
        check_decoders(text);
        return 0;
    }
    if (end != NULL)
        json.len = (size_t)(end - data);
    text = (struct span){json.ptr + json.len, size - json.len};
    if (text.len > 0)
        text = (struct span){text.ptr + 1, text.len - 1};
    measure_start();
    st = encoder_tokens_open(json, false, 0, &w, &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * size);
    if (st != ST_OK)
        return 0;
    check_encode(w, text);
    encoder_tokens_close(w);
    return 0;
}
