/* When to leave a failing dependency alone, and when to try it again: opens after
 * some failures in a row, then lets one try through after a pause that doubles up to
 * a limit, a little different each time so that replicas do not knock together.
 * Pure: the caller brings the time. */
#ifndef CACHE_BREAKER_H
#define CACHE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker {
    uint32_t failures_max; /* in a row, then it opens */
    uint64_t pause_min_us, pause_max_us;
    /* state */
    uint32_t failures;
    uint64_t pause_us;
    uint64_t open_until_us; /* 0: closed */
    uint64_t random;
};

void breaker_init(struct breaker *b, uint32_t failures_max, uint64_t pause_min_us,
                  uint64_t pause_max_us, uint64_t seed);

/* It worked: closed, and the next pause is a short one. */
void breaker_success(struct breaker *b);
/* Closed, but the next pause is as long as it would have been. */
void breaker_close(struct breaker *b);
/* True when this failure opened it (or kept it open after a try). */
bool breaker_failure(struct breaker *b, uint64_t now_us);

bool breaker_is_open(const struct breaker *b);
/* False while it is open and the pause lasts. When the pause is over the next
 * question is the try: another pause begins unless it works. */
bool breaker_allow(struct breaker *b, uint64_t now_us);
/* What is left of the pause. */
uint64_t breaker_pause_left_us(const struct breaker *b, uint64_t now_us);

#endif
