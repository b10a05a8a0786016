/* Centres of many vectors, for the lists of a large partition (index_large.h): by the k-means
 * of FAISS through its C API, or, where FAISS is not to be had, vectors taken from the sample,
 * which serve worse. Any thread. */
#ifndef CACHE_INDEX_CENTRES_H
#define CACHE_INDEX_CENTRES_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

/* Vectors of a sample that are worth their time, for each centre. */
#define INDEX_CENTRES_SAMPLE 16

/* `count` centres of the n unit vectors of `sample`, n >= count, to out [count][dims]. Takes up
 * to a minute for thousands of centres. */
enum status index_centres_find(const float *sample, size_t n, size_t dims, size_t count,
                               float *out) MUST_CHECK;
/* Who finds them: "faiss", "sample". */
const char *index_centres_name(void);

#endif
