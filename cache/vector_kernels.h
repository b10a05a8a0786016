/* The inner loops of vector.c, by instruction set. */
#ifndef CACHE_VECTOR_KERNELS_H
#define CACHE_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = sum of query[j] * run[i * dims + j]; dims is a multiple of 32 (c: any). */
typedef void vector_dots_fn(const uint8_t *query, const int8_t *run, size_t n, size_t dims,
                            int32_t *out);

struct vector_kernel {
    const char *name;
    vector_dots_fn *dots;
};

/* Those that run on this machine, the best first; *n of them. The last one is c. */
const struct vector_kernel *vector_kernels(size_t *n);

vector_dots_fn vector_dots_c;
vector_dots_fn vector_dots_avx2;
vector_dots_fn vector_dots_avx512vnni;

#endif
