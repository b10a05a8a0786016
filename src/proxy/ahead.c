#include "proxy/ahead.h"

static struct ahead_slot *slot_of(struct ahead_slot *slots, const struct digest *key)
{
    unsigned n = (unsigned)key->bytes[0] << 8 | key->bytes[1];

    return &slots[n % AHEAD_SLOTS];
}

bool ahead_hit(struct ahead_slot *slots, const struct digest *key, uint64_t now_us,
               uint64_t rest_us)
{
    struct ahead_slot *s = slot_of(slots, key);

    if (s->hits == 0 || !digest_eq(&s->key, key))
        *s = (struct ahead_slot){.key = *key};
    if (s->hits < AHEAD_HITS)
        s->hits++;
    if (s->hits < AHEAD_HITS || now_us < s->rests_until_us)
        return false;
    s->hits = 1; /* one more hit after the rest, and it is as popular as it was */
    s->rests_until_us = now_us + rest_us;
    return true;
}
