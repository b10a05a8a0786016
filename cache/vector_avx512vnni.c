#include <immintrin.h>

#include "cache/vector_kernels.h"

static int32_t add_lanes(__m256i v)
{
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return _mm_cvtsi128_si32(x);
}

/* Two sums, as one would wait for itself. */
static int32_t dot(const uint8_t *query, const int8_t *v, size_t dims)
{
    __m256i a = _mm256_setzero_si256(), b = _mm256_setzero_si256();
    size_t j = 0;

    for (; j + 64 <= dims; j += 64) {
        a = _mm256_dpbusd_epi32(a,
                                _mm256_loadu_si256((const __m256i *)(const void *)(query + j)),
                                _mm256_loadu_si256((const __m256i *)(const void *)(v + j)));
        b = _mm256_dpbusd_epi32(
            b, _mm256_loadu_si256((const __m256i *)(const void *)(query + j + 32)),
            _mm256_loadu_si256((const __m256i *)(const void *)(v + j + 32)));
    }
    for (; j < dims; j += 32)
        a = _mm256_dpbusd_epi32(a,
                                _mm256_loadu_si256((const __m256i *)(const void *)(query + j)),
                                _mm256_loadu_si256((const __m256i *)(const void *)(v + j)));
    return add_lanes(_mm256_add_epi32(a, b));
}

/* No prefetch: it gains nothing (index_bench). */
void vector_dots_avx512vnni(const uint8_t *query, const int8_t *run, size_t n, size_t dims,
                            int32_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = dot(query, run + i * dims, dims);
}

void vector_dots_at_avx512vnni(const uint8_t *query, const int8_t *const *vectors, size_t n,
                               size_t dims, int32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        vector_fetch(vectors, i, n, dims);
        out[i] = dot(query, vectors[i], dims);
    }
}
