#include "base/base64.h"

#include <stdint.h>

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum status base64_encode(struct buf *out, struct span bytes)
{
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < bytes.len; i += 3) {
        size_t n = bytes.len - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (n > 2 ? (uint32_t)p[i + 2] : 0);
        const char group[4] = {letters[bits >> 18], letters[bits >> 12 & 63],
                               n > 1 ? letters[bits >> 6 & 63] : '=',
                               n > 2 ? letters[bits & 63] : '='};

        st = buf_append(out, (struct span){group, sizeof(group)});
    }
    return st;
}

/* 64 and more: no letter. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Four letters as one to three bytes; 0: they are none. */
static size_t take_group(const char *text, char bytes[3])
{
    size_t n = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1;
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        uint32_t v = i <= n ? value_of(text[i]) : 0;

        if (v >= 64)
            return 0;
        bits = bits << 6 | v;
    }
    /* Else one value would have several texts. */
    if ((bits & (n == 1 ? 0xffffu : n == 2 ? 0xffu : 0)) != 0)
        return 0;
    for (size_t i = 0; i < 3; i++)
        bytes[i] = (char)(bits >> (16 - 8 * i) & 0xff);
    return n;
}

enum status base64_decode(struct buf *out, struct span text)
{
    enum status st = text.len % 4 == 0 ? ST_OK : ST_INVALID;

    for (size_t i = 0; st == ST_OK && i < text.len; i += 4) {
        char bytes[3];
        size_t n = take_group(text.ptr + i, bytes);

        if (n == 0 || (n < 3 && i + 4 < text.len))
            return ST_INVALID;
        st = buf_append(out, (struct span){bytes, n});
    }
    return st;
}
