/* Vectors in bytes: one scale each, and products of them. A unit vector keeps its
 * cosines to about .002. Pure; any thread. */
#ifndef CACHE_VECTOR_H
#define CACHE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* v = q * scale. Returns the scale; *sum gets the sum of q. dims: a multiple of 64 is
 * fastest, any works. */
float vector_pack(const float *v, size_t dims, int8_t *q, int32_t *sum);
void vector_unpack(const int8_t *q, float scale, size_t dims, float *v);

/* A query made ready: bytes without sign (value + 128). */
struct vector_query {
    uint8_t *bytes; /* dims, owned by the caller */
    float scale;
};

/* out[i] = cosine of the query and run[i * dims ...], for i < n. */
void vector_scan(const struct vector_query *q, const int8_t *run, const float *scales,
                 const int32_t *sums, size_t n, size_t dims, float *out);

/* The same of vectors that lie apart. */
void vector_scan_at(const struct vector_query *q, const int8_t *const *vectors,
                    const float *scales, const int32_t *sums, size_t n, size_t dims,
                    float *out);

/* The instructions vector_scan() uses here: "avx512vnni", "avx2", "c". */
const char *vector_kernel(void);

#endif
