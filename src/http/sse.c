#include "http/sse.h"

void sse_init(struct sse_reader *r, size_t event_max, sse_event_fn *on_event, void *owner)
{
    *r = (struct sse_reader){.on_event = on_event, .owner = owner};
    buf_init(&r->line, event_max);
    buf_init(&r->event, event_max);
    buf_init(&r->data, event_max);
}

void sse_release(struct sse_reader *r)
{
    buf_release(&r->line);
    buf_release(&r->event);
    buf_release(&r->data);
}

/* WHATWG HTML 9.2.6, "dispatch the event". An event without data is dropped. */
static enum status dispatch(struct sse_reader *r)
{
    struct span data = buf_span(&r->data);
    enum status st = ST_OK;

    if (r->has_data) {
        if (data.len > 0)
            data.len--; /* the LF after the last line of data */
        st = r->on_event(r->owner, buf_span(&r->event), data);
    }
    buf_clear(&r->event);
    buf_clear(&r->data);
    r->has_data = false;
    return st;
}

static enum status on_field(struct sse_reader *r, struct span name, struct span value)
{
    enum status st;

    if (span_eq(name, SPAN("data"))) {
        r->has_data = true;
        st = buf_append(&r->data, value);
        return st == ST_OK ? buf_append(&r->data, SPAN("\n")) : st;
    }
    if (span_eq(name, SPAN("event"))) {
        buf_clear(&r->event);
        return buf_append(&r->event, value);
    }
    return ST_OK; /* id, retry and unknown fields do not matter to us */
}

static enum status on_line(struct sse_reader *r)
{
    struct span line = buf_span(&r->line), value = {"", 0};
    const char *colon;
    enum status st;

    if (!r->started) {
        r->started = true;
        if (line.len >= 3 && memcmp(line.ptr, "\xef\xbb\xbf", 3) == 0) {
            line.ptr += 3;
            line.len -= 3;
        }
    }
    if (line.len == 0) {
        st = dispatch(r);
    } else if (line.ptr[0] == ':') {
        st = ST_OK; /* a comment */
    } else {
        colon = memchr(line.ptr, ':', line.len);
        if (colon != NULL) {
            value = (struct span){colon + 1, (size_t)(line.ptr + line.len - colon - 1)};
            line.len = (size_t)(colon - line.ptr);
            if (value.len > 0 && value.ptr[0] == ' ') {
                value.ptr++;
                value.len--;
            }
        }
        st = on_field(r, line, value);
    }
    buf_clear(&r->line);
    return st;
}

/* Bytes up to the next line end. */
static size_t plain_run(struct span s)
{
    size_t n = 0;

    while (n < s.len && s.ptr[n] != '\n' && s.ptr[n] != '\r')
        n++;
    return n;
}

enum status sse_feed(struct sse_reader *r, struct span data)
{
    while (data.len > 0) {
        size_t n = plain_run(data);
        enum status st = ST_OK;

        if (n > 0) {
            r->cr = false;
            st = buf_append(&r->line, (struct span){data.ptr, n});
        } else {
            bool lf_of_crlf = r->cr && data.ptr[0] == '\n';

            n = 1;
            r->cr = data.ptr[0] == '\r';
            if (!lf_of_crlf)
                st = on_line(r);
        }
        if (st != ST_OK)
            return st;
        data.ptr += n;
        data.len -= n;
    }
    return ST_OK;
}

bool sse_between_events(const struct sse_reader *r)
{
    return r->line.len == 0 && !r->has_data && r->event.len == 0;
}
