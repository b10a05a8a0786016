#include "cache/breaker.h"

#include "base/hash.h"

void breaker_init(struct breaker *b, uint32_t failures_max, uint64_t pause_min_us,
                  uint64_t pause_max_us, uint64_t seed)
{
    *b = (struct breaker){.failures_max = failures_max,
                          .pause_min_us = pause_min_us,
                          .pause_max_us = pause_max_us,
                          .pause_us = pause_min_us,
                          .random = seed};
}

void breaker_close(struct breaker *b)
{
    b->failures = 0;
    b->open_until_us = 0;
}

void breaker_success(struct breaker *b)
{
    breaker_close(b);
    b->pause_us = b->pause_min_us;
}

/* Three quarters to five quarters of the pause. */
static void begin_pause(struct breaker *b, uint64_t now_us)
{
    uint64_t half = b->pause_us / 2;

    b->random = hash_bytes((struct span){(const char *)&b->random, sizeof(b->random)}, now_us);
    b->open_until_us = now_us + b->pause_us - half / 2 + (half > 0 ? b->random % half : 0);
    b->pause_us = b->pause_us > b->pause_max_us / 2 ? b->pause_max_us : b->pause_us * 2;
}

bool breaker_failure(struct breaker *b, uint64_t now_us)
{
    if (b->failures < b->failures_max)
        b->failures++;
    if (b->failures < b->failures_max)
        return false;
    begin_pause(b, now_us);
    return true;
}

bool breaker_is_open(const struct breaker *b)
{
    return b->open_until_us != 0;
}

bool breaker_allow(struct breaker *b, uint64_t now_us)
{
    if (b->open_until_us == 0)
        return true;
    if (now_us < b->open_until_us)
        return false;
    begin_pause(b, now_us);
    return true;
}

uint64_t breaker_pause_left_us(const struct breaker *b, uint64_t now_us)
{
    return b->open_until_us > now_us ? b->open_until_us - now_us : 0;
}
