/* The types of weights that files come in (github.com/ggml-org/ggml, ggml-common.h, for the
 * layouts): one table for the reader, its refusals and the kernels. A row of weights is a run
 * of blocks; a block is bytes of codes, and a scale for each group of 16 or 32 of them,
 *
 *     weight = code * d + m,    d, m of its group; m = 0 in most types,
 *
 * with codes that fit a signed byte. So whatever a type packs its codes into, products are
 * the same sum, and a type is added with one function that takes its block apart. Pure;
 * any thread. */
#ifndef ENGINE_FORMAT_H
#define ENGINE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are the files'. */
enum format_id {
    FORMAT_F32 = 0,
    FORMAT_F16 = 1,
    FORMAT_Q4_0 = 2,
    FORMAT_Q4_1 = 3,
    FORMAT_Q5_0 = 6,
    FORMAT_Q5_1 = 7,
    FORMAT_Q8_0 = 8,
    FORMAT_Q2_K = 10,
    FORMAT_Q3_K = 11,
    FORMAT_Q4_K = 12,
    FORMAT_Q5_K = 13,
    FORMAT_Q6_K = 14,
    FORMAT_IQ2_XXS = 16,
    FORMAT_IQ2_XS = 17,
    FORMAT_IQ3_XXS = 18,
    FORMAT_IQ1_S = 19,
    FORMAT_IQ4_NL = 20,
    FORMAT_IQ3_S = 21,
    FORMAT_IQ2_S = 22,
    FORMAT_IQ4_XS = 23,
    FORMAT_IQ1_M = 29,
    FORMAT_BF16 = 30,
    FORMAT_TQ1_0 = 34,
    FORMAT_TQ2_0 = 35,
    FORMAT_MXFP4 = 39,
};

#define FORMAT_VALUES_MAX 256 /* of a block */
#define FORMAT_GROUPS_MAX 16  /* of a block */

/* Takes the block at p apart: codes[values], d[values / group], and m[values / group] where
 * the type has offsets; m is not touched otherwise. */
typedef void format_unpack_fn(const uint8_t *p, int8_t *codes, float *d, float *m);

struct format {
    const char *name;       /* NULL: no type has this number */
    uint16_t values, bytes; /* of a block; 0: known by its name only */
    uint8_t group;          /* values that share a scale; 0: plain floats, a value a block */
    bool offsets;           /* there is an m */
    format_unpack_fn *unpack;
};

/* Never NULL; what is not computed with has no `values`. */
const struct format *format_of(uint32_t type);
/* "Q4_1", "Q6_K", …: also of types that are not computed with. Never NULL. */
const char *format_name(uint32_t type);
/* The names of those that are, as "F32, F16, …"; cut off at `cap`. */
void format_list(char *out, size_t cap);

/* A row of n values, a whole number of blocks, as floats, exactly. */
void format_row(uint32_t type, const uint8_t *p, size_t n, float *out);

#endif
