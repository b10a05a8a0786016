/* Which of a Redis Cluster's slots a key is in. Pure. */
#ifndef CACHE_REDIS_SLOT_H
#define CACHE_REDIS_SLOT_H

#include <stdint.h>

#include "base/span.h"

#define REDIS_SLOTS 16384u

/* Redis Cluster specification, "Key distribution model" and "Hash tags". */
uint16_t redis_slot_of(struct span key);

#endif
