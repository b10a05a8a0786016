/* The tokens of a GGUF file by text and by id, of whatever kind of tokenizer. Immutable
 * once read; any thread. Texts are borrowed from the file. */
#ifndef ENGINE_TOKENIZER_VOCABULARY_H
#define ENGINE_TOKENIZER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct gguf;

enum token_type { /* tokenizer.ggml.token_type; the format's numbers */
                  TOKEN_NORMAL = 1,
                  TOKEN_UNKNOWN,
                  TOKEN_CONTROL,
                  TOKEN_USER, /* matched in any text, before all else */
                  TOKEN_UNUSED,
                  TOKEN_BYTE, /* "<0x0A>" */
};

#define VOCABULARY_SPECIAL_MAX 256 /* bytes of a token that is found within a text */

struct vocabulary {
    uint32_t size;
    struct span *texts; /* owned array */
    uint8_t *types;     /* owned, by id */
    uint32_t *slots;    /* owned: id + 1 by hash of the text */
    uint32_t slot_mask;
    size_t longest; /* bytes of the longest text */
    /* Of control and user-defined tokens: first bytes (1: user-defined, 2: control), and
     * which lengths there are, longest first. */
    uint8_t special_first[256];
    uint16_t special_lengths[VOCABULARY_SPECIAL_MAX];
    size_t special_length_count;
};

/* To be released also after an error. */
enum status vocabulary_read(struct vocabulary *v, const struct gguf *g,
                            struct engine_error *err) MUST_CHECK;
/* Bytes that it keeps. */
size_t vocabulary_bytes(const struct vocabulary *v);
void vocabulary_release(struct vocabulary *v);

/* A token by its very text; false when there is none. */
bool vocabulary_find(const struct vocabulary *v, struct span text, uint32_t *id) MUST_CHECK;

/* The longest user-defined (with `control` also control) token at the front of `rest`, which
 * is not empty. */
bool vocabulary_special(const struct vocabulary *v, struct span rest, bool control,
                        uint32_t *id) MUST_CHECK;

/* The same anywhere: how many bytes before it are ordinary text (all of them: none found). */
size_t vocabulary_until_special(const struct vocabulary *v, struct span text, bool control,
                                uint32_t *id);

/* The text of a piece of SentencePiece's: its marks (U+2581) are spaces. */
enum status vocabulary_unmark(struct span text, struct buf *out) MUST_CHECK;

/* The array tokenizer.ggml.scores: NULL when it is missing or does not fit. */
const char *vocabulary_scores(const struct vocabulary *v, const struct gguf *g);

#endif
