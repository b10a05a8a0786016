#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(struct span s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.ptr, s.len, seed);
}
