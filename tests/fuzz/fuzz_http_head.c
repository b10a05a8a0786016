/* Messages, both directions. The first byte chooses the side, the kind of request an
 * answer belongs to, and the chunking: whatever the pieces are, the outcome must be the
 * one of the whole, and what was taken must be framed without doubt. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/message.h"

#define HEAD_MAX 4096
#define BODY_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum status st, eof;
    bool head, ended;
    size_t used;
    size_t fields;
    enum http_framing framing;
    struct buf body;
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void check_head(const struct http_head *h, enum message_side side)
{
    size_t codings = http_head_count(h, SPAN("transfer-encoding")),
           lengths = http_head_count(h, SPAN("content-length"));

    must(h->field_count <= HTTP_FIELDS_MAX && codings <= 1 && lengths <= 1);
    must(codings + lengths <= 1);
    for (size_t i = 0; i < h->field_count; i++)
        must(http_field_is_safe(&h->fields[i]) && h->fields[i].value.ptr != NULL);
    if (side == MESSAGE_RESPONSE) {
        must(h->status >= 100 && h->status <= 599);
        return;
    }
    must(h->framing != HTTP_UNTIL_EOF && h->method.len > 0 && h->target.len > 0);
    must(h->target.ptr[0] == '/' || span_eq(h->target, SPAN("*")));
    must(http_head_count(h, SPAN("host")) == 1 || h->minor == 0);
    for (size_t i = 0; i < h->target.len; i++)
        must(h->target.ptr[i] > 0x20 && h->target.ptr[i] < 0x7f && h->target.ptr[i] != '#');
}

/* Offers a block of its own size, so that ASan sees a read past it. */
static enum status offer(struct message *m, struct span in, size_t *used,
                         enum message_event *event, struct outcome *o)
{
    char *copy = malloc(in.len > 0 ? in.len : 1);
    enum status st;

    must(copy != NULL);
    if (in.len > 0)
        memcpy(copy, in.ptr, in.len);
    st = message_next(m, (struct span){copy, in.len}, used, event);
    if (st == ST_OK) {
        must(*used <= in.len);
        if (*event == MESSAGE_BODY)
            must(buf_append(&o->body, m->piece) == ST_OK);
    }
    free(copy);
    return st;
}

static void read_all(struct span in, size_t chunk, enum message_side side, bool head_request,
                     struct outcome *o)
{
    enum message_event event = MESSAGE_MORE;
    size_t offered = 0, used;
    struct message m;
    struct arena a;

    *o = (struct outcome){.st = ST_OK};
    buf_init(&o->body, BODY_MAX);
    arena_init(&a, 4096, 65536);
    message_start(&m, side, &a, HEAD_MAX, head_request);
    while (event != MESSAGE_END) {
        o->st = offer(&m, (struct span){in.ptr + o->used, offered - o->used}, &used, &event, o);
        if (o->st != ST_OK)
            break;
        o->used += used;
        if (event == MESSAGE_HEAD) {
            check_head(&m.head, side);
            o->head = true;
            o->fields = m.head.field_count;
            o->framing = m.head.framing;
        }
        if (event == MESSAGE_MORE && used == 0) {
            if (offered == in.len)
                break;
            offered = in.len - offered < chunk ? in.len : offered + chunk;
        }
    }
    o->ended = event == MESSAGE_END && o->st == ST_OK;
    o->eof = o->st == ST_OK ? message_eof(&m) : o->st;
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;
    enum message_side side;
    struct span in;
    bool head_request;

    if (size == 0 || size > 65536)
        return 0;
    side = (data[0] & 1) != 0 ? MESSAGE_RESPONSE : MESSAGE_REQUEST;
    head_request = side == MESSAGE_RESPONSE && (data[0] & 2) != 0;
    in = (struct span){(const char *)data + 1, size - 1};
    read_all(in, SIZE_MAX, side, head_request, &whole);
    read_all(in, 1u + (data[0] >> 2) % 16u, side, head_request, &pieces);
    must(whole.st == pieces.st && whole.head == pieces.head && whole.ended == pieces.ended);
    must(whole.eof == pieces.eof);
    if (whole.st == ST_OK) {
        must(whole.used == pieces.used && whole.fields == pieces.fields);
        must(whole.framing == pieces.framing);
        must(span_eq(buf_span(&whole.body), buf_span(&pieces.body)));
    }
    buf_release(&whole.body);
    buf_release(&pieces.body);
    return 0;
}
