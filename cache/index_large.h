/* A large partition's own structure: FAISS through its C API (IVF, 8-bit codes), or the
 * flat reference where FAISS is not to be had (under ThreadSanitizer). It answers with the
 * ids it was given; nothing is ever taken out of it. One writer, or many readers. */
#ifndef CACHE_INDEX_LARGE_H
#define CACHE_INDEX_LARGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct index_large;

#define INDEX_LARGE_RESULTS_MAX 256

/* How many vectors a structure for `expected` of them is best trained on. */
size_t index_large_sample(size_t expected);
/* Empty, trained on a sample of n unit vectors. Takes up to seconds. */
enum status index_large_open(const float *sample, size_t n, size_t dims, size_t expected,
                             struct index_large **out) MUST_CHECK;
void index_large_close(struct index_large *l);

enum status index_large_add(struct index_large *l, const float *vectors, const int64_t *ids,
                            size_t n) MUST_CHECK;
/* Up to k (<= INDEX_LARGE_RESULTS_MAX) ids with their similarities (nearly), nearest
 * first; an id added twice may come twice. */
enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids, float *similarities, size_t *n) MUST_CHECK;

/* What one vector takes, for accounting. */
size_t index_large_row_bytes(size_t dims);
/* What this is: "faiss c api, ivf sq8", "flat". */
const char *index_large_name(void);

#endif
