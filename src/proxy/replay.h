/* Answering from an entry. */
#ifndef PROXY_REPLAY_H
#define PROXY_REPLAY_H

#include <stdint.h>

struct request;

/* The client took some of a replayed stream: write the next events. */
void replay_drained(struct request *r);

/* The whole answer was delivered after took_us: count what it saved. */
void replay_count(struct request *r, uint64_t took_us);

#endif
