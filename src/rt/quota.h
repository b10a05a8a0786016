/* What the container around the process lets it have, beside what the machine has: limits of
 * control groups, v2 (cpu.max, memory.max; the kernel's admin-guide/cgroup-v2.rst) and v1
 * (cpu.cfs_quota_us, memory.limit_in_bytes). The least of the process's own group and those
 * above it counts, as far as they can be seen. */
#ifndef RT_QUOTA_H
#define RT_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct quota {
    double cpus;           /* that may compute at a time, .5 of one included; above 0 */
    bool cpus_limited;     /* fewer than the threads could run on (sched_getaffinity(2)) */
    uint64_t memory_bytes; /* 0: no limit */
};

/* Reads /proc and the groups' files below `root` ("" but in tests). What cannot be read limits
 * nothing. Any thread; at start-up: it reads files. */
void quota_read(const char *root, struct quota *out);

/* Threads for a pool that may have all processors: 1 to `most`. Pure. */
unsigned quota_threads(const struct quota *q, unsigned most) MUST_CHECK;

/* The part of its time that each of `threads` may compute so that they leave what others of the
 * process need of a limited quota: a group that has used it up stands still until the next
 * period (100 ms), with all its threads. `wanted`, 0 to 1, where that is less. Pure. */
double quota_share(const struct quota *q, double wanted, unsigned threads) MUST_CHECK;

#endif
