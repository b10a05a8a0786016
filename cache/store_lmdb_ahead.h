/* Reading ahead of who goes through a mapped file from one end to the other. The store's map is
 * told that its readers jump (MADV_RANDOM, as MDB_NORDAHEAD has it), which is right for
 * look-ups; a start that reads every record then waits for each page of 4 KiB, ten times longer
 * than the disk would need. Not synchronized. */
#ifndef CACHE_STORE_LMDB_AHEAD_H
#define CACHE_STORE_LMDB_AHEAD_H

#include <stddef.h>
#include <stdint.h>

/* What is asked for beyond the place, and after a jump, which the next may be a jump from. */
#define STORE_LMDB_AHEAD_BYTES ((size_t)8 * 1024 * 1024)
#define STORE_LMDB_AHEAD_FIRST ((size_t)256 * 1024)

/* All zero at first. */
struct store_lmdb_ahead {
    uintptr_t from, to; /* of the map: asked for already */
};

/* `at` is read next. Asks the kernel for what is behind it (MADV_WILLNEED), into the page
 * cache: does not wait, takes no memory of the process, and a refusal does not matter. */
void store_lmdb_ahead(struct store_lmdb_ahead *a, const void *at);

#endif
