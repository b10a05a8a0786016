/* Writes to the file in batches: what waited while the last batch was written makes
 * the next transaction, so that a sync is shared by many. Runs on the writer. */
#ifndef CACHE_STORE_LMDB_WRITE_H
#define CACHE_STORE_LMDB_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cache/store_lmdb_file.h"
#include "rt/work.h"

struct entry;
struct seal_ring;

/* A record that left to make room, or because its time was over. */
struct store_lmdb_gone {
    struct store_lmdb_record record;
    bool expired;
};

/* One write on its way; made by the loop, then the writer's until `done`. */
struct store_lmdb_write {
    struct work work;
    struct store_lmdb *store;
    struct entry *entry; /* owned reference; NULL: nothing is added */
    uint64_t number;     /* of the entry */
    uint64_t old;        /* number of a record to delete; 0: none */
    uint64_t bytes;      /* of the entry in memory */

    enum status st; /* out: did the entry reach the file? */
    /* Out, on the first of a batch only. */
    struct store_lmdb_gone *gone; /* owned */
    size_t gone_count;
    struct store_lmdb_size size;
    char *why; /* owned; NULL unless something failed, or there is no memory to say what */
    bool first, failed;
};

/* What the writer needs; its thread's alone. */
struct store_lmdb_writer {
    struct store_lmdb_file *file; /* borrowed */
    const struct seal_ring *seal; /* borrowed; NULL: none */
    uint64_t entries_max, bytes_max;
    struct buf frame;                 /* one entry's, used again and again */
    struct store_lmdb_size committed; /* of the file */
};

/* Fills the out fields of every item of the batch. */
void store_lmdb_write_batch(struct store_lmdb_writer *w, struct store_lmdb_write *first);

#endif
