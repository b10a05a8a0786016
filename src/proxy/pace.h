/* When the events of a replayed stream are due, for clients that show words as they come
 * (cache.replay_pace). Plain values: no clock, no timer; any thread. */
#ifndef PROXY_PACE_H
#define PROXY_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "protocol/protocol.h"

struct pace {
    uint64_t per_s; /* events; 0: all at once */
    uint64_t from_us;
    uint64_t given; /* events since from_us */
};

/* From now on, with the first event now. Once more where the client did not take what was due:
 * what it missed does not come in one go. */
void pace_begin(struct pace *p, uint64_t per_s, uint64_t now_us);

/* Of what is made, how many bytes are due, whole events; they count as given. What ends
 * without the end of an event is one too. */
size_t pace_take(struct pace *p, struct span made, enum protocol_framing framing,
                 uint64_t now_us);

/* How long until there is something due again; never 0. */
uint64_t pace_wait_us(const struct pace *p, uint64_t now_us);

#endif
