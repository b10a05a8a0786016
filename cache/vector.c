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

const struct vector_kernel *vector_kernels(size_t *n)
{
    static const struct vector_kernel all[] = {
#if defined(__x86_64__)
        {"avx512vnni", vector_dots_avx512vnni},
        {"avx2", vector_dots_avx2},
#endif
        {"c", vector_dots_c},
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

static vector_dots_fn *best(void)
{
    size_t n;

    return vector_kernels(&n)->dots;
}

const char *vector_kernel(void)
{
    size_t n;

    return vector_kernels(&n)->name;
}

#define BATCH 256

void vector_scan(const struct vector_query *q, const int8_t *run, const float *scales,
                 const int32_t *sums, size_t n, size_t dims, float *out)
{
    vector_dots_fn *dots = dims % 32 == 0 ? best() : vector_dots_c;

    for (size_t i = 0; i < n; i += BATCH) {
        size_t m = n - i < BATCH ? n - i : BATCH;
        int32_t products[BATCH];

        dots(q->bytes, run + i * dims, m, dims, products);
        /* The query's 128 is taken out again. */
        for (size_t k = 0; k < m; k++)
            out[i + k] = (float)(products[k] - 128 * sums[i + k]) * (q->scale * scales[i + k]);
    }
}
