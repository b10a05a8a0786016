/* A call takes an unused connection of the pool, or a fresh one, or waits. Where the
 * call is says what may happen to it:
 *
 *     WAITING     in pool->waiting, until a connection is given back
 *     CONNECTING  a connect operation is under way for it
 *     EXCHANGING  it has a connection
 *     ENDED       on_end is posted
 *
 * As on the server's side, calls of the owner never cause an event by themselves. */
#include "http/client_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/compose.h"
#include "http/server.h"
#include "rt/connect.h"
#include "rt/io.h"

#define REQUEST_HEAD_LIMIT ((size_t)1024 * 1024)
#define INFORMATIONAL_MAX  16
#define SPARE_CALLS_MAX    64
#define SPARE_HEAD_BYTES   8192

/* --- the end of a call ----------------------------------------------------------- */

void client_free(struct http_call *c)
{
    buf_release(&c->head);
    free(c);
}

/* The next call needs one just like it. */
static void retire(struct http_call *c)
{
    struct http_pool *p = c->pool;

    if (p->spare_count == SPARE_CALLS_MAX || c->head.cap > SPARE_HEAD_BYTES) {
        client_free(c);
        return;
    }
    list_append(&p->spare, &c->node);
    p->spare_count++;
}

static struct http_call *new_call(struct http_pool *p)
{
    struct http_call *c;
    struct buf head;

    if (list_empty(&p->spare))
        return calloc(1, sizeof(*c));
    c = CONTAINER_OF(p->spare.prev, struct http_call, node); /* the caches know it best */
    list_remove(&c->node);
    p->spare_count--;
    head = c->head;
    buf_clear(&head);
    *c = (struct http_call){.head = head};
    return c;
}

static void on_end_posted(struct loop_msg *m)
{
    struct http_call *c = CONTAINER_OF(m, struct http_call, end);
    struct http_pool *p = c->pool;

    c->events->on_end(c->owner, c, c->status, c->why);
    c->told_end = true;
    if (!c->connecting)
        retire(c);
    p->live_calls--;
    pool_check_gone(p);
}

static void stop_timers(struct http_call *c)
{
    timer_stop(c->pool->loop, &c->stage);
    timer_stop(c->pool->loop, &c->total);
}

static void end_call(struct http_call *c, enum status st, const char *why)
{
    if (c->state == CALL_ENDED)
        return;
    if (c->state == CALL_WAITING)
        c->pool->stats.waiting_now--;
    list_remove(&c->node);
    c->state = CALL_ENDED;
    c->status = st;
    if (why[0] != '\0')
        snprintf(c->why, sizeof(c->why), "%s", why);
    stop_timers(c);
    if (st != ST_OK && st != ST_CANCELED)
        c->pool->stats.failures_total++;
    loop_defer(c->pool->loop, &c->end, on_end_posted);
}

void client_fail(struct http_call *c, enum status st, const char *why)
{
    struct link *l = c->link;
    struct http_pool *p = c->pool;

    if (c->state == CALL_CONNECTING && c->connect != NULL) {
        connect_cancel(c->connect); /* on_connected finds no call any more */
        c->connect = NULL;
    }
    end_call(c, st, why);
    if (l != NULL) {
        pool_link_close(l);
        pool_serve_waiting(p);
    }
}

static void on_total(struct timer *t)
{
    client_fail(CONTAINER_OF(t, struct http_call, total), ST_TIMEOUT,
                "the whole exchange took too long");
}

static bool sending(const struct http_call *c)
{
    return c->link != NULL && outbox_pending(&c->link->out) > 0;
}

void client_on_stage(struct timer *t)
{
    struct http_call *c = CONTAINER_OF(t, struct http_call, stage);

    if (c->state == CALL_WAITING)
        client_fail(c, ST_TIMEOUT, "no connection became free in time");
    else if (c->got_head)
        client_fail(c, ST_TIMEOUT, "it fell silent in the middle of its answer");
    else if (sending(c))
        client_fail(c, ST_TIMEOUT, "it stopped taking the request");
    else
        client_fail(c, ST_TIMEOUT, "it sent no answer in time");
}

/* Which silence is measured from now on? Called at a sign of life, or when the turn to
 * speak has changed. */
