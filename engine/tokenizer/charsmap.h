/* SentencePiece's precompiled normalization: a double-array trie of byte strings (Darts,
 * Yata) and what each becomes. As the `tokenizers` library applies it. Borrowed bytes;
 * immutable; any thread. */
#ifndef ENGINE_TOKENIZER_CHARSMAP_H
#define ENGINE_TOKENIZER_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct charsmap {
    struct span trie;  /* units of four bytes, little endian */
    struct span texts; /* each ends with a NUL */
};

/* `bytes` outlives *out; none at all is a map that changes nothing. false: no such map. */
bool charsmap_read(struct span bytes, struct charsmap *out) MUST_CHECK;

/* Appends the valid UTF-8 `text`, normalized. */
enum status charsmap_apply(const struct charsmap *m, struct span text,
                           struct buf *out) MUST_CHECK;

#endif
