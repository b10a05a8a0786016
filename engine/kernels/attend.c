#include "engine/kernels/attend.h"

#include <math.h>
#include <string.h>

const struct attend_kernels *const attend_sets[CPU_LEVELS] = {
    [CPU_REF] = &attend_ref,
#if defined(__x86_64__)
    [CPU_AVX2] = &attend_avx2,
    [CPU_AVXVNNI] = &attend_avx2,
    [CPU_AVX512VNNI] = &attend_avx512vnni,
#elif defined(__aarch64__)
    [CPU_NEON] = &attend_neon,
    [CPU_NEONDOT] = &attend_neon,
#endif
};

const struct attend_kernels *attend_kernels(void)
{
    return attend_sets[cpu_level()];
}

size_t attend_slot_bytes(enum decoder_cache type, size_t width)
{
    size_t blocks = (width + ATTEND_BLOCK - 1) / ATTEND_BLOCK, bytes = 0;

    switch (type) {
    case CACHE_F32:
        bytes = 2 * ATTEND_PAGE * width * sizeof(float);
        break;
    case CACHE_F16:
        bytes = 2 * ATTEND_PAGE * width * sizeof(uint16_t);
        break;
    case CACHE_Q8:
        bytes = 2 * ATTEND_PAGE * (width + blocks * sizeof(float));
        break;
    }
    return (bytes + 63) / 64 * 64;
}

void attend_merge(const struct attend_state *s, const struct attend_state *t, size_t rows,
                  size_t width)
{
    for (size_t r = 0; r < rows; r++) {
        float *a = s->out + r * width, most = fmaxf(s->most[r], t->most[r]), x, y;
        const float *b = t->out + r * width;

        if (t->sum[r] == 0)
            continue;
        if (s->sum[r] == 0) {
            s->most[r] = t->most[r];
            s->sum[r] = t->sum[r];
            memcpy(a, b, width * sizeof(*a));
            continue;
        }
        x = expf(s->most[r] - most);
        y = expf(t->most[r] - most);
        s->most[r] = most;
        s->sum[r] = s->sum[r] * x + t->sum[r] * y;
        for (size_t c = 0; c < width; c++)
            a[c] = a[c] * x + b[c] * y;
    }
}
