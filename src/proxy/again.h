/* Which requests were answered from the cache a moment ago: who sends the very same again
 * may want another answer. A fixed table: of two that fall together the later counts. Loop
 * thread only. */
#ifndef PROXY_AGAIN_H
#define PROXY_AGAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"

#define AGAIN_SLOTS 1024

struct again_slot {
    struct digest key;
    uint64_t at_us; /* 0: empty */
};

void again_note(struct again_slot *slots, const struct digest *key, uint64_t now_us);
/* Was it within the time? Then it is no more: the one after that is an ordinary one. */
bool again_take(struct again_slot *slots, const struct digest *key, uint64_t now_us,
                uint64_t within_us);

#endif
