/* Reading the bytes of a block. */
#ifndef ENGINE_FORMAT_BITS_H
#define ENGINE_FORMAT_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline unsigned bits_of(unsigned byte, size_t shift, unsigned mask)
{
    return byte >> shift & mask;
}

static inline uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

#endif
