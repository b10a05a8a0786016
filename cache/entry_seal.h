/* What a store keeps of an entry: its frame (entry.h), or with keys the same frame sealed
 * (base/seal.h). Whoever can write to the store and has no key can then neither read what was
 * asked and answered nor make an entry that would be served. Any thread. */
#ifndef CACHE_ENTRY_SEAL_H
#define CACHE_ENTRY_SEAL_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct entry;
struct seal_ring;

/* Appends it; `keys` NULL: in the clear. */
enum status entry_seal_encode(const struct seal_ring *keys, const struct entry *e,
                              struct buf *out) MUST_CHECK;
/* ST_UNAVAILABLE: sealed, and the key is not there; or in the clear although there are keys.
 * It may be good for somebody else: it is a miss, and stays where it is. ST_INVALID: not what
 * was written. */
enum status entry_seal_decode(const struct seal_ring *keys, struct span stored,
                              struct entry **out) MUST_CHECK;

#endif
