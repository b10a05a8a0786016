/* A stored answer with everything that proves where it came from. Immutable and
 * reference-counted: an entry may be replayed while it is evicted. The bytes of
 * the answer are opaque here. */
#ifndef CACHE_ENTRY_H
#define CACHE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

#define ENTRY_DIMENSIONS_MAX 4096
/* Of a whole frame. Answers are bounded long before (cache.answer_max_bytes); this
 * one keeps a peer's length from becoming our allocation. */
#define ENTRY_FRAME_BYTES_MAX (64u * 1024 * 1024)

struct entry {
    struct digest key;       /* fingerprint */
    struct digest partition; /* all zero: not for semantic reuse */
    struct digest tenant;    /* whose it is: the scope that key and partition hold too */
    uint64_t created_ms;     /* wall clock */
    uint64_t expires_ms;     /* gone from then on */
    uint16_t stale_min;      /* minutes before that in which it is stale (entry_fresh_ms()) */
    uint32_t prompt_tokens, completion_tokens;
    uint64_t took_us;     /* what the original answer took, end to end */
    struct span model;    /* who answered, for prices */
    struct span question; /* last user text; empty when not for semantic reuse */
    const float *vector;  /* unit vector of question; NULL when there is none */
    uint32_t dimensions;  /* of vector; 0 when there is none */
    struct span answer;   /* opaque */
};

/* A copy of *e with one reference; spans and vector live in the same block.
 * ST_LIMIT when a part is beyond what a frame can hold. */
enum status entry_new(const struct entry *e, struct entry **out) MUST_CHECK;
/* Any thread. */
struct entry *entry_ref(struct entry *e);
/* NULL is ignored. */
void entry_unref(struct entry *e);
/* It will soon be looked at or released: its beginning begins to come. */
void entry_expect(const struct entry *e);
/* The same of all of it; `bytes` is entry_bytes(), which the caller knows already. */
void entry_expect_all(const struct entry *e, size_t bytes);
/* Until when it may be reused without a question; after that only as RFC 5861 has it. */
static inline uint64_t entry_fresh_ms(const struct entry *e)
{
    uint64_t stale_ms = (uint64_t)e->stale_min * 60000;

    return e->expires_ms > stale_ms ? e->expires_ms - stale_ms : 0;
}
/* Bytes an entry occupies in memory. */
size_t entry_bytes(const struct entry *e);

/* The frame a store keeps: magic, version, lengths, fields, checksum (XXH3 64 over
 * all before it). */
enum status entry_encode(const struct entry *e, struct buf *out) MUST_CHECK;
/* ST_INVALID for anything that is not exactly one whole, unharmed frame of a version we
 * know: such an entry is a miss. */
enum status entry_decode(struct span frame, struct entry **out) MUST_CHECK;

#endif
