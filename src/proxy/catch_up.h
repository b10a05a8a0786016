/* Entries whose question was not embedded on the way: its credential was not proven then, or
 * the encoder was busy. They learn their vectors after their answers are out, when no question
 * waits for the encoder. Only their keys wait, so that a burst costs 32 bytes each. Loop thread
 * only. */
#ifndef PROXY_CATCH_UP_H
#define PROXY_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "rt/timer.h"

struct proxy;

/* Keys that wait (8 MiB); beyond that the oldest is dropped and counted. */
#define CATCH_UP_MAX 262144

struct catch_up {
    struct digest *keys; /* owned; a ring */
    uint32_t cap, first, count;
    uint32_t under_way; /* being fetched or embedded; proxy_close() waits for them */
    bool closing;
    struct timer pause; /* the encoder has questions to embed */
    struct proxy *proxy;
    uint64_t dropped_total; /* stay without a vector: no room, or the encoder could not */
};

void catch_up_init(struct catch_up *c, struct proxy *p);
/* The entry of this key is stored, and wants a vector. */
void catch_up_later(struct catch_up *c, const struct digest *key);
/* Nothing is begun from now on. */
void catch_up_stop(struct catch_up *c);
void catch_up_release(struct catch_up *c);

#endif
