#include "cache/answer_groups.h"

#include <stdlib.h>
#include <string.h>

static uint64_t prefix_of(const struct digest *key)
{
    uint64_t n;

    memcpy(&n, key->bytes, sizeof(n));
    return n != 0 ? n : 1;
}

enum status answer_groups_init(struct answer_groups *g, size_t max)
{
    size_t slots = 16;

    while (slots < 2 * max)
        slots *= 2;
    *g = (struct answer_groups){.slot_count = slots, .max = max};
    g->slots = calloc(slots, sizeof(*g->slots));
    g->order = calloc(max + 1, sizeof(*g->order)); /* never of no bytes */
    if (g->slots != NULL && g->order != NULL)
        return ST_OK;
    answer_groups_release(g);
    return ST_NOMEM;
}

void answer_groups_release(struct answer_groups *g)
{
    free(g->slots);
    free(g->order);
    *g = (struct answer_groups){.slots = NULL};
}

/* The slot of a key, or the empty one where it would be. Keys are digests: evenly spread. */
static size_t slot_of(const struct answer_groups *g, uint64_t key)
{
    size_t at = key & (g->slot_count - 1);

    while (g->slots[at].key != 0 && g->slots[at].key != key)
        at = (at + 1) & (g->slot_count - 1);
    return at;
}

/* Those behind it that would not be found across the hole move up (Knuth 6.4 R). */
static void empty_slot(struct answer_groups *g, size_t hole)
{
    size_t mask = g->slot_count - 1, at = hole;

    for (;;) {
        g->slots[hole].key = 0;
        do {
            at = (at + 1) & mask;
            if (g->slots[at].key == 0)
                return;
        } while (((at - g->slots[at].key) & mask) < ((at - hole) & mask));
        g->slots[hole] = g->slots[at];
        hole = at;
    }
}

uint64_t answer_groups_of(const struct answer_groups *g, const struct digest *key)
{
    uint64_t prefix = prefix_of(key);
    const struct answer_group *s = &g->slots[slot_of(g, prefix)];

    return s->key != 0 ? s->group : prefix;
}

void answer_groups_put(struct answer_groups *g, struct answer_group item)
{
    size_t at;

    if (g->max == 0 || item.key == 0)
        return;
    at = slot_of(g, item.key);
    if (g->slots[at].key == item.key) {
        g->slots[at] = item;
        return;
    }
    if (g->count == g->max) {
        empty_slot(g, slot_of(g, g->order[g->first]));
        g->first = (g->first + 1) % g->max;
        g->count--;
        at = slot_of(g, item.key);
    }
    g->slots[at] = item;
    g->order[(g->first + g->count++) % g->max] = item.key;
}

void answer_groups_join(struct answer_groups *g, const struct digest *key,
                        const struct digest *with)
{
    struct answer_group item = answer_groups_tally(g, prefix_of(key));

    item.group = answer_groups_of(g, with);
    answer_groups_put(g, item);
}

struct answer_group answer_groups_tally(const struct answer_groups *g, uint64_t group)
{
    const struct answer_group *s = &g->slots[slot_of(g, group)];

    return s->key != 0 ? *s : (struct answer_group){.key = group, .group = group};
}

void answer_groups_count(struct answer_groups *g, uint64_t group, bool right)
{
    struct answer_group item = answer_groups_tally(g, group);
    uint32_t *of = right ? &item.right : &item.wrong;

    *of += *of < UINT32_MAX;
    answer_groups_put(g, item);
}

struct answer_group answer_groups_at(const struct answer_groups *g, size_t i)
{
    return g->slots[slot_of(g, g->order[(g->first + i) % g->max])];
}
