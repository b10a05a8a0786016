/* Gives back to the kernel what the allocator holds and nobody uses. Each thread's arena of
 * glibc keeps the most that it ever needed (malloc(3), mallopt(3): only the end of a heap is
 * returned by itself): after 10,000 connections and 2,000 streams 114 MiB, of which 77 go back
 * (bench/crowd.sh --rest 33). A steady load does not need it. A thread of its own calls
 * malloc_trim(3) from time to time: whole pages inside free blocks go back. An arena is locked
 * meanwhile, some 100 us as a rule. With another C library nothing happens. */
#ifndef RT_HEAP_KEEPER_H
#define RT_HEAP_KEEPER_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct heap_keeper;

struct heap_keeper_stats {
    uint64_t used_bytes; /* allocated, after the last time; blocks of their own maps included */
    uint64_t free_bytes; /* held by the allocator beside, resident or given back */
    uint64_t trims_total;
    uint64_t us_total, us_max; /* they took */
};

/* every_us: above 0. ST_NOMEM. */
enum status heap_keeper_open(uint64_t every_us, struct heap_keeper **out) MUST_CHECK;
/* Joins the thread. */
void heap_keeper_close(struct heap_keeper *k);

/* Any thread. */
void heap_keeper_stats(struct heap_keeper *k, struct heap_keeper_stats *out);

#endif
