/* A large partition's own structure, an inverted file (IVF; Sivic and Zisserman 2003, Jegou et
 * al. 2011): every position of the run is listed under the centre nearest to its vector, and a
 * search looks through the lists of the centres nearest to what is asked. The vectors stay in
 * the run, once, so what is found is measured as a scan would. Nothing is ever taken out. One
 * writer, or many readers. */
#ifndef CACHE_INDEX_LARGE_H
#define CACHE_INDEX_LARGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "cache/vector.h"

struct index_large;

/* A position of the run, and what its vector was when it was listed: another may be there by
 * now, which then is in another list as well. */
struct index_name {
    uint32_t at;
    float scale;
    int32_t sum;
};

struct index_list {
    struct index_name *names; /* owned by the structure */
    uint32_t n, cap;
};

#define INDEX_LARGE_LISTS_MAX 256

/* How many vectors a structure for `expected` of them is best trained on. */
size_t index_large_sample(size_t expected);
/* Empty, trained on a sample of n unit vectors. Takes up to a minute. */
enum status index_large_open(const float *sample, size_t n, size_t dims, size_t expected,
                             struct index_large **out) MUST_CHECK;
void index_large_close(struct index_large *l);

/* Some 10 us. */
enum status index_large_add(struct index_large *l, const int8_t *vector,
                            const struct index_name *name) MUST_CHECK;
/* The lists to be looked through; how many. Borrowed until the structure changes. */
size_t index_large_near(const struct index_large *l, const struct vector_query *q,
                        const struct index_list *lists[INDEX_LARGE_LISTS_MAX]);

/* What one vector takes, for accounting. */
size_t index_large_row_bytes(void);

#endif
