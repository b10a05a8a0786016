/* The vectors of one partition, in bytes: chunks that are scanned one after the other.
 * Growing copies no more than one chunk. Positions below `fixed` have names elsewhere
 * and stay: what is removed there leaves a hole (its item is INDEX_ITEM_NONE), which can
 * be used again. Above, the last one takes a removed one's place. Not synchronized. */
#ifndef CACHE_INDEX_RUN_H
#define CACHE_INDEX_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

/* Positions of a chunk. A partition wastes one and a half at most; a scan wants some. */
#define INDEX_RUN_CHUNK 256u

/* One block of memory, in which the vectors are first. */
struct index_chunk {
    void *block;     /* owned */
    int8_t *vectors; /* [INDEX_RUN_CHUNK][dims]; the only one may be shorter */
    float *scales;
    int32_t *sums; /* of a hole: the next hole */
    uint32_t *items;
};

struct index_run {
    struct index_chunk *chunks; /* owned */
    size_t dims, chunk_count, chunk_cap, cap;
    size_t count, fixed, holes;
    uint32_t hole; /* the first one below `fixed` */
};

/* One vector with what belongs to it. */
struct index_row {
    const int8_t *vector; /* borrowed */
    float scale;
    int32_t sum;
    uint32_t item;
};

void index_run_init(struct index_run *r, size_t dims);
void index_run_release(struct index_run *r);

/* At position count, which then is one more. ST_NOMEM leaves it as it was. */
enum status index_run_append(struct index_run *r, const struct index_row *row) MUST_CHECK;
/* Valid until the run changes. */
struct index_row index_run_at(const struct index_run *r, size_t at);
static inline const int8_t *index_run_vector(const struct index_run *r, size_t at)
{
    return r->chunks[at / INDEX_RUN_CHUNK].vectors + at % INDEX_RUN_CHUNK * r->dims;
}
/* Which item has moved to `at`; INDEX_ITEM_NONE: none has. */
uint32_t index_run_remove(struct index_run *r, size_t at);

/* All that are there now stay where they are. */
void index_run_fix(struct index_run *r);
/* One more stays: the last one in a hole when there is one, else the first above `fixed`.
 * Where; count > fixed. */
size_t index_run_fix_one(struct index_run *r);
/* None has to stay any more; then index_run_pack() closes the holes. */
void index_run_loosen(struct index_run *r);
/* Closes the hole at `at`, if it is one, as index_run_remove() does. */
uint32_t index_run_pack(struct index_run *r, size_t at);

/* What one entry takes, for accounting. */
size_t index_run_row_bytes(const struct index_run *r);

#endif
