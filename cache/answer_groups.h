/* Which answers say the same: a bounded map from an entry's key to its group, and how often a
 * group was found right and wrong for a question. Entries that it does not know are groups of
 * their own; the oldest go. Of a key its first eight bytes are kept; a group has the name of
 * the key that it began with. One thread at a time. */
#ifndef CACHE_ANSWER_GROUPS_H
#define CACHE_ANSWER_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"

struct answer_group {
    uint64_t key, group;   /* key 0: an empty slot */
    uint32_t right, wrong; /* where the key is the group's name */
};

struct answer_groups {
    struct answer_group *slots; /* owned; open addressing, a power of two */
    uint64_t *order;            /* owned; a ring of keys, the oldest at `first` */
    size_t slot_count, max, first, count;
};

enum status answer_groups_init(struct answer_groups *g, size_t max) MUST_CHECK;
void answer_groups_release(struct answer_groups *g);

uint64_t answer_groups_of(const struct answer_groups *g, const struct digest *key);
/* `key` is of the group of `with` from now on. */
void answer_groups_join(struct answer_groups *g, const struct digest *key,
                        const struct digest *with);

/* A question near the group was asked: its answer says what the group says, or not. */
void answer_groups_count(struct answer_groups *g, uint64_t group, bool right);
/* How often that was so; 0 and 0 of a group of which nothing is known. */
struct answer_group answer_groups_tally(const struct answer_groups *g, uint64_t group);

/* By their age, from 0: the oldest, to count - 1. */
struct answer_group answer_groups_at(const struct answer_groups *g, size_t i);
void answer_groups_put(struct answer_groups *g, struct answer_group item);

#endif
