/* A large partition's own structure: FAISS through its C API (IVF, 8-bit codes), or the
 * flat reference where FAISS is not to be had (under ThreadSanitizer). Ids are the
 * positions 0, 1, … in order of adding. One writer, or many readers. */
#ifndef CACHE_INDEX_LARGE_H
#define CACHE_INDEX_LARGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct index_large;

/* Trained on a sample of the n unit vectors, then filled with all. Takes long. */
enum status index_large_build(const float *vectors, size_t n, size_t dims,
                              struct index_large **out) MUST_CHECK;
void index_large_close(struct index_large *l);
enum status index_large_add(struct index_large *l, const float *vector) MUST_CHECK;
/* Up to k ids, nearest first; -1 where there are fewer. */
enum status index_large_search(const struct index_large *l, const float *vector, size_t k,
                               int64_t *ids) MUST_CHECK;
/* What this is: "faiss c 1.7.3", "flat". */
const char *index_large_name(void);

#endif
