/* A call takes an unused connection of the pool, or a fresh one, or waits. Where the
 * call is says what may happen to it:
 *
 *     WAITING     in pool->waiting, until a connection is given back
 *     CONNECTING  a connect operation is under way for it
 *     EXCHANGING  it has a connection
 *     ENDED       on_end is posted
 *
 * As on the server's side, calls of the owner never cause an event by themselves. */
#include "http/client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "http/message.h"
#include "http/outbox.h"
#include "http/server.h"
#include "rt/io.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define REQUEST_HEAD_LIMIT (1024 * 1024)
#define IN_EXTRA_BYTES     (128 * 1024)
#define OUT_LIMIT_BYTES    (64u * 1024 * 1024)
#define KEEP_BUFFER_BYTES  65536
#define INFORMATIONAL_MAX  16

enum call_state { CALL_WAITING, CALL_CONNECTING, CALL_EXCHANGING, CALL_ENDED };

struct link {
    struct http_pool *pool; /* borrowed */
    struct io *io;          /* owned */
    struct list_node node;  /* in pool->idle or pool->busy */
    struct http_call *call; /* NULL while idle */
    struct message message;
    struct buf in;     /* read, not parsed yet */
    struct span fresh; /* what on_read brought, while take_input() runs on it */
    struct outbox out;
    bool reading, closing;
    bool deaf;     /* it takes no more of what we send; it may still answer */
    bool reused;   /* has served a call before */
    bool answered; /* a byte of this answer came */
    bool deferred;
    struct loop_msg turn;
    struct timer keep; /* while idle */
};

struct http_call {
    struct http_pool *pool; /* borrowed */
    enum call_state state;
    struct list_node node; /* in pool->waiting or pool->calls */
    struct link *link;
    struct connect_op *connect; /* NULL once it is canceled */
    bool connecting;            /* on_connected is due, and needs this call */
    bool told_end;
    const struct http_call_events *events;
    void *owner;
    struct arena *arena; /* borrowed: heads of answers */

    struct buf head;  /* the request's head, kept for a retry */
    struct span body; /* borrowed */
    bool streams, chunked;
    bool is_head; /* method HEAD */
    bool upload_done;
    bool told_wait;
    uint64_t uploaded;     /* bytes of a streamed body given to us */
    uint64_t upload_bytes; /* what was announced, or HTTP_BODY_CHUNKED */
    bool retried;

    bool paused, canceled, got_head;
    unsigned informational;
    uint64_t started_us, first_byte_us;
    struct timer stage, total;
    enum status status;
    char why[192];
    struct loop_msg end;
};

struct http_pool {
    struct loop *loop;
    struct connector *connector;
    struct http_pool_options o;
    struct list_node idle, busy, waiting, calls;
    struct http_pool_stats stats;
    unsigned links;      /* not yet freed */
    unsigned live_calls; /* not yet ended */
    bool closing;
    void (*closed)(void *owner);
    void *owner;
    struct loop_msg gone;
    bool gone_posted;
};

static void serve(struct http_call *c);
static void take_input(struct link *l);
static void fail(struct http_call *c, enum status st, const char *why);
static void tell_drained(struct http_call *c);

/* --- the pool's end ------------------------------------------------------------------- */

static void on_gone(struct loop_msg *m)
{
    struct http_pool *p = CONTAINER_OF(m, struct http_pool, gone);
    void (*closed)(void *) = p->closed;
    void *owner = p->owner;

    free(p);
    closed(owner);
}

static void check_gone(struct http_pool *p)
{
    if (!p->closing || p->gone_posted || p->links > 0 || p->live_calls > 0)
        return;
    p->gone_posted = true;
    loop_defer(p->loop, &p->gone, on_gone);
}

/* --- links ---------------------------------------------------------------------------- */

static void link_free(struct link *l)
{
    struct http_pool *p = l->pool;

    buf_release(&l->in);
    outbox_release(&l->out);
    free(l);
    p->links--;
    check_gone(p);
}

static void link_close(struct link *l)
{
    struct http_pool *p = l->pool;

    if (l->closing)
        return;
    l->closing = true;
    timer_stop(p->loop, &l->keep);
    list_remove(&l->node);
    if (l->call == NULL)
        p->stats.idle_now--;
    p->stats.connections_now--;
    if (l->call != NULL)
        l->call->link = NULL;
    l->call = NULL;
    io_close(l->io);
}

static void on_link_closed(void *owner)
{
    struct link *l = owner;

    l->io = NULL;
    if (!l->deferred)
        link_free(l);
}

