/* The items that wait for a pool's workers. In a fair one each tenant has a lane of its own, by
 * chance one that it shares: they are taken from the lanes in turn, and where there is no more
 * room the longest lane makes some. So who sends a thousand waits for a thousand, and who sends
 * one for one of each other's. (Stochastic fairness queueing: McKenney 1990, INFOCOM, with as
 * many items as one lane for one; an item counts as one, however long it takes.) Otherwise
 * there is one lane: first in, first out. Guarded by the pool's mutex. */
#ifndef RT_WORK_LANES_H
#define RT_WORK_LANES_H

#include <stdbool.h>
#include <stdint.h>

struct work;

#define WORK_LANES 64 /* bits of `waiting` */

struct work_lane {
    struct work *head, **tail;
    unsigned count;
};

struct work_lanes {
    bool fair;
    unsigned count;   /* items */
    uint64_t waiting; /* bit i: lane i has some */
    unsigned last;    /* the lane that an item was taken from */
    struct work_lane of[WORK_LANES];
};

void work_lanes_init(struct work_lanes *l, bool fair);

/* By its tenant. */
void work_lanes_push(struct work_lanes *l, struct work *w);
/* The one whose turn it is; NULL: none waits. */
struct work *work_lanes_pop(struct work_lanes *l);
/* False: it does not wait. */
bool work_lanes_remove(struct work_lanes *l, struct work *w);
/* So that there is room for `w`: the newest of the longest lane is taken out; NULL when that is
 * the lane of `w` itself, or as long. */
struct work *work_lanes_push_out(struct work_lanes *l, const struct work *w);

#endif
