/* What the owner of a stream calls, whatever version of HTTP it came in. */
#include "http/stream.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "http/conn.h"

const char *stream_date(struct http_server *srv)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if ((uint64_t)now != srv->date_s && gmtime_r(&now, &tm) != NULL) {
        srv->date_s = (uint64_t)now;
        (void)!strftime(srv->date, sizeof(srv->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return srv->date;
}

static bool all_safe(const struct http_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!http_field_is_safe(&fields[i]))
            return false;
    }
    return true;
}

enum status http_respond(struct http_stream *s, unsigned status,
                         const struct http_field *fields, size_t n, uint64_t body_bytes)
{
    enum status st;

    assert(!s->responded && !s->ended);
    if (s->aborted)
        return ST_CANCELED;
    if (!all_safe(fields, n))
        return ST_INVALID;
    st = s->kind->put_head(s, status, fields, n, body_bytes);
    if (st != ST_OK)
        return st;
    s->responded = true;
    s->status = status;
    s->kind->wish(s);
    return ST_OK;
}

unsigned http_stream_status(const struct http_stream *s)
{
    return s->status;
}

enum status http_switch(struct http_stream *s, const struct http_field *fields, size_t n)
{
    enum status st;

    assert(!s->responded && !s->ended);
    if (s->aborted)
        return ST_CANCELED;
    if (s->kind->put_switch == NULL || !all_safe(fields, n))
        return ST_INVALID;
    st = s->kind->put_switch(s, fields, n);
    if (st != ST_OK)
        return st;
    s->responded = s->switched = true;
    s->left = UINT64_MAX;
    s->kind->wish(s);
    return ST_OK;
}

enum status http_write(struct http_stream *s, struct span data, bool *wait)
{
    enum status st;

    assert(s->responded && !s->ended);
    *wait = false;
    if (s->aborted || s->conn->broken)
        return ST_CANCELED;
    if (data.len == 0 || s->no_body)
        return ST_OK;
    if (data.len > s->left)
        return ST_LIMIT; /* more than was announced would be read as an answer */
    st = s->kind->put_body(s, data);
    if (st != ST_OK)
        return st;
    if (s->left != UINT64_MAX)
        s->left -= data.len;
    s->body_given += data.len;
    if (s->kind->waiting(s) > s->conn->server->o.out_high_bytes) {
        s->told_wait = true;
        *wait = true;
    }
    s->kind->wish(s);
    return ST_OK;
}

void http_end(struct http_stream *s)
{
    if (s->ended || s->aborted)
        return;
    if (!s->responded || (!s->no_body && s->left != 0 && s->left != UINT64_MAX)) {
        http_abort(s); /* less than was announced */
        return;
    }
    if (s->kind->put_end(s) != ST_OK) {
        http_abort(s);
        return;
    }
    s->ended = true;
    s->kind->wish(s);
}

void http_abort(struct http_stream *s)
{
    if (s->ended || s->aborted)
        return;
    s->aborted = true;
    s->kind->wish(s);
}

void http_read_start(struct http_stream *s)
{
    if (s->body_done || s->body_wanted)
        return;
    s->body_wanted = true;
    s->kind->ask_body(s);
    s->continue_sent = true;
    s->kind->wish(s);
}

void http_read_stop(struct http_stream *s)
{
    s->body_wanted = false;
    if (!s->body_done)
        s->kind->stop_body(s);
}

void http_stream_set_owner(struct http_stream *s, void *owner)
{
    s->owner = owner;
}

const struct http_head *http_stream_head(struct http_stream *s)
{
    return s->head;
}

struct arena *http_stream_arena(struct http_stream *s)
{
    return s->arena;
}

const char *http_stream_peer(struct http_stream *s)
{
    return s->conn->peer;
}

const char *http_stream_client(struct http_stream *s)
{
    return s->conn->client != NULL ? s->conn->client : "";
}

uint64_t http_stream_started_us(const struct http_stream *s)
{
    return s->started_us;
}

uint64_t http_stream_body_sent(struct http_stream *s)
{
    size_t unsent = s->kind->unsent(s);

    /* Framing that waits counts as body that does: never too much is claimed. */
    return unsent < s->body_given ? s->body_given - unsent : 0;
}