static void on_link_turn(struct loop_msg *m)
{
    struct link *l = CONTAINER_OF(m, struct link, turn);

    l->deferred = false;
    if (l->io == NULL) {
        link_free(l);
        return;
    }
    if (!l->closing)
        take_input(l);
    if (l->call != NULL)
        tell_drained(l->call);
}

static void link_wish(struct link *l)
{
    if (l->deferred || l->closing)
        return;
    l->deferred = true;
    loop_defer(l->pool->loop, &l->turn, on_link_turn);
}

static void link_read(struct link *l, bool want)
{
    if (l->closing || want == l->reading)
        return;
    l->reading = want;
    if (want)
        io_read_start(l->io);
    else
        io_read_stop(l->io);
}

static void on_keep_over(struct timer *t)
{
    link_close(CONTAINER_OF(t, struct link, keep));
}

/* The next call that waits gets the place that became free. */
static void serve_waiting(struct http_pool *p)
{
    while (!list_empty(&p->waiting) && !p->closing &&
           (!list_empty(&p->idle) || p->stats.connections_now < p->o.connections_max)) {
        struct http_call *c = CONTAINER_OF(p->waiting.next, struct http_call, node);

        list_remove(&c->node);
        p->stats.waiting_now--;
        list_append(&p->calls, &c->node);
        serve(c);
    }
}

/* Back into the pool, or away. */
static void link_give_back(struct link *l, bool again)
{
    struct http_pool *p = l->pool;

    if (!again || p->closing || l->in.len > 0 || l->deaf || outbox_pending(&l->out) > 0) {
        link_close(l);
        serve_waiting(p);
        return;
    }
    l->call = NULL;
    l->reused = true;
    if (l->in.cap > KEEP_BUFFER_BYTES)
        buf_release(&l->in);
    outbox_trim(&l->out, KEEP_BUFFER_BYTES);
    list_remove(&l->node);
    /* The latest used first: the others get old and go. */
    list_append(&p->idle, &l->node);
    p->stats.idle_now++;
    timer_start(p->loop, &l->keep, p->o.keep_us, on_keep_over);
    link_read(l, true);
    serve_waiting(p);
}

/* --- the end of a call ------------------------------------------------------------------ */

static void call_free(struct http_call *c)
{
    buf_release(&c->head);
    free(c);
}

static void on_end_posted(struct loop_msg *m)
{
    struct http_call *c = CONTAINER_OF(m, struct http_call, end);
    struct http_pool *p = c->pool;

    c->events->on_end(c->owner, c, c->status, c->why);
    c->told_end = true;
    if (!c->connecting)
        call_free(c);
    p->live_calls--;
    check_gone(p);
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
    snprintf(c->why, sizeof(c->why), "%s", why);
    stop_timers(c);
    if (st != ST_OK && st != ST_CANCELED)
        c->pool->stats.failures_total++;
    loop_defer(c->pool->loop, &c->end, on_end_posted);
}

static void fail(struct http_call *c, enum status st, const char *why)
{
    struct link *l = c->link;
    struct http_pool *p = c->pool;

    if (c->state == CALL_CONNECTING && c->connect != NULL) {
        connect_cancel(c->connect); /* on_connected finds no call any more */
        c->connect = NULL;
    }
    end_call(c, st, why);
    if (l != NULL) {
        link_close(l);
        serve_waiting(p);
    }
}

static void on_total(struct timer *t)
{
    fail(CONTAINER_OF(t, struct http_call, total), ST_TIMEOUT,
         "the whole exchange took too long");
}

static bool sending(const struct http_call *c)
{
    return c->link != NULL && outbox_pending(&c->link->out) > 0;
}

static void on_stage(struct timer *t)
{
    struct http_call *c = CONTAINER_OF(t, struct http_call, stage);

    if (c->state == CALL_WAITING)
        fail(c, ST_TIMEOUT, "no connection became free in time");
    else if (c->got_head)
        fail(c, ST_TIMEOUT, "it fell silent in the middle of its answer");
    else if (sending(c))
        fail(c, ST_TIMEOUT, "it stopped taking the request");
    else
        fail(c, ST_TIMEOUT, "it sent no answer in time");
}

/* Which silence is measured from now on? Called at a sign of life, or when the turn to
 * speak has changed. */
static void set_stage(struct http_call *c)
{
    struct http_pool *p = c->pool;

    if (c->got_head ? c->paused : !c->upload_done && !sending(c))
        timer_stop(p->loop, &c->stage); /* it waits for us */
    else if (c->got_head || sending(c))
        timer_start(p->loop, &c->stage, p->o.idle_timeout_us, on_stage);
    else
        timer_start(p->loop, &c->stage, p->o.first_byte_timeout_us, on_stage);
}

