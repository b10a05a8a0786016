/* Pre-tokenizers: where byte-level BPE parts a text before it merges. Each family has a
 * regular expression over Unicode classes; here they are scanners, equal to it, that cost
 * the length of the text. Pure; any thread. */
#ifndef ENGINE_TOKENIZER_PIECES_H
#define ENGINE_TOKENIZER_PIECES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"

struct pieces {
    bool composed;      /* the text is to be brought into NFC before */
    bool numbers_alone; /* each number is a text of its own */
    /* Length of the piece at `at` (< s.len); 1 at least. */
    size_t (*length)(struct span s, size_t at);
    const char *name;
};

/* By tokenizer.ggml.pre; NULL: not one we know. */
const struct pieces *pieces_find(struct span name);
/* "gpt-2, smollm, …" */
const char *pieces_known(void);

/* The end of the part of the text that is split by itself. */
size_t pieces_part_end(const struct pieces *p, struct span s, size_t at);

#endif
