/* WordPiece as BERT uses it, equal to the `tokenizers` library on the same vocabulary
 * (Schuster and Nakajima 2012; Wu et al. 2016): normalizer BertNormalizer, pre-tokenizer
 * BertPreTokenizer, [CLS] text [SEP]. Immutable once open; any thread. */
#ifndef ENGINE_TOKENIZER_WORDPIECE_H
#define ENGINE_TOKENIZER_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct wordpiece;

#define WORDPIECE_PIECES_MAX     1000000
#define WORDPIECE_WORD_CHARS_MAX 100 /* a longer word is unknown (max_input_chars_per_word) */

enum wordpiece_place {
    WORDPIECE_FIRST,   /* begins a word */
    WORDPIECE_NEXT,    /* goes on within one; the text is without "##" */
    WORDPIECE_SPECIAL, /* found as written, before all else */
};

struct wordpiece_piece {
    struct span text; /* borrowed for the call; empty: never found */
    uint32_t id;
    enum wordpiece_place place;
};

struct wordpiece_options {
    bool lowercase; /* and accents go */
    bool bare;      /* nothing around a text, nothing for a word that is not known */
};

/* Ids are below `size`. A special piece is also one that begins a word. Without `bare`
 * [CLS] and [SEP] must be there, [UNK] always. */
enum status wordpiece_open(const struct wordpiece_piece *pieces, size_t n, uint32_t size,
                           const struct wordpiece_options *o, struct wordpiece **out,
                           struct engine_error *err) MUST_CHECK;
void wordpiece_close(struct wordpiece *w);
uint32_t wordpiece_size(const struct wordpiece *w);
/* Bytes that it keeps. */
size_t wordpiece_bytes(const struct wordpiece *w);

/* Ids of the text with its special tokens; at most cap are written, *count is the
 * whole number. ST_INVALID: not UTF-8. ST_LIMIT: more than `most`, found without reading
 * the rest of the text; *count is then not written. */
enum status wordpiece_encode(const struct wordpiece *w, struct span text, uint32_t *ids,
                             size_t cap, size_t most, size_t *count) MUST_CHECK;

#endif
