/* Keys and values of all sequences of a session, in pages of ATTEND_PAGE positions.
 *
 * A page belongs to one sequence, or is shared by those that begin alike: it is counted, and
 * copied before it is written while another has it too. A full page stays after its sequence,
 * found again by its tokens and the page before it; so a prompt that begins like an earlier
 * one takes what was computed then, if both are of the same partition. What is kept and not in
 * use goes, the longest unused first, when a page is needed.
 *
 * Memory is [layer][key head][page]: pages that were taken one after the other lie so, and
 * the hardware reads ahead over them. It is the kernel's until a page is first written.
 * One thread at a time. */
#ifndef ENGINE_KV_CACHE_H
#define ENGINE_KV_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "engine/kernels/attend.h"

struct kv_cache;

struct kv_shape {
    size_t layers, heads, width; /* heads: of keys */
    enum decoder_cache type;
};

struct kv_counts {
    uint64_t reused;          /* tokens taken from kept pages, since the beginning */
    uint64_t evicted;         /* kept pages given up for new ones, since the beginning */
    size_t used, kept, pages; /* in sequences; kept besides; in all */
    size_t shared;            /* references of sequences beyond the first of a page */
};

struct kv_sequence {
    struct kv_cache *cache; /* borrowed */
    uint32_t *pages;        /* owned: [pages_max] */
    size_t pages_max;
    uint32_t length;    /* positions that have a place */
    uint32_t indexed;   /* pages that can be found by their tokens */
    uint64_t partition; /* below 2^63; pages are shared within one only */
};

/* Bytes of a cache of so many pages. */
uint64_t kv_cache_bytes(const struct kv_shape *shape, size_t pages);

/* ST_NOMEM. */
enum status kv_cache_open(const struct kv_shape *shape, size_t pages,
                          struct kv_cache **out) MUST_CHECK;
/* After all its sequences were released. */
void kv_cache_close(struct kv_cache *c);
void kv_cache_counts(const struct kv_cache *c, struct kv_counts *out);

/* An empty sequence of at most `positions`. ST_NOMEM. */
enum status kv_cache_init(struct kv_sequence *s, struct kv_cache *c,
                          uint32_t positions) MUST_CHECK;
void kv_cache_release(struct kv_sequence *s);

/* ids: of the whole sequence. Where it ends with a page: takes pages of others that go on with
 * these tokens; always less than all n. Returns the positions taken. */
uint32_t kv_cache_reuse(struct kv_sequence *s, const uint32_t *ids, size_t n);
/* Room for n more tokens; what is written there is up to the caller. ST_LIMIT: more than the
 * sequence may have, or no page is left; then nothing has changed. */
enum status kv_cache_extend(struct kv_sequence *s, const uint32_t *ids, size_t n) MUST_CHECK;
/* All positions are written: full pages may be found by others from now on. */
void kv_cache_commit(struct kv_sequence *s);
/* Forgets what is behind `length`. */
void kv_cache_truncate(struct kv_sequence *s, uint32_t length);
/* `to`, empty, becomes a copy that shares all pages. ST_LIMIT: it is too long for it. */
enum status kv_cache_fork(const struct kv_sequence *from, struct kv_sequence *to) MUST_CHECK;

/* What a layer and key head of a sequence are to the kernels. */
struct attend_keys kv_cache_keys(const struct kv_sequence *s, size_t layer, size_t head);

#endif
