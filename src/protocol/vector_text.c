#include "protocol/vector_text.h"

#include "base/base64.h"

#include <stddef.h>

enum status vector_text_numbers(struct buf *out, const float *v, uint32_t n)
{
    enum status st = buf_append(out, SPAN("["));

    for (uint32_t i = 0; st == ST_OK && i < n; i++)
        st = buf_printf(out, i > 0 ? ",%.9g" : "%.9g", (double)v[i]);
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

/* Every machine that we run on is little endian. */
enum status vector_text_base64(struct buf *out, const float *v, uint32_t n)
{
    enum status st = buf_append(out, SPAN("\""));

    if (st == ST_OK)
        st = base64_encode(out, (struct span){(const char *)v, n * sizeof(*v)});
    return st == ST_OK ? buf_append(out, SPAN("\"")) : st;
}
