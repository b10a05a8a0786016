#include "cache/vector.h"

#include <math.h>

#include "base/compiler.h"
#include "cache/vector_kernels.h"

float vector_pack(const float *v, size_t dims, int8_t *q, int32_t *sum)
{
    float most = 0, factor;
    int32_t total = 0;

    for (size_t i = 0; i < dims; i++)
        most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
    factor = most > 0 ? 127.0f / most : 0;
    for (size_t i = 0; i < dims; i++) {
        q[i] = (int8_t)lrintf(v[i] * factor);
        total += q[i];
    }
    *sum = total;
    return most / 127.0f;
}

void vector_unpack(const int8_t *q, float scale, size_t dims, float *v)
{
    for (size_t i = 0; i < dims; i++)
        v[i] = (float)q[i] * scale;
}

void vector_dots_c(const uint8_t *query, const int8_t *run, size_t n, size_t dims, int32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        int32_t sum = 0;

        for (size_t j = 0; j < dims; j++)
            sum += query[j] * run[i * dims + j];
        out[i] = sum;
    }
}

void vector_dots_at_c(const uint8_t *query, const int8_t *const *vectors, size_t n, size_t dims,
                      int32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        vector_fetch(vectors, i, n, dims);
        vector_dots_c(query, vectors[i], 1, dims, out + i);
    }
}

const struct vector_kernel *vector_kernels(size_t *n)
{
    static const struct vector_kernel all[] = {
#if defined(__x86_64__)
        {"avx512vnni", vector_dots_avx512vnni, vector_dots_at_avx512vnni},
        {"avx2", vector_dots_avx2, vector_dots_at_avx2},
#endif
        {"c", vector_dots_c, vector_dots_at_c},
    };
    size_t first = 0;

#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512vl"))
        first++;
    if (first > 0 && !__builtin_cpu_supports("avx2"))
        first++;
#endif
    *n = ARRAY_LEN(all) - first;
    return all + first;
}

/* For `dims`: others than the C kernel want 32 at a time. */
static const struct vector_kernel *kernel_for(size_t dims)
{
    size_t n;
    const struct vector_kernel *all = vector_kernels(&n);

    return dims % 32 == 0 ? all : all + n - 1;
}

const char *vector_kernel(void)
{
    size_t n;

    return vector_kernels(&n)->name;
}

#define BATCH 256

/* The query's 128 is taken out again. */
static void to_cosines(const struct vector_query *q, const int32_t *products,
                       const float *scales, const int32_t *sums, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(products[i] - 128 * sums[i]) * (q->scale * scales[i]);
}

void vector_scan(const struct vector_query *q, const int8_t *run, const float *scales,
                 const int32_t *sums, size_t n, size_t dims, float *out)
{
    vector_dots_fn *dots = kernel_for(dims)->dots;
    int32_t products[BATCH];

    for (size_t i = 0; i < n; i += BATCH) {
        size_t m = n - i < BATCH ? n - i : BATCH;

        dots(q->bytes, run + i * dims, m, dims, products);
        to_cosines(q, products, scales + i, sums + i, m, out + i);
    }
}

void vector_scan_at(const struct vector_query *q, const int8_t *const *vectors,
                    const float *scales, const int32_t *sums, size_t n, size_t dims, float *out)
{
    vector_dots_at_fn *dots_at = kernel_for(dims)->dots_at;
    int32_t products[BATCH];

    for (size_t i = 0; i < n; i += BATCH) {
        size_t m = n - i < BATCH ? n - i : BATCH;

        dots_at(q->bytes, vectors + i, m, dims, products);
        to_cosines(q, products, scales + i, sums + i, m, out + i);
    }
}
