/* Merging neighbours, the best pair first, the leftmost of equals: what byte-level BPE and
 * SentencePiece's BPE have in common. A heap, so that a long text costs n log n. */
#ifndef ENGINE_TOKENIZER_MERGE_H
#define ENGINE_TOKENIZER_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct merge_part {
    uint32_t id;      /* the caller's; set by what merge_find_fn says */
    uint32_t at, len; /* its bytes, in the caller's text; not empty */
    uint32_t prev, next;
};

/* What left and right become, and how good that is (larger is better, never NaN); false:
 * they do not merge. */
typedef bool merge_find_fn(const void *arg, const struct merge_part *left,
                           const struct merge_part *right, double *key, uint32_t *into);

/* What the parts of n and merging them take. */
size_t merge_bytes(size_t n);

/* parts[0..n) lie next to each other; *left of them remain, in their order, at the front.
 * ST_NOMEM. */
enum status merge_run(struct merge_part *parts, size_t n, merge_find_fn *find, const void *arg,
                      size_t *left) MUST_CHECK;

#endif
