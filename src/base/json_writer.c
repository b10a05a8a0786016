#include "base/json_writer.h"

#include <inttypes.h>

#include "base/json.h"

void json_writer_raw(struct json_writer *w, struct span s)
{
    if (w->st == ST_OK)
        w->st = buf_append(w->out, s);
}

static void begin(struct json_writer *w, const char *name)
{
    if (w->comma)
        json_writer_raw(w, SPAN(","));
    w->comma = true;
    if (name == NULL)
        return;
    if (w->st == ST_OK)
        w->st = json_write_string(w->out, span_of(name));
    json_writer_raw(w, SPAN(":"));
}

void json_writer_open(struct json_writer *w, const char *name, char bracket)
{
    begin(w, name);
    json_writer_raw(w, (struct span){&bracket, 1});
    w->comma = false;
}

void json_writer_close(struct json_writer *w, char bracket)
{
    json_writer_raw(w, (struct span){&bracket, 1});
    w->comma = true;
}

void json_writer_u64(struct json_writer *w, const char *name, uint64_t n)
{
    begin(w, name);
    if (w->st == ST_OK)
        w->st = buf_printf(w->out, "%" PRIu64, n);
}

void json_writer_real(struct json_writer *w, const char *name, double v)
{
    begin(w, name);
    if (w->st == ST_OK)
        w->st = buf_printf(w->out, "%.9g", v);
}

void json_writer_exact(struct json_writer *w, const char *name, double v)
{
    begin(w, name);
    if (w->st == ST_OK)
        w->st = buf_printf(w->out, "%.17g", v);
}

void json_writer_bool(struct json_writer *w, const char *name, bool v)
{
    begin(w, name);
    json_writer_raw(w, v ? SPAN("true") : SPAN("false"));
}

void json_writer_text(struct json_writer *w, const char *name, struct span s)
{
    begin(w, name);
    if (w->st == ST_OK)
        w->st = json_write_string(w->out, s);
}
