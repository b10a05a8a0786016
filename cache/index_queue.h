/* Entries on their way to the writer: a bounded queue, and what the writer has yet to do.
 * Any thread; one takes. */
#ifndef CACHE_INDEX_QUEUE_H
#define CACHE_INDEX_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/status.h"

struct index_change {
    struct index_change *next;
    struct digest partition, key;
    uint64_t expires_ms;
    float scale;
    int32_t sum;
    uint32_t question_bytes;
    size_t bytes; /* all of it */
    char data[];  /* dims bytes of vector, then the question */
};

struct index_queue {
    size_t count_max;
    uint64_t bytes_max;

    pthread_mutex_t mutex; /* guards the following */
    pthread_cond_t filled; /* something to do */
    pthread_cond_t calmed; /* something done */
    struct index_change *head, **tail;
    size_t count;
    uint64_t bytes;
    bool in_hand;  /* the writer is at changes that it has taken */
    bool restless; /* it has, or waits for, more to do than changes */
    bool nudged, stopped;
    uint64_t adds_total, removes_total, dropped_total;
};

/* The caller has set the bounds. */
enum status index_queue_init(struct index_queue *q) MUST_CHECK;
/* Frees what is left. */
void index_queue_release(struct index_queue *q);

/* Takes over `c`. ST_OVERLOAD: full, `c` stays the caller's. */
enum status index_queue_put(struct index_queue *q, struct index_change *c) MUST_CHECK;
/* Changes of this key that still wait are dropped. */
void index_queue_forget(struct index_queue *q, const struct digest *partition,
                        const struct digest *key);

/* Until there is something to do; false: stopped. */
bool index_queue_wait(struct index_queue *q);
/* Up to n, as a list; NULL: none. Until index_queue_done() they are in hand. */
struct index_change *index_queue_take(struct index_queue *q, size_t n);
void index_queue_done(struct index_queue *q, bool restless);
/* There may be more to do than changes. */
void index_queue_nudge(struct index_queue *q);
void index_queue_stop(struct index_queue *q);

/* Until all that was put is done; `calm`: and whatever came of it. */
void index_queue_flush(struct index_queue *q, bool calm);

#endif
