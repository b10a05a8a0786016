#include "cache/redis_slot.h"

#include <string.h>

/* CRC-16/XMODEM: polynomial 0x1021, beginning with 0, nothing reflected. */
static uint16_t crc16(struct span s)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < s.len; i++) {
        crc = (uint16_t)(crc ^ (unsigned)(unsigned char)s.ptr[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)((crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

/* What stands between the first { and the first } after it, unless it is nothing. */
static struct span hashed_part(struct span key)
{
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    const char *close;
    size_t left;

    if (open == NULL)
        return key;
    left = key.len - (size_t)(open + 1 - key.ptr);
    close = left > 0 ? memchr(open + 1, '}', left) : NULL;
    if (close == NULL || close == open + 1)
        return key;
    return (struct span){open + 1, (size_t)(close - open - 1)};
}

uint16_t redis_slot_of(struct span key)
{
    return (uint16_t)(crc16(hashed_part(key)) % REDIS_SLOTS);
}
