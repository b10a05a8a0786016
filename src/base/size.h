/* Arithmetic on sizes that a file or a peer chose. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

/* false on overflow; *out is then untouched. */
static inline bool MUST_CHECK size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static inline bool MUST_CHECK size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

/* The n bytes at offset `at`; false when they are not all inside `s`. */
static inline bool MUST_CHECK span_sub(struct span s, size_t at, size_t n, struct span *out)
{
    if (at > s.len || n > s.len - at)
        return false;
    *out = (struct span){s.ptr + at, n};
    return true;
}

#endif