static void set_stage(struct http_call *c)
{
    struct http_pool *p = c->pool;

    c->stage_due = false;
    if (c->got_head ? c->paused : !c->upload_done && !sending(c))
        timer_stop(p->loop, &c->stage); /* it waits for us */
    else if (c->got_head || sending(c))
        timer_start(p->loop, &c->stage, p->o.idle_timeout_us, client_on_stage);
    else
        timer_start(p->loop, &c->stage, p->o.first_byte_timeout_us, client_on_stage);
}

/* --- sending --------------------------------------------------------------------- */

void client_tell_drained(struct http_call *c)
{
    if (!c->told_wait || c->state != CALL_EXCHANGING || c->canceled ||
        outbox_pending(&c->link->out) > c->pool->o.out_low_bytes)
        return;
    c->told_wait = false;
    c->events->on_drained(c->owner, c);
}

static void send_failed(struct link *l)
{
    /* The answer, or the reason, may be there to be read: the reading side decides. A
     * stream that can not be read either says so itself. */
    l->deaf = true;
    outbox_drop(&l->out);
    pool_link_read(l, true);
}

static void flush(struct link *l)
{
    bool progress;

    if (l->closing || l->deaf)
        return;
    if (outbox_flush(&l->out, l->io, &progress) != ST_OK)
        send_failed(l);
    else if (l->call != NULL && (progress || l->call->stage.slot == 0))
        set_stage(l->call);
}

void client_on_written(void *owner, enum status st)
{
    struct link *l = owner;

    if (l->closing)
        return;
    if (st != ST_OK || outbox_written(&l->out, l->io) != ST_OK) {
        l->out.writing = false;
        send_failed(l);
    }
    if (l->call != NULL) {
        set_stage(l->call);
        client_tell_drained(l->call);
    }
}

/* Head and, when it was given whole, body: as one write. What the kernel does not take
 * at once is copied, so that nothing of the caller is borrowed longer than needed. */
void client_send(struct link *l)
{
    struct http_call *c = l->call;
    struct span parts[2] = {buf_span(&c->head), c->body};
    size_t taken = 0, n = c->body.len > 0 ? 2 : 1;
    enum status st;

    l->unsent = false;
    if (io_try_write(l->io, parts, n, &taken) != ST_OK) {
        send_failed(l);
        return;
    }
    st = buf_reserve(&l->out.next, parts[0].len + c->body.len - taken);
    if (st != ST_OK) {
        client_fail(c, st, status_text(st));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t skip = taken < parts[i].len ? taken : parts[i].len;

        taken -= skip;
        (void)!buf_append(&l->out.next,
                          (struct span){parts[i].ptr + skip, parts[i].len - skip});
    }
    flush(l);
}

/* --- receiving ------------------------------------------------------------------- */

static struct span input(const struct link *l)
{
    return l->in.len > 0 ? buf_span(&l->in) : l->fresh;
}

static void spend(struct link *l, size_t n)
{
    if (l->in.len > 0) {
        buf_consume(&l->in, n);
    } else {
        l->fresh.ptr += n;
        l->fresh.len -= n;
    }
}

static void start_message(struct http_call *c)
{
    message_start(&c->link->message, MESSAGE_RESPONSE, c->arena, c->pool->o.head_max_bytes,
                  c->is_head);
}

static void complete(struct http_call *c)
{
    struct link *l = c->link;
    bool again = l->message.head.keep_alive && c->upload_done && input(l).len == 0;

    c->link = NULL;
    end_call(c, ST_OK, "");
    pool_link_give_back(l, again);
}

static void switch_protocol(struct http_call *c)
{
    message_switch(&c->link->message);
    c->streams = true;
    c->chunked = false;
    c->upload_done = false;
    c->upload_bytes = UINT64_MAX;
    timer_stop(c->pool->loop, &c->total);
}

static void on_answer_head(struct http_call *c)
{
    struct http_head *h = &c->link->message.head;

    if (h->status == 101 && c->upgrade) {
        switch_protocol(c);
    } else if (h->status >= 100 && h->status < 200) {
        /* 101 would be another protocol that we never asked for. */
        if (h->status == 101 || ++c->informational > INFORMATIONAL_MAX)
            client_fail(c, ST_INVALID, "it sent an unexpected informational answer");
        else
            start_message(c);
        return;
    }
    c->got_head = true;
    c->stage_due = true;
    c->first_byte_us = loop_now_us(c->pool->loop) - c->started_us;
    c->events->on_head(c->owner, c, h);
}

