/* Pre-tokenizers: where byte-level BPE parts a text before it merges. Each family has a
 * regular expression over Unicode classes; here they are scanners, equal to it, that cost
 * the length of the text. Pure; any thread. */
#ifndef ENGINE_TOKENIZER_PIECES_H
#define ENGINE_TOKENIZER_PIECES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"

#define PIECES_STEPS_MAX 6
/* A longer piece is cut, which only nonsense meets: it bounds the memory of merging one. */
#define PIECES_MAX_BYTES 65536

struct pieces {
    bool composed;    /* the text is to be brought into NFC before */
    bool whole_first; /* a piece that is a token is not merged */
    bool begins;      /* a text has the token that begins one, unless the file says else */
    /* The length of the first piece at `at` (< s.len); 1 at least. Each one parts what the
     * one before it left; the text ends where such a part does. */
    size_t (*steps[PIECES_STEPS_MAX])(struct span s, size_t at);
};

/* Where the parts end that steps left. Zeros at the beginning of a text. */
struct pieces_place {
    size_t ends[PIECES_STEPS_MAX];
};

/* By tokenizer.ggml.pre; NULL: not one we know. */
const struct pieces *pieces_find(struct span name);
/* "gpt-2, smollm, …" */
const char *pieces_known(void);

/* The length of the piece at `at` (< s.len): where the one before it ended. */
size_t pieces_next(const struct pieces *p, struct span s, size_t at,
                   struct pieces_place *place);

#endif