/* --- sending ------------------------------------------------------------------------------ */

static void tell_drained(struct http_call *c)
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
    link_read(l, true);
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

static void on_written(void *owner, enum status st)
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
        tell_drained(l->call);
    }
}

/* Head and, when it was given whole, body: as one write. What the kernel does not take
 * at once is copied, so that nothing of the caller is borrowed longer than needed. */
static void send_request(struct http_call *c)
{
    struct link *l = c->link;
    struct span parts[2] = {buf_span(&c->head), c->body};
    size_t taken = 0, n = c->body.len > 0 ? 2 : 1;
    enum status st;

    if (io_try_write(l->io, parts, n, &taken) != ST_OK) {
        send_failed(l);
        return;
    }
    st = buf_reserve(&l->out.next, parts[0].len + c->body.len - taken);
    if (st != ST_OK) {
        fail(c, st, status_text(st));
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

/* --- receiving ---------------------------------------------------------------------------- */

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
    link_give_back(l, again);
}

static void on_answer_head(struct http_call *c)
{
    struct http_head *h = &c->link->message.head;

    if (h->status >= 100 && h->status < 200) {
        /* 101 would be another protocol; we never asked for one. */
        if (h->status == 101 || ++c->informational > INFORMATIONAL_MAX)
            fail(c, ST_INVALID, "it sent an unexpected informational answer");
        else
            start_message(c);
        return;
    }
    c->got_head = true;
    c->first_byte_us = clock_now_us() - c->started_us;
    set_stage(c);
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
        fail(c, st, st == ST_NOMEM ? "out of memory" : l->message.refuse_text);
        return false;
    }
    if (event == MESSAGE_BODY) {
        set_stage(c);
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

static void take_input(struct link *l)
{
    struct span rest;

    while (take_event(l))
        ;
    rest = l->fresh;
    l->fresh.len = 0;
    if (l->closing)
        return;
    if (l->call == NULL) {
        /* An idle peer that talks is not one we can use. */
        if (rest.len > 0 || l->in.len > 0)
            link_close(l);
        return;
    }
    if (rest.len > 0 && buf_append(&l->in, rest) != ST_OK) {
        fail(l->call, ST_LIMIT, "the head of its answer is too large");
        return;
    }
    if (l->call->canceled) {
        fail(l->call, ST_CANCELED, "canceled");
        return;
    }
    link_read(l, !(l->call->paused && l->call->got_head));
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
    c->pool->stats.idle_now++; /* link_close() takes it for an idle one */
    link_close(l);
    timer_stop(c->pool->loop, &c->stage);
    serve(c);
}

static void input_ended(struct link *l, enum status st)
{
    struct http_call *c = l->call;

    l->reading = false;
    if (c == NULL) {
        link_close(l);
    } else if (may_retry(l)) {
        retry(l);
    } else if (st == ST_CLOSED && message_eof(&l->message) == ST_OK) {
        l->message.head.keep_alive = false;
        complete(c);
    } else {
        fail(c, ST_UNAVAILABLE,
             c->got_head ? "the connection broke off in the middle of its answer"
                         : "the connection was closed without an answer");
    }
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct link *l = owner;

    if (l->closing)
        return;
    if (st != ST_OK) {
        /* What came before the end is worth more than the end. */
        if (l->in.len > 0 && l->call != NULL)
            take_input(l);
        if (!l->closing)
            input_ended(l, st);
        return;
    }
    l->answered = true;
    if (l->in.len > 0) {
        if (buf_append(&l->in, data) != ST_OK) {
            fail(l->call, ST_LIMIT, "the head of its answer is too large");
            return;
        }
    } else {
        l->fresh = data;
    }
    take_input(l);
}

static const struct io_events link_events = {on_read, on_written, on_link_closed};

/* --- getting a connection ------------------------------------------------------------------
 */

static void exchange(struct http_call *c, struct link *l)
{
    c->state = CALL_EXCHANGING;
    c->link = l;
    l->call = c;
    l->answered = false;
    list_remove(&l->node);
    list_append(&c->pool->busy, &l->node);
    start_message(c);
    link_read(l, true);
    send_request(c);
    if (c->state != CALL_EXCHANGING)
        return;
    set_stage(c);
    if (c->told_wait)
        link_wish(l); /* the pieces that waited for the connection are on their way */
}

static void on_dropped_closed(void *owner)
{
    (void)owner;
}

/* A stream that nobody wants any more. */
static void drop(struct io *io)
{
    static const struct io_events nobody = {.on_closed = on_dropped_closed};

    io_attach(io, &nobody, NULL);
    io_close(io);
}

static struct link *link_new(struct http_pool *p, struct io *io)
{
    struct link *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->pool = p;
    l->io = io;
    buf_init(&l->in, p->o.head_max_bytes + IN_EXTRA_BYTES);
    outbox_init(&l->out, OUT_LIMIT_BYTES);
    list_init(&l->node);
    io_attach(io, &link_events, l);
    p->links++;
    return l;
}

/* The call ended while its connection was made. The place that was taken for it is
 * free again. */
static void on_unwanted(struct http_pool *p, enum status st, struct io *io)
{
    p->stats.connections_now--;
    if (st == ST_OK)
        drop(io);
    serve_waiting(p);
}

static void on_connected(struct connect_op *op, enum status st, struct io *io, const char *why)
{
    struct http_call *c = connect_owner(op);
    struct http_pool *p = c->pool;
    struct link *l;

    c->connecting = false;
    p->live_calls--;
    if (c->state != CALL_CONNECTING) {
        on_unwanted(p, st, io);
        if (c->told_end)
            call_free(c);
        check_gone(p);
        return;
    }
    c->connect = NULL;
    l = st == ST_OK ? link_new(p, io) : NULL;
    if (l == NULL) {
        p->stats.connections_now--;
        if (st == ST_OK)
            drop(io);
        fail(c, st == ST_OK ? ST_NOMEM : st, st == ST_OK ? "out of memory" : why);
        serve_waiting(p);
        return;
    }
    p->stats.connects_total++;
    exchange(c, l);
}

static void start_connect(struct http_call *c)
{
    struct http_pool *p = c->pool;
    enum status st;

    c->state = CALL_CONNECTING;
    p->stats.connections_now++;
    st = connect_start(p->connector, &p->o.to, p->o.connect_timeout_us, on_connected, c,
                       &c->connect);
    if (st != ST_OK) {
        p->stats.connections_now--;
        fail(c, st, "no connection could be started");
        return;
    }
    c->connecting = true;
    p->live_calls++; /* the operation holds the pool */
}

static void serve(struct http_call *c)
{
    struct http_pool *p = c->pool;
    struct link *l;

    timer_stop(p->loop, &c->stage);
    if (!list_empty(&p->idle) && !c->retried) {
        l = CONTAINER_OF(p->idle.prev, struct link, node);
        timer_stop(p->loop, &l->keep);
        p->stats.idle_now--;
        p->stats.reuses_total++;
        exchange(c, l);
    } else if (p->stats.connections_now < p->o.connections_max) {
        start_connect(c);
    } else if (!list_empty(&p->idle)) {
        /* A retry wants a fresh one: an old one makes room. */
        link_close(CONTAINER_OF(p->idle.next, struct link, node));
        start_connect(c);
    } else if (p->stats.waiting_now < p->o.waiting_max) {
        c->state = CALL_WAITING;
        list_remove(&c->node);
        list_append(&p->waiting, &c->node);
        p->stats.waiting_now++;
        timer_start(p->loop, &c->stage, p->o.first_byte_timeout_us, on_stage);
    } else {
        fail(c, ST_OVERLOAD, "too many calls wait for a connection");
    }
}

/* --- the interface ---------------------------------------------------------------------------
 */

static enum status put_field(struct buf *b, struct span name, struct span value)
{
    enum status st = buf_reserve(b, name.len + value.len + 4);

    if (st != ST_OK)
        return st;
    (void)!buf_append(b, name);
    (void)!buf_append(b, SPAN(": "));
    (void)!buf_append(b, value);
    return buf_append(b, SPAN("\r\n"));
}

static enum status put_framing(struct http_call *c, const struct http_request *r)
{
    bool expected = !span_eq(r->method, SPAN("GET")) && !span_eq(r->method, SPAN("HEAD")) &&
                    !span_eq(r->method, SPAN("DELETE")) && !span_eq(r->method, SPAN("OPTIONS"));
    uint64_t n = r->body_streams ? r->body_bytes : r->body.len;

    if (n == HTTP_BODY_CHUNKED) {
        c->chunked = true;
        return buf_append(&c->head, SPAN("Transfer-Encoding: chunked\r\n"));
    }
    if (n == 0 && !expected && !r->body_streams)
        return ST_OK;
    return buf_printf(&c->head, "Content-Length: %" PRIu64 "\r\n", n);
}

/* What would not be one request line and one set of fields is never written. */
static bool is_safe(const struct http_request *r)
{
    struct http_field host = {SPAN("Host"), r->host};

    for (size_t i = 0; i < r->method.len; i++) {
        if (!http_is_token_char(r->method.ptr[i]))
            return false;
    }
    for (size_t i = 0; i < r->target.len; i++) {
        if ((unsigned char)r->target.ptr[i] <= 0x20 || r->target.ptr[i] == 0x7f)
            return false;
    }
    for (size_t i = 0; i < r->field_count; i++) {
        struct span name = r->fields[i].name;

        if (!http_field_is_safe(&r->fields[i]) || http_name_eq(name, SPAN("content-length")) ||
            http_name_eq(name, SPAN("transfer-encoding")))
            return false;
    }
    return r->method.len > 0 && r->target.len > 0 && http_field_is_safe(&host);
}

static enum status put_head(struct http_call *c, const struct http_request *r)
{
    bool has_host = false;
    enum status st = buf_reserve(&c->head, 2048);

    if (st == ST_OK)
        st = buf_printf(&c->head, "%.*s %.*s HTTP/1.1\r\n", (int)r->method.len, r->method.ptr,
                        (int)r->target.len, r->target.ptr);
    for (size_t i = 0; i < r->field_count && !has_host; i++)
        has_host = http_name_eq(r->fields[i].name, SPAN("host"));
    if (st == ST_OK && !has_host)
        st = put_field(&c->head, SPAN("Host"), r->host);
    for (size_t i = 0; st == ST_OK && i < r->field_count; i++)
        st = put_field(&c->head, r->fields[i].name, r->fields[i].value);
    if (st == ST_OK)
        st = put_framing(c, r);
    return st == ST_OK ? buf_append(&c->head, SPAN("\r\n")) : st;
}

enum status http_call_start(struct http_pool *p, const struct http_request *r,
                            struct arena *arena, const struct http_call_events *ev, void *owner,
                            struct http_call **out)
{
    struct http_call *c;
    enum status st;

    if (p->closing)
        return ST_UNAVAILABLE;
    if (!is_safe(r))
        return ST_INVALID;
    if (p->stats.connections_now >= p->o.connections_max && list_empty(&p->idle) &&
        p->stats.waiting_now >= p->o.waiting_max)
        return ST_OVERLOAD;
    c = calloc(1, sizeof(*c));
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
    c->is_head = span_eq(r->method, SPAN("HEAD"));
    c->started_us = clock_now_us();
    buf_init(&c->head, REQUEST_HEAD_LIMIT);
    st = put_head(c, r);
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
    serve(c);
    return ST_OK;
}

/* Before there is a connection the head's buffer takes the first pieces. */
static struct buf *upload_buffer(struct http_call *c)
{
    return c->link != NULL ? &c->link->out.next : &c->head;
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
    if ((c->link != NULL ? outbox_pending(&c->link->out) : c->head.len) >
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
        link_wish(c->link);
    }
}

void http_call_resume(struct http_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (c->link != NULL) {
        set_stage(c);
        link_wish(c->link);
    }
}

void http_call_cancel(struct http_call *c)
{
    if (c->state == CALL_ENDED || c->canceled)
        return;
    c->canceled = true;
    if (c->link != NULL)
        link_wish(c->link);
    else
        fail(c, ST_CANCELED, "canceled");
}

uint64_t http_call_first_byte_us(const struct http_call *c)
{
    return c->first_byte_us;
}

enum status http_pool_open(struct loop *loop, struct connector *connector,
                           const struct http_pool_options *o, struct http_pool **out)
{
    struct http_pool *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return ST_NOMEM;
    p->loop = loop;
    p->connector = connector;
    p->o = *o;
    list_init(&p->idle);
    list_init(&p->busy);
    list_init(&p->waiting);
    list_init(&p->calls);
    *out = p;
    return ST_OK;
}

void http_pool_close(struct http_pool *p, void (*closed)(void *owner), void *owner)
{
    p->closing = true;
    p->closed = closed;
    p->owner = owner;
    while (!list_empty(&p->waiting))
        fail(CONTAINER_OF(p->waiting.next, struct http_call, node), ST_CANCELED, "closing");
    while (!list_empty(&p->calls))
        fail(CONTAINER_OF(p->calls.next, struct http_call, node), ST_CANCELED, "closing");
    while (!list_empty(&p->idle))
        link_close(CONTAINER_OF(p->idle.next, struct link, node));
    check_gone(p);
}

void http_pool_stats(const struct http_pool *p, struct http_pool_stats *out)
{
    *out = p->stats;
}
