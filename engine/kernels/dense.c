#include "engine/kernels/dense.h"

#include "engine/cpu.h"

const struct dense_kernels *dense_kernels(void)
{
#if defined(__x86_64__)
    switch (cpu_level()) {
    case CPU_AVX512VNNI:
        return &dense_avx512vnni;
    case CPU_AVXVNNI:
        return &dense_avxvnni;
    case CPU_AVX2:
        return &dense_avx2;
    case CPU_REF:
        break;
    }
#endif
    return &dense_ref;
}
