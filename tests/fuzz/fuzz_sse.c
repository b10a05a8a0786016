/* Event streams. The first byte is the size of the pieces: the events must be those of
 * the whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/sse.h"

#define EVENT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static enum status on_event(void *owner, struct span event, struct span data)
{
    must(event.len <= EVENT_MAX && data.len <= EVENT_MAX);
    return buf_printf(owner, "[%zu:%.*s|%zu:%.*s]", event.len, (int)event.len, event.ptr,
                      data.len, (int)data.len, data.ptr);
}

static enum status read_all(struct span in, size_t chunk, struct buf *out, bool *between)
{
    enum status st = ST_OK;
    struct sse_reader r;

    sse_init(&r, EVENT_MAX, on_event, out);
    for (size_t i = 0, n; st == ST_OK && i < in.len; i += n) {
        char *copy;

        n = in.len - i < chunk ? in.len - i : chunk;
        copy = malloc(n);
        must(copy != NULL);
        memcpy(copy, in.ptr + i, n);
        st = sse_feed(&r, (struct span){copy, n});
        free(copy);
    }
    *between = sse_between_events(&r);
    sse_release(&r);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    bool whole_between, pieces_between;
    enum status st;
    struct span in;

    if (size == 0 || size > 65536)
        return 0;
    buf_init(&whole, 1u << 22);
    buf_init(&pieces, 1u << 22);
    in = (struct span){(const char *)data + 1, size - 1};
    st = read_all(in, SIZE_MAX, &whole, &whole_between);
    must(st == read_all(in, 1u + data[0] % 16u, &pieces, &pieces_between));
    must(span_eq(buf_span(&whole), buf_span(&pieces)));
    must(st != ST_OK || whole_between == pieces_between);
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
