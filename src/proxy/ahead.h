/* Which stored answers are asked for often in the last part of their life: those are worth a
 * fresh one before their end. A fixed table: of two that fall together the later counts. Loop
 * thread only. */
#ifndef PROXY_AHEAD_H
#define PROXY_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

#define AHEAD_SLOTS 1024
/* Hits in that part that make one worth it: one of them may have been the last. */
#define AHEAD_HITS 2

struct ahead_slot {
    struct digest key;
    unsigned hits; /* since it was asked for, or first seen; 0: empty */
    uint64_t rests_until_us;
};

/* A hit late in an answer's life. True: now is the time to ask for a fresh one. Whatever
 * comes of it, not again before `rest_us`. */
bool ahead_hit(struct ahead_slot *slots, const struct digest *key, uint64_t now_us,
               uint64_t rest_us);

#endif
