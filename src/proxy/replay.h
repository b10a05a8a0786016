/* Answering from an entry. */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

#include <stdint.h>

struct entry;
struct request;

/* The client took some of a replayed stream: write the next events. */
void replay_drained(struct request *r);

/* The upstream failed before it said anything: r->stale answers. */
void replay_stale(struct request *r);

/* Can the entry say all that this client would be told? When not: why, as a reason for
 * a miss (static). */
const char *replay_unsuited(const struct request *r, const struct entry *e);

#endif
