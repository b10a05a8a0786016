/* The inner loops of vector.c, by instruction set. */
#ifndef CACHE_VECTOR_KERNELS_H
#define CACHE_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = sum of query[j] * run[i * dims + j]; dims is a multiple of 32 (c: any). */
typedef void vector_dots_fn(const uint8_t *query, const int8_t *run, size_t n, size_t dims,
                            int32_t *out);

/* The same of vectors that lie apart, fetched ahead. */
typedef void vector_dots_at_fn(const uint8_t *query, const int8_t *const *vectors, size_t n,
                               size_t dims, int32_t *out);

struct vector_kernel {
    const char *name;
    vector_dots_fn *dots;
    vector_dots_at_fn *dots_at;
};

/* Those that run on this machine, the best first; *n of them. The last one is c. */
const struct vector_kernel *vector_kernels(size_t *n);

vector_dots_fn vector_dots_c;
vector_dots_fn vector_dots_avx2;
vector_dots_fn vector_dots_avx512vnni;

vector_dots_at_fn vector_dots_at_c;
vector_dots_at_fn vector_dots_at_avx2;
vector_dots_at_fn vector_dots_at_avx512vnni;

#define VECTOR_AHEAD 6 /* vectors that are under way while one is looked at */
#define VECTOR_LINE  64

/* Of the loop over i: the vector that comes VECTOR_AHEAD later. */
static inline void vector_fetch(const int8_t *const *vectors, size_t i, size_t n, size_t dims)
{
    for (size_t j = 0; i + VECTOR_AHEAD < n && j < dims; j += VECTOR_LINE)
        __builtin_prefetch(vectors[i + VECTOR_AHEAD] + j);
}

#endif
