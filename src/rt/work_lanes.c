#include "rt/work_lanes.h"

#include <stddef.h>

#include "rt/work.h"

void work_lanes_init(struct work_lanes *l, bool fair)
{
    *l = (struct work_lanes){.fair = fair};
    for (unsigned i = 0; i < WORK_LANES; i++)
        l->of[i].tail = &l->of[i].head;
}

static unsigned lane_of(const struct work_lanes *l, const struct work *w)
{
    return l->fair ? (unsigned)(w->tenant % WORK_LANES) : 0;
}

/* `at` points to the item in its lane. */
static struct work *take_out(struct work_lanes *l, unsigned i, struct work **at)
{
    struct work_lane *lane = &l->of[i];
    struct work *w = *at;

    *at = w->next;
    if (w->next == NULL)
        lane->tail = at;
    if (--lane->count == 0)
        l->waiting &= ~(UINT64_C(1) << i);
    l->count--;
    return w;
}

void work_lanes_push(struct work_lanes *l, struct work *w)
{
    unsigned i = lane_of(l, w);
    struct work_lane *lane = &l->of[i];

    w->next = NULL;
    *lane->tail = w;
    lane->tail = &w->next;
    lane->count++;
    l->count++;
    l->waiting |= UINT64_C(1) << i;
}

struct work *work_lanes_pop(struct work_lanes *l)
{
    uint64_t behind;
    unsigned i;

    if (l->waiting == 0)
        return NULL;
    /* Those behind the last one, or else from the front. */
    behind = l->last + 1 < WORK_LANES ? l->waiting >> (l->last + 1) << (l->last + 1) : 0;
    i = (unsigned)__builtin_ctzll(behind != 0 ? behind : l->waiting);
    l->last = i;
    return take_out(l, i, &l->of[i].head);
}

bool work_lanes_remove(struct work_lanes *l, struct work *w)
{
    unsigned i = lane_of(l, w);

    for (struct work **at = &l->of[i].head; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            (void)take_out(l, i, at);
            return true;
        }
    }
    return false;
}

struct work *work_lanes_push_out(struct work_lanes *l, const struct work *w)
{
    unsigned longest = lane_of(l, w);
    unsigned own = longest;
    struct work **at;

    for (unsigned i = 0; i < WORK_LANES; i++) {
        /* By two at least, or the two would push each other out for ever. */
        if (l->of[i].count > l->of[longest].count && l->of[i].count > l->of[own].count + 1)
            longest = i;
    }
    if (longest == own)
        return NULL;
    for (at = &l->of[longest].head; (*at)->next != NULL; at = &(*at)->next)
        ;
    return take_out(l, longest, at);
}
