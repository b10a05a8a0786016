#include "protocol/event_writer.h"

#include "base/json.h"
#include "protocol/members.h"

void event_writer_put(struct event_writer *w, struct span s)
{
    if (w->st == ST_OK)
        w->st = buf_append(w->out, s);
}

void event_writer_text(struct event_writer *w, struct span s)
{
    if (w->st == ST_OK)
        w->st = json_write_string(w->out, s);
}

void event_writer_u64(struct event_writer *w, uint64_t n)
{
    if (w->st == ST_OK)
        w->st = buf_append_u64(w->out, n, 1);
}

void event_writer_json(struct event_writer *w, const struct json *v)
{
    if (v == NULL)
        event_writer_put(w, SPAN("null"));
    else if (w->st == ST_OK)
        w->st = json_write(w->out, v);
}

void event_writer_name(struct event_writer *w, struct span name)
{
    event_writer_put(w, SPAN(","));
    event_writer_text(w, name);
    event_writer_put(w, SPAN(":"));
}

void event_writer_others(struct event_writer *w, const struct json *v, const struct span *skip,
                         size_t n)
{
    if (w->st == ST_OK)
        w->st = members_put_others(w->out, v, skip, n);
}

struct event_writer event_writer_begin(struct buf *out, struct span type)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("event: "));
    event_writer_put(&w, type);
    event_writer_put(&w, SPAN("\ndata: {\"type\":\""));
    event_writer_put(&w, type);
    event_writer_put(&w, SPAN("\""));
    return w;
}

struct event_writer event_writer_begin_data(struct buf *out)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("data: {"));
    return w;
}

enum status event_writer_end(struct event_writer *w)
{
    event_writer_put(w, SPAN("}\n\n"));
    return w->st;
}
