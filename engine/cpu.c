#include "engine/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/engine.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const char *const names[CPU_LEVELS] = {"ref",        "avx2", "avxvnni",
                                              "avx512vnni", "neon", "neondot"};

/* -1: not chosen yet. Written before any worker exists, or to the same value by each
 * that asks first: relaxed is enough. */
static _Atomic int chosen = -1;

#if defined(__x86_64__)

/* Intel SDM vol. 2, CPUID; vol. 1, 13.3 XCR0. */
static unsigned long long xcr0(void)
{
    unsigned eax, edx;

    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (unsigned long long)edx << 32 | eax;
}

struct features {
    bool avx2, avxvnni, avx512vnni;
};

static struct features detect(void)
{
    unsigned a, b, c, d, a1 = 0, b1, c1, d1;
    struct features f = {false, false, false};
    unsigned long long state;
    bool fma, f16c;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_OSXSAVE) == 0)
        return f;
    fma = (c & bit_FMA) != 0;
    f16c = (c & bit_F16C) != 0;
    state = xcr0();
    if ((state & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return f;
    f.avx2 = (b & bit_AVX2) != 0 && fma && f16c;
    f.avx512vnni = f.avx2 && (state & 0xe6) == 0xe6 && (b & bit_AVX512F) != 0 &&
                   (b & bit_AVX512BW) != 0 && (b & bit_AVX512VL) != 0 &&
                   (b & bit_AVX512DQ) != 0 && (c & bit_AVX512VNNI) != 0;
    if (a >= 1 && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1))
        f.avxvnni = f.avx2 && (a1 & (1u << 4)) != 0;
    return f;
}

bool cpu_has(enum cpu_level level)
{
    struct features f = detect();

    switch (level) {
    case CPU_REF:
        return true;
    case CPU_AVX2:
        return f.avx2;
    case CPU_AVXVNNI:
        return f.avxvnni;
    case CPU_AVX512VNNI:
        return f.avx512vnni;
    case CPU_NEON:
    case CPU_NEONDOT:
        break;
    }
    return false;
}

bool cpu_supported(void)
{
    return detect().avx2;
}

#elif defined(__aarch64__)

/* Linux Documentation/arm64/elf_hwcaps. */
bool cpu_has(enum cpu_level level)
{
    unsigned long has = getauxval(AT_HWCAP);

    switch (level) {
    case CPU_REF:
        return true;
    case CPU_NEON:
        return (has & HWCAP_ASIMD) != 0;
    case CPU_NEONDOT:
        return (has & HWCAP_ASIMD) != 0 && (has & HWCAP_ASIMDDP) != 0;
    case CPU_AVX2:
    case CPU_AVXVNNI:
    case CPU_AVX512VNNI:
        break;
    }
    return false;
}

bool cpu_supported(void)
{
    return true;
}

#else

bool cpu_has(enum cpu_level level)
{
    return level == CPU_REF;
}

bool cpu_supported(void)
{
    return true;
}

#endif

static enum cpu_level best(void)
{
    for (int l = CPU_LEVELS - 1; l > 0; l--) {
        if (cpu_has((enum cpu_level)l))
            return (enum cpu_level)l;
    }
    return CPU_REF;
}

enum cpu_level cpu_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);

    if (level < 0) {
        level = (int)best();
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return (enum cpu_level)level;
}

const char *cpu_level_name(enum cpu_level level)
{
    return names[level];
}

const char *cpu_kernels(void)
{
    return names[cpu_level()];
}

enum status cpu_force(const char *name)
{
    if (name == NULL || *name == '\0') {
        atomic_store_explicit(&chosen, (int)best(), memory_order_relaxed);
        return ST_OK;
    }
    for (int l = 0; l < CPU_LEVELS; l++) {
        if (strcmp(names[l], name) != 0)
            continue;
        if (!cpu_has((enum cpu_level)l))
            return ST_UNAVAILABLE;
        atomic_store_explicit(&chosen, l, memory_order_relaxed);
        return ST_OK;
    }
    return ST_INVALID;
}
