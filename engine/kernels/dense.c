#include "engine/kernels/dense.h"

const struct dense_kernels *const dense_sets[CPU_LEVELS] = {
    [CPU_REF] = &dense_ref,
#if defined(__x86_64__)
    [CPU_AVX2] = &dense_avx2,
    [CPU_AVXVNNI] = &dense_avxvnni,
    [CPU_AVX512VNNI] = &dense_avx512vnni,
#elif defined(__aarch64__)
    [CPU_NEON] = &dense_neon,
    [CPU_NEONDOT] = &dense_neondot,
#endif
};

const struct dense_kernels *dense_kernels(void)
{
    return dense_sets[cpu_level()];
}