/* One event from the input; false when there is none. */
static bool take_event(struct link *l)
{
    struct http_call *c = l->call;
    enum message_event event;
    size_t used;
    enum status st;

    if (c == NULL || l->closing || c->canceled || (c->paused && c->got_head))
        return false;
    if (input(l).len == 0 && !l->message.done)
        return false;
    st = message_next(&l->message, input(l), &used, &event);
    if (st != ST_OK) {
        client_fail(c, st, st == ST_NOMEM ? "out of memory" : l->message.refuse_text);
        return false;
    }
    if (event == MESSAGE_BODY) {
        c->stage_due = true;
        c->events->on_body(c->owner, c, l->message.piece);
    }
    spend(l, used); /* moves what the piece was in */
    switch (event) {
    case MESSAGE_MORE:
        return used > 0 && input(l).len > 0;
    case MESSAGE_HEAD:
        on_answer_head(c);
        return true;
    case MESSAGE_BODY:
        return true;
    case MESSAGE_END:
        complete(c);
        return false;
    }
    return false;
}

void client_take_input(struct link *l)
{
    struct span rest;

    while (take_event(l))
        ;
    /* Of head and pieces that came at once the last one counts, and none when all did. */
    if (l->call != NULL && l->call->stage_due)
        set_stage(l->call);
    rest = l->fresh;
    l->fresh.len = 0;
    if (l->closing)
        return;
    if (l->call == NULL) {
        /* An idle peer that talks is not one we can use. */
        if (rest.len > 0 || l->in.len > 0)
            pool_link_close(l);
        return;
    }
    if (rest.len > 0 && buf_append(&l->in, rest) != ST_OK) {
        client_fail(l->call, ST_LIMIT, "the head of its answer is too large");
        return;
    }
    if (l->call->canceled) {
        client_fail(l->call, ST_CANCELED, "canceled");
        return;
    }
    pool_link_read(l, !(l->call->paused && l->call->got_head));
}

/* A kept connection may have been closed by the peer just as we wrote. Nothing of an
 * answer came, and all of the request can be sent again: once more, on a fresh one. */
static bool may_retry(const struct link *l)
{
    const struct http_call *c = l->call;

    return l->reused && !l->answered && !c->retried && !c->canceled &&
           !(c->streams && (c->uploaded > 0 || c->upload_done));
}

static void retry(struct link *l)
{
    struct http_call *c = l->call;

    c->retried = true;
    c->pool->stats.retries_total++;
    c->link = NULL;
    l->call = NULL;
    c->pool->stats.idle_now++; /* pool_link_close() takes it for an idle one */
    pool_link_close(l);
    timer_stop(c->pool->loop, &c->stage);
    pool_serve(c);
}

static void input_ended(struct link *l, enum status st)
{
    struct http_call *c = l->call;

    l->reading = false;
    if (c == NULL) {
        pool_link_close(l);
    } else if (may_retry(l)) {
        retry(l);
    } else if (st == ST_CLOSED && message_eof(&l->message) == ST_OK) {
        l->message.head.keep_alive = false;
        complete(c);
    } else {
        client_fail(c, ST_UNAVAILABLE,
                    c->got_head ? "the connection broke off in the middle of its answer"
                                : "the connection was closed without an answer");
    }
}

void client_on_read(void *owner, enum status st, struct span data)
{
    struct link *l = owner;

    if (l->closing)
        return;
    if (st != ST_OK) {
        /* What came before the end is worth more than the end. */
        if (l->in.len > 0 && l->call != NULL)
            client_take_input(l);
        if (!l->closing)
            input_ended(l, st);
        return;
    }
    if (l->unsent) {
        input_ended(l, ST_INVALID); /* an answer to nothing that was asked */
        return;
    }
    l->answered = true;
    if (l->in.len > 0) {
        if (buf_append(&l->in, data) != ST_OK) {
            client_fail(l->call, ST_LIMIT, "the head of its answer is too large");
            return;
        }
    } else {
        l->fresh = data;
    }
    client_take_input(l);
}

void client_exchange(struct http_call *c, struct link *l)
{
    c->state = CALL_EXCHANGING;
    c->link = l;
    l->call = c;
    l->answered = false;
    list_remove(&l->node);
    list_append(&c->pool->busy, &l->node);
    start_message(c);
    pool_link_read(l, true);
    set_stage(c);
    /* All requests of a turn are sent at its end: their upstream is woken once, by the first,
     * and finds the others, rather than to fall asleep after each. */
    l->unsent = true;
    pool_link_wish(l);
}

/* --- the interface --------------------------------------------------------------- */

