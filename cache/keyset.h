/* Which keys a store has, and where: fingerprint to number, 16 bytes an entry.
 * Only 8 bytes of a fingerprint are kept, so a find can be wrong about a key that
 * is absent (once in 2^64): who follows the number compares the whole key.
 * One thread. */
#ifndef CACHE_KEYSET_H
#define CACHE_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"

struct keyset_slot {
    uint64_t print;
    uint64_t number; /* 0: empty */
};

struct keyset {
    struct keyset_slot *slot; /* owned; NULL while empty */
    size_t slots;             /* a power of two */
    size_t used;
};

void keyset_init(struct keyset *k);
void keyset_release(struct keyset *k);

/* It will soon be looked for, or put: what is far away begins to come. */
void keyset_expect(const struct keyset *k, const struct digest *key);
/* 0 when it is absent. */
uint64_t keyset_find(const struct keyset *k, const struct digest *key);
/* Adds or replaces; number is not 0. ST_NOMEM leaves it as it was. */
enum status keyset_set(struct keyset *k, const struct digest *key, uint64_t number) MUST_CHECK;
/* Only while it still has this number: a later one stays. True when it had. */
bool keyset_remove(struct keyset *k, const struct digest *key, uint64_t number);

#endif
