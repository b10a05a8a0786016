/* SentencePiece's unigram model (Kudo 2018), as T5 and XLM-RoBERTa use it: of all ways to
 * part a word into pieces the one with the best sum of scores. Equal to the `tokenizers`
 * library. Immutable once open; any thread. */
#ifndef ENGINE_TOKENIZER_UNIGRAM_H
#define ENGINE_TOKENIZER_UNIGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/token_sink.h"
#include "engine/tokenizer/vocabulary.h"

struct unigram;
struct gguf;

struct unigram_piece {
    struct span text; /* borrowed (outlives the model); empty: never found */
    double score;
};

struct unigram_options {
    struct charsmap map;
    bool prefix;      /* a space before each text */
    bool split_white; /* any white space parts words, none of it is kept */
    bool collapse;    /* several spaces are one */
    bool trim_front, trim_back;
    uint32_t unknown;
};

/* pieces[id], borrowed for the call. Scores must be finite. */
enum status unigram_open(const struct unigram_piece *pieces, uint32_t n,
                         const struct unigram_options *o, struct unigram **out,
                         struct engine_error *err) MUST_CHECK;
/* tokenizer.ggml.model "t5". `words` outlives it. */
enum status unigram_open_gguf(const struct gguf *g, const struct vocabulary *words,
                              struct unigram **out, struct engine_error *err) MUST_CHECK;
void unigram_close(struct unigram *u);
bool unigram_prefixes(const struct unigram *u);
/* Bytes that it keeps, and that encoding a text takes at most. */
size_t unigram_bytes(const struct unigram *u);
size_t unigram_work_bytes(size_t text_bytes);

/* A text without special tokens. ST_INVALID: not UTF-8. ST_LIMIT: more than s->most. */
enum status unigram_encode(const struct unigram *u, struct span text,
                           struct token_sink *s) MUST_CHECK;

#endif