enum status http_call_start(struct http_pool *p, const struct http_request *r,
                            struct arena *arena, const struct http_call_events *ev, void *owner,
                            struct http_call **out)
{
    struct http_call *c;
    enum status st;

    if (p->closing)
        return ST_UNAVAILABLE;
    if (!compose_is_safe(r))
        return ST_INVALID;
    if (p->stats.connections_now >= p->o.connections_max && list_empty(&p->idle) &&
        p->stats.waiting_now >= p->o.waiting_max)
        return ST_OVERLOAD;
    c = new_call(p);
    if (c == NULL)
        return ST_NOMEM;
    c->pool = p;
    c->events = ev;
    c->owner = owner;
    c->arena = arena;
    c->body = r->body;
    c->streams = r->body_streams;
    c->upload_done = !r->body_streams;
    c->upload_bytes = r->body_bytes;
    c->chunked = r->body_streams && r->body_bytes == HTTP_BODY_CHUNKED;
    c->is_head = span_eq(r->method, SPAN("HEAD"));
    c->upgrade = r->upgrade.ptr != NULL;
    c->started_us = loop_now_us(p->loop);
    c->head.limit = REQUEST_HEAD_LIMIT;
    st = compose_request(&c->head, r);
    if (st != ST_OK) {
        buf_release(&c->head);
        free(c);
        return st;
    }
    list_append(&p->calls, &c->node);
    p->live_calls++;
    if (p->o.total_timeout_us > 0)
        timer_start(p->loop, &c->total, p->o.total_timeout_us, on_total);
    *out = c;
    pool_serve(c);
    return ST_OK;
}

/* Until the head is sent, its buffer takes the first pieces. */
static bool head_waits(const struct http_call *c)
{
    return c->link == NULL || c->link->unsent;
}

static struct buf *upload_buffer(struct http_call *c)
{
    return head_waits(c) ? &c->head : &c->link->out.next;
}

enum status http_call_write(struct http_call *c, struct span data, bool *wait)
{
    struct buf *b;
    enum status st;

    assert(c->streams && !c->upload_done);
    *wait = false;
    if (c->state == CALL_ENDED || c->canceled)
        return ST_CANCELED;
    if (data.len > c->upload_bytes - c->uploaded)
        return ST_LIMIT; /* more than was announced would be read as a request */
    if (data.len > 0 && !(c->link != NULL && c->link->deaf)) {
        b = upload_buffer(c);
        st = buf_reserve(b, data.len + 24);
        if (st != ST_OK)
            return st;
        if (c->chunked)
            (void)!buf_printf(b, "%zx\r\n", data.len);
        (void)!buf_append(b, data);
        if (c->chunked)
            (void)!buf_append(b, SPAN("\r\n"));
    }
    c->uploaded += data.len;
    if (c->link != NULL)
        flush(c->link);
    if ((head_waits(c) ? c->head.len : outbox_pending(&c->link->out)) >
        c->pool->o.out_high_bytes)
        c->told_wait = *wait = true;
    return ST_OK;
}

void http_call_end(struct http_call *c)
{
    if (c->state == CALL_ENDED || c->upload_done || c->canceled)
        return;
    if (!c->chunked && c->uploaded < c->upload_bytes) {
        http_call_cancel(c); /* less than was announced is never a whole request */
        return;
    }
    c->upload_done = true;
    if (c->chunked && !(c->link != NULL && c->link->deaf) &&
        buf_append(upload_buffer(c), SPAN("0\r\n\r\n")) != ST_OK) {
        http_call_cancel(c);
        return;
    }
    if (c->link != NULL) {
        flush(c->link);
        set_stage(c);
    }
}

void http_call_pause(struct http_call *c)
{
    c->paused = true;
    if (c->link != NULL) {
        set_stage(c); /* the silence is ours now */
        pool_link_wish(c->link);
    }
}

void http_call_resume(struct http_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (c->link != NULL) {
        set_stage(c);
        pool_link_wish(c->link);
    }
}

void http_call_cancel(struct http_call *c)
{
    if (c->state == CALL_ENDED || c->canceled)
        return;
    c->canceled = true;
    if (c->link != NULL)
        pool_link_wish(c->link);
    else
        client_fail(c, ST_CANCELED, "canceled");
}

bool http_call_unreached(const struct http_call *c)
{
    return c->unreached;
}

uint64_t http_call_first_byte_us(const struct http_call *c)
{
    return c->first_byte_us;
}
