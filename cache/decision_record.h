/* What a decision looked at, to be explained later: the question, every candidate with
 * its question, and what was made of each. Texts are copies: an explanation holds when the
 * entry is gone. Any thread; a record is read-only once made. */
#ifndef CACHE_DECISION_RECORD_H
#define CACHE_DECISION_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/decision.h"

struct decision_record {
    struct digest partition;
    uint64_t at_ms; /* wall clock */
    struct decision decision;
    float floor;          /* cosine below which nothing was looked at */
    struct span question; /* what was asked; in the same block, as those of the candidates */
    struct span asked;    /* as it was said, where `question` was made of it; likewise */
    size_t count;
    struct decision_candidate candidates[DECISION_CANDIDATES_MAX];
    size_t bytes; /* of the block */
};

/* *like is copied with its texts, in one block, the caller's to free(). Of a text no more
 * is kept than the guards read. */
enum status decision_record_copy(const struct decision_record *like,
                                 struct decision_record **out) MUST_CHECK;

#endif
