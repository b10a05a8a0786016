#include "protocol/vector_text.h"

#include <stddef.h>

enum status vector_text_numbers(struct buf *out, const float *v, uint32_t n)
{
    enum status st = buf_append(out, SPAN("["));

    for (uint32_t i = 0; st == ST_OK && i < n; i++)
        st = buf_printf(out, i > 0 ? ",%.9g" : "%.9g", (double)v[i]);
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

/* Three bytes as four letters; what is missing at the end is told by '='. */
static enum status put_group(struct buf *out, const uint8_t *bytes, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = (uint32_t)bytes[0] << 16 | (n > 1 ? (uint32_t)bytes[1] << 8 : 0) |
                    (n > 2 ? (uint32_t)bytes[2] : 0);
    const char group[4] = {letters[bits >> 18], letters[bits >> 12 & 63],
                           n > 1 ? letters[bits >> 6 & 63] : '=',
                           n > 2 ? letters[bits & 63] : '='};

    return buf_append(out, (struct span){group, sizeof(group)});
}

/* Every machine that we run on is little endian. */
enum status vector_text_base64(struct buf *out, const float *v, uint32_t n)
{
    const uint8_t *bytes = (const uint8_t *)v;
    size_t len = n * sizeof(*v);
    enum status st = buf_append(out, SPAN("\""));

    for (size_t i = 0; st == ST_OK && i < len; i += 3)
        st = put_group(out, bytes + i, len - i);
    return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
}
