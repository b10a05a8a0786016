#include "proxy/again.h"

static struct again_slot *slot_of(struct again_slot *slots, const struct digest *key)
{
    unsigned n = (unsigned)key->bytes[0] << 8 | key->bytes[1];

    return &slots[n % AGAIN_SLOTS];
}

void again_note(struct again_slot *slots, const struct digest *key, uint64_t now_us)
{
    *slot_of(slots, key) = (struct again_slot){*key, now_us > 0 ? now_us : 1};
}

bool again_take(struct again_slot *slots, const struct digest *key, uint64_t now_us,
                uint64_t within_us)
{
    struct again_slot *s = slot_of(slots, key);
    bool there = s->at_us != 0 && digest_eq(&s->key, key);
    bool late = now_us - s->at_us > within_us;

    if (there)
        s->at_us = 0;
    return there && !late;
}
