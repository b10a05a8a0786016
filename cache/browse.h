/* What is stored, to be looked at: a page of entries, the newest first, and what there is by
 * partition. The store is read whole, on its own thread; so one does it for a person, not for
 * a clock. Loop thread only. */
#ifndef CACHE_BROWSE_H
#define CACHE_BROWSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"
#include "cache/keyset.h"
#include "rt/timer.h"

struct entry;
struct loop;
struct memory;
struct store;

#define BROWSE_PAGE_MAX     100
#define BROWSE_GROUPS_MAX   512
#define BROWSE_MODEL_MAX    64  /* bytes kept of a model's name */
#define BROWSE_QUESTION_MAX 256 /* … of a question */
#define BROWSE_WORDS_MAX    128

/* All that is set must hold. */
struct browse_filter {
    bool by_partition, by_tenant;
    struct digest partition, tenant;
    /* Stands in the name of the model, without regard to the case of ASCII letters, or begins
     * the key; with `questions` it may stand in the question instead. Empty: anything. */
    char words[BROWSE_WORDS_MAX];
    size_t words_len;
    bool questions;
    /* Only what comes after this one on the page before; after_ms 0: from the newest. */
    uint64_t after_ms;
    struct digest after;
};

struct browse_item {
    struct digest key, partition, tenant;
    uint64_t created_ms, expires_ms; /* wall clock */
    uint64_t took_us;
    size_t answer_bytes;
    uint32_t prompt_tokens, completion_tokens;
    bool semantic;
    size_t model_len, question_len;
    char model[BROWSE_MODEL_MAX], question[BROWSE_QUESTION_MAX];
};

/* Of a tenant; those found by the very same request only have no partition: all zero. */
struct browse_group {
    struct digest partition, tenant;
    uint64_t entries, answer_bytes;
    uint64_t oldest_ms, newest_ms;
    size_t model_len;
    char model[BROWSE_MODEL_MAX]; /* of the newest */
};

struct browse;
/* ST_OK: all was looked through. ST_TIMEOUT: what was seen until then. Anything else: the
 * store could not say. */
typedef void browse_done_fn(struct browse *b, enum status st);

/* Some 170 KB, and up to 64 bytes an entry while it runs. Input above, output below. */
struct browse {
    struct browse_filter filter;
    size_t page; /* entries of it, up to BROWSE_PAGE_MAX */
    struct loop *loop;
    struct memory *memory;
    struct store *store; /* NULL: none */
    browse_done_fn *done;

    uint64_t matched; /* of the filter, this page's place aside */
    size_t count;
    struct browse_item items[BROWSE_PAGE_MAX];
    /* Of what matches; more than there is room for are counted only. */
    size_t group_count;
    uint64_t ungrouped; /* entries of those */
    struct browse_group groups[BROWSE_GROUPS_MAX];

    struct keyset seen; /* what is written anew while the store is read comes twice */
    struct keyset group_places;
    atomic_bool canceled; /* relaxed: the search looks at it on its thread */
    size_t walked;        /* of memory */
    uint64_t now_ms, deadline_us;
    enum status st;
    struct timer timer;
};

/* ST_OK: done comes once, later. ST_OVERLOAD: the store is being read for another reason. */
enum status browse_start(struct browse *b) MUST_CHECK;
/* Ends soon, with ST_CANCELED. */
void browse_cancel(struct browse *b);

#endif
