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

/* One write on its way. */
struct store_lmdb_write {
    struct store_lmdb_write *next; /* of the batch; the writer's */
    struct entry *entry;           /* owned reference; NULL: nothing is added */
    uint64_t number;               /* of the entry */
    uint64_t old;                  /* number of a record to delete; 0: none */
    uint64_t bytes;                /* of the entry in memory */
    enum status st;                /* out: did the entry reach the file? */
};

/* A block of this is malloc's to give without a search (glibc's tcache ends at 1 KiB). */
#define STORE_LMDB_GROUP_MAX 16

/* What one turn of the loop has to write: it goes to the writer, and comes back, in one piece.
 * Made by the loop, then the writer's until `done`. */
struct store_lmdb_group {
    struct work work;
    struct store_lmdb *store;
    /* Out, on the first group of a batch only. */
    struct store_lmdb_gone *gone; /* owned */
    size_t gone_count;
    struct store_lmdb_size size;
    char *why; /* owned; NULL unless something failed, or there is no memory to say what */
    bool first, failed;

    unsigned count; /* of items, 1 or more */
    struct store_lmdb_write item[STORE_LMDB_GROUP_MAX];
};
_Static_assert(sizeof(struct store_lmdb_group) <= 1024, "see above");

/* What the writer needs; its thread's alone. */
struct store_lmdb_writer {
    struct store_lmdb_file *file; /* borrowed */
    const struct seal_ring *seal; /* borrowed; NULL: none */
    uint64_t entries_max, bytes_max;
    struct buf frame;                 /* one entry's, used again and again */
    struct store_lmdb_size committed; /* of the file */
};

/* Of groups linked by work.next. Fills the out fields of all, and of their items. */
void store_lmdb_write_batch(struct store_lmdb_writer *w, struct store_lmdb_group *first);

#endif
