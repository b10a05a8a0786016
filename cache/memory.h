/* Entries by key in memory, the least recently used go first; bounded by entries
 * and by bytes. Holds a reference to each. Loop thread only. */
#ifndef CACHE_MEMORY_H
#define CACHE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"

struct entry;
struct memory;

/* `e` has just left for want of room or because its time was over (not by
 * memory_remove() or replacement). May not call back. */
typedef void memory_evicted_fn(void *owner, const struct entry *e);

struct memory_options {
    uint64_t entries_max, bytes_max; /* either 0: keeps nothing */
    memory_evicted_fn *evicted;      /* may be NULL */
    void *owner;
};

struct memory_stats {
    uint64_t entries, bytes, evictions_total;
};

enum status memory_open(const struct memory_options *o, struct memory **out) MUST_CHECK;
void memory_close(struct memory *m);

/* That key will soon be looked for, or an entry of it put. */
void memory_expect(const struct memory *m, const struct digest *key);

/* A new reference, or NULL. An expired entry is absent. */
struct entry *memory_find(struct memory *m, const struct digest *key, uint64_t now_ms);

/* Is it there and alive? Does not count as a use. */
bool memory_has(const struct memory *m, const struct digest *key, uint64_t now_ms);

/* Takes a reference of its own; replaces an entry of the same key. An entry too
 * large for the whole is not kept (false). */
bool memory_put(struct memory *m, struct entry *e);
void memory_remove(struct memory *m, const struct digest *key);

/* Those for which it is true. `matches` may not call back. */
void memory_remove_matching(struct memory *m,
                            bool (*matches)(void *owner, const struct entry *e), void *owner);

/* Any entry older than `now_ms` among the `n` least recently used leaves. */
void memory_expire(struct memory *m, uint64_t now_ms, unsigned n);

/* Calls `visit` for each, the most recently used first, until it says false.
 * `visit` may not call back. */
void memory_walk(struct memory *m, bool (*visit)(void *owner, struct entry *e), void *owner);

void memory_stats(const struct memory *m, struct memory_stats *out);

#endif
