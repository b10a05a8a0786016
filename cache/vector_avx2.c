#include <immintrin.h>

#include "cache/vector_kernels.h"

static int32_t add_lanes(__m256i v)
{
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return _mm_cvtsi128_si32(x);
}

/* Bytes are widened to 16 bits: 255 * 127 * 2 does not fit there, so no maddubs. */
static int32_t dot(const uint8_t *query, const int8_t *v, size_t dims)
{
    __m256i acc = _mm256_setzero_si256();

    for (size_t j = 0; j < dims; j += 16) {
        __m256i a =
            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(query + j)));
        __m256i b =
            _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(v + j)));

        acc = _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
    }
    return add_lanes(acc);
}

void vector_dots_avx2(const uint8_t *query, const int8_t *run, size_t n, size_t dims,
                      int32_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = dot(query, run + i * dims, dims);
}

void vector_dots_at_avx2(const uint8_t *query, const int8_t *const *vectors, size_t n,
                         size_t dims, int32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        vector_fetch(vectors, i, n, dims);
        out[i] = dot(query, vectors[i], dims);
    }
}
