#include "admin/reload.h"

#include <inttypes.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/json_writer.h"

#define ANSWER_MAX_BYTES 65536

static void write_names(struct json_writer *w, const char *name, const struct live_names *n)
{
    json_writer_open(w, name, '[');
    for (size_t i = 0; i < n->count; i++)
        json_writer_text(w, NULL, span_of(n->list[i]));
    json_writer_close(w, ']');
}

static void write_refusal(struct json_writer *w, const struct reload_report *r)
{
    json_writer_open(w, "error", '{');
    json_writer_text(w, "message",
                     SPAN("the settings are refused; those from before stay in force"));
    json_writer_open(w, "reasons", '[');
    for (size_t i = 0; i < r->reason_count; i++)
        json_writer_text(w, NULL, span_of(r->reasons[i]));
    json_writer_close(w, ']');
    json_writer_close(w, '}');
}

static void answer(struct admin_call *c, const struct reload_report *r)
{
    struct buf out;
    struct json_writer w;

    buf_init(&out, ANSWER_MAX_BYTES);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_bool(&w, "reloaded", r->adopted);
    json_writer_u64(&w, "generation", c->view->reloads->generation);
    if (r->adopted) {
        write_names(&w, "changed", &r->changed);
        write_names(&w, "needs_restart", &r->restart);
    } else {
        write_refusal(&w, r);
    }
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    if (w.st == ST_OK)
        call_respond(c, r->adopted ? 200 : 422, JSON_TYPE, buf_span(&out));
    else
        call_refuse(c, 500, "the answer does not fit its buffer");
    buf_release(&out);
}

static void end(struct admin_call *c)
{
    struct reload_report *r = c->reload;

    audit_call_detail(c, "generation=%" PRIu64, c->view->reloads->generation);
    if (c->stream != NULL)
        answer(c, r);
    c->reload = NULL;
    free(r);
}

static void on_done(void *who)
{
    struct admin_call *c = who;

    end(c);
    admin_call_gone(c);
}

void reload_run(struct admin_call *c)
{
    c->reload = calloc(1, sizeof(*c->reload));
    if (c->reload == NULL) {
        call_refuse(c, 503, "out of memory");
        return;
    }
    if (c->view->reload(c->view->reload_owner, c->reload, on_done, c))
        end(c);
}

void reload_write_state(struct json_writer *w, const struct reload_state *s)
{
    json_writer_open(w, "config", '{');
    json_writer_u64(w, "generation", s->generation);
    json_writer_u64(w, "loaded_ms", s->loaded_ms);
    json_writer_bool(w, "last_reload_refused", s->refused_last);
    write_names(w, "needs_restart", &s->restart);
    json_writer_close(w, '}');
}
