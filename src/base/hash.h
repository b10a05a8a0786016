/* Fast, seeded, non-cryptographic hash (XXH3, 64 bits): checksums and hash tables.
 * What must withstand an adversary uses digest.h. Any thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/span.h"

/* The same on every machine: may be stored. */
uint64_t hash_bytes(struct span s, uint64_t seed);

#endif
