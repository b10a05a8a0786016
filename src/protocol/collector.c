/* A stream that can not be stored (too much, an error, a fold that gave up) is read on only
 * to know where its events end. */
#include "protocol/collector.h"

#include <stdlib.h>

#include "base/json.h"
#include "http/sse.h"
#include "protocol/protocol.h"

#define SCRATCH_CHUNK   8192
#define EVENT_ARENA_MAX (64u * 1024 * 1024)

struct collector {
    const struct protocol *protocol;
    struct sse_reader sse; /* of events */
    struct buf line;       /* of lines: the one that has begun */
    struct arena scratch;  /* of one event */
    size_t bytes_max, bytes;
    enum answer_verdict trouble; /* STORABLE while all is well */
    bool lost;                   /* the reader itself gave up */
    bool terminal;               /* the terminal event came */
    void *state;                 /* owned; of the fold */
};

static void spoil(struct collector *c, enum answer_verdict why)
{
    if (c->trouble == ANSWER_STORABLE)
        c->trouble = why;
}

/* One event's data. */
static void read_data(struct collector *c, struct span event, struct span data)
{
    const struct fold *fold = c->protocol->fold;
    struct json_error why;
    struct json *root;

    if (span_eq(data, SPAN("[DONE]"))) {
        /* Where it is not the terminal event some gateways write it all the same. */
        if (fold->done_marker) {
            if (c->terminal)
                spoil(c, ANSWER_MALFORMED);
            c->terminal = true;
        }
        return;
    }
    if (c->terminal)
        spoil(c, ANSWER_MALFORMED); /* something after the end */
    if (c->trouble != ANSWER_STORABLE)
        return;
    c->bytes += data.len;
    if (c->bytes > c->bytes_max) {
        spoil(c, ANSWER_TOO_LARGE);
    } else if (span_eq(event, SPAN("error"))) {
        spoil(c, ANSWER_ERROR);
    } else if (json_parse(&c->scratch, data, JSON_DEPTH_MAX, &root, &why) != ST_OK ||
               root->type != JSON_OBJECT) {
        spoil(c, ANSWER_MALFORMED);
    } else {
        enum answer_verdict v = fold->event(c->state, event, root, &c->terminal);

        if (v != ANSWER_STORABLE)
            spoil(c, v);
    }
    arena_reset(&c->scratch);
}

static enum status on_event(void *owner, struct span event, struct span data)
{
    read_data(owner, event, data);
    return ST_OK;
}

enum status collector_open(const struct protocol *p, size_t bytes_max, struct collector **out)
{
    struct collector *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return ST_NOMEM;
    c->state = calloc(1, p->fold->state_bytes);
    if (c->state == NULL) {
        free(c);
        return ST_NOMEM;
    }
    c->protocol = p;
    c->bytes_max = bytes_max;
    sse_init(&c->sse, bytes_max + 4096, on_event, c);
    buf_init(&c->line, bytes_max + 4096);
    arena_init(&c->scratch, SCRATCH_CHUNK, EVENT_ARENA_MAX);
    p->fold->init(c->state, 8 * bytes_max);
    *out = c;
    return ST_OK;
}

void collector_close(struct collector *c)
{
    c->protocol->fold->release(c->state);
    sse_release(&c->sse);
    buf_release(&c->line);
    arena_release(&c->scratch);
    free(c->state);
    free(c);
}

/* A line ends with LF; CR before it and blank lines are white space to JSON. */
static enum status feed_lines(struct collector *c, struct span bytes)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t n = end != NULL ? (size_t)(end - bytes.ptr) + 1 : bytes.len;
        enum status st = buf_append(&c->line, (struct span){bytes.ptr, n});

        if (st != ST_OK)
            return st;
        if (end != NULL) {
            if (c->line.len > 1 && !span_eq(buf_span(&c->line), SPAN("\r\n")))
                read_data(c, (struct span){"", 0}, buf_span(&c->line));
            buf_clear(&c->line);
        }
        bytes.ptr += n;
        bytes.len -= n;
    }
    return ST_OK;
}

void collector_feed(struct collector *c, struct span bytes)
{
    enum status st;

    if (c->lost)
        return;
    st =
        c->protocol->framing == FRAMING_LINES ? feed_lines(c, bytes) : sse_feed(&c->sse, bytes);
    if (st != ST_OK) {
        c->lost = true;
        spoil(c, ANSWER_TOO_LARGE);
    }
    /* Of the thousands that may be under way most wait for their next event. */
    arena_release(&c->scratch);
}

bool collector_between_events(const struct collector *c)
{
    return !c->lost && c->line.len == 0 && sse_between_events(&c->sse);
}

static enum status read_rendered(struct collector *c, struct arena *arena, struct answer *a)
{
    struct buf json;
    enum status st = ST_OK;

    buf_init(&json, 16 * c->bytes_max + 65536);
    a->verdict = c->protocol->fold->render(c->state, &json);
    if (a->verdict == ANSWER_STORABLE)
        st = answer_read(c->protocol, arena, buf_span(&json), a);
    buf_release(&json);
    return st;
}

enum status collector_finish(struct collector *c, bool framed, struct arena *arena,
                             struct answer *out)
{
    struct answer a = {.verdict = c->trouble};
    enum status st;

    if (a.verdict == ANSWER_STORABLE &&
        (!framed || !c->terminal || !collector_between_events(c)))
        a.verdict = ANSWER_INCOMPLETE;
    if (a.verdict == ANSWER_STORABLE) {
        st = read_rendered(c, arena, &a);
        if (st != ST_OK)
            return st;
    }
    *out = a;
    return ST_OK;
}
