/* The inner loops of vector.c, by instruction set. */
#ifndef CACHE_VECTOR_KERNELS_H
#define CACHE_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = sum of query[j] * run[i * dims + j]; dims is a multiple of 32 (c: any). */
typedef void vector_dots_fn(const uint8_t *query, const int8_t *run, size_t n, size_t dims,
                            int32_t *out);

vector_dots_fn vector_dots_c;
vector_dots_fn vector_dots_avx2;
vector_dots_fn vector_dots_avx512vnni;

#endif
