/* Nearest neighbours within a partition.
 *
 * While a partition is small its vectors lie as a run of bytes and are scanned by our
 * own kernel; a large one gets a FAISS structure (IVF, 8-bit codes), built and swapped
 * in the background. Removal is a tombstone at once.
 *
 * Threads: all functions from any thread, but for open and close. Adds are queued,
 * bounded, to the one writer thread; searches share a lock. */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/decision.h"

struct index;

struct index_options {
    uint32_t dimensions;
    uint32_t entries_max; /* of all partitions; the oldest goes first */
    uint32_t queue_max;   /* adds and removes that wait for the writer */
    uint32_t
        large_from;     /* entries of one partition from which it has a structure; 0: default */
    uint64_t bytes_max; /* for vectors, questions and what finds them (index_table.c) */
};

struct index_stats {
    uint64_t entries, partitions, large_partitions, bytes;
    uint64_t adds_total, removes_total, dropped_total, evictions_total, rebuilds_total;
};

enum status index_open(const struct index_options *o, struct index **out) MUST_CHECK;
/* Joins its threads: up to seconds while a structure is built. No call may be under way. */
void index_close(struct index *ix);

/* `vector` (unit, dimensions floats) and `question` are copied. ST_OVERLOAD: queue
 * full, nothing done. An entry of the same key is replaced. */
enum status index_add(struct index *ix, const struct digest *partition,
                      const struct digest *key, const float *vector, struct span question,
                      uint64_t expires_ms) MUST_CHECK;
/* Not found by any search that starts after this returns. */
void index_remove(struct index *ix, const struct digest *partition, const struct digest *key);

/* Up to k (<= DECISION_CANDIDATES_MAX) nearest, best first, none below `floor` and
 * none expired at now_ms; their questions are copied into `arena`. Returns how
 * many. */
size_t index_search(struct index *ix, const struct digest *partition, const float *vector,
                    size_t k, float floor, uint64_t now_ms, struct arena *arena,
                    struct decision_candidate *out);

/* While many entries come at once no structure is begun, which would soon be made anew. */
void index_fill_begin(struct index *ix);
void index_fill_end(struct index *ix);
/* Waits until everything queued before is searchable. Tests, rebuild. */
void index_flush(struct index *ix);
/* And until large partitions have their structures. Tests, benches. */
void index_settle(struct index *ix);
void index_stats(struct index *ix, struct index_stats *out);
/* What finds the centres of large partitions (index_centres.h): "faiss", "sample". */
const char *index_backend(void);

#endif
