#include "cache/vector.h"

#include <math.h>

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

struct kernel {
    const char *name;
    vector_dots_fn *dots;
};

static struct kernel choose(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"))
        return (struct kernel){"avx512vnni", vector_dots_avx512vnni};
    if (__builtin_cpu_supports("avx2"))
        return (struct kernel){"avx2", vector_dots_avx2};
#endif
    return (struct kernel){"c", vector_dots_c};
}

const char *vector_kernel(void)
{
    return choose().name;
}

#define BATCH 256

void vector_scan(const struct vector_query *q, const int8_t *run, const float *scales,
                 const int32_t *sums, size_t n, size_t dims, float *out)
{
    vector_dots_fn *dots = dims % 32 == 0 ? choose().dots : vector_dots_c;

    for (size_t i = 0; i < n; i += BATCH) {
        size_t m = n - i < BATCH ? n - i : BATCH;
        int32_t products[BATCH];

        dots(q->bytes, run + i * dims, m, dims, products);
        /* The query's 128 is taken out again. */
        for (size_t k = 0; k < m; k++)
            out[i + k] = (float)(products[k] - 128 * sums[i + k]) * (q->scale * scales[i + k]);
    }
}
