/* Which kernels this machine runs. Chosen once, before any model is opened; read from
 * any thread after. */
#ifndef ENGINE_CPU_H
#define ENGINE_CPU_H

#include <stdbool.h>

/* Each level is faster than those before it that the machine has as well. */
enum cpu_level {
    CPU_REF,
    CPU_AVX2, /* with FMA and F16C */
    CPU_AVXVNNI,
    CPU_AVX512VNNI,
    CPU_NEON,    /* any aarch64 */
    CPU_NEONDOT, /* with SDOT: FEAT_DotProd, Armv8.2 */
};

#define CPU_LEVELS 6

/* The level in force: the best of this machine, or the forced one. */
enum cpu_level cpu_level(void);
/* Can this machine run it (and was it compiled in)? */
bool cpu_has(enum cpu_level level);
/* "avx2". Never NULL. */
const char *cpu_level_name(enum cpu_level level);

#endif
