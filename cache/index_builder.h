/* The thread that makes the structures of large partitions (index_large.h): from a copy,
 * while searches and changes go on. It takes the table's lock for short, to copy a few
 * vectors at a time and to put the structure in its place. */
#ifndef CACHE_INDEX_BUILDER_H
#define CACHE_INDEX_BUILDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct index_queue;
struct index_table;

struct index_builder {
    struct index_table *table; /* borrowed (outlives) */
    pthread_rwlock_t *lock;    /* borrowed; guards *table */
    struct index_queue *queue; /* borrowed: whose writer is nudged after a build */
    uint64_t builds;           /* the thread's own: number of the last one */
    pthread_t thread;

    pthread_mutex_t mutex; /* guards the following */
    pthread_cond_t changed;
    bool wanted, held, stopped;
};

/* The caller has set what is borrowed. */
enum status index_builder_start(struct index_builder *b) MUST_CHECK;
/* Joins the thread: a training that is under way is waited for. */
void index_builder_stop(struct index_builder *b);

/* Some partition needs a structure. Any thread. */
void index_builder_want(struct index_builder *b);
/* Begins no build while it is held. Any thread. */
void index_builder_hold(struct index_builder *b, bool held);

#endif
