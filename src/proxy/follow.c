#include "proxy/follow.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/list.h"
#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "protocol/protocol.h"
#include "proxy/charge.h"
#include "proxy/flight.h"
#include "proxy/forward.h"
#include "proxy/local.h"
#include "proxy/mark.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "rt/loop.h"

#define PIECE_BYTES (32 * 1024)
/* Of limits.buffer_bytes: so much may be waiting for the slowest. */
#define WINDOW_BUFFERS 4
/* So much is kept for those who may still come; a stream that has said more, and that nobody
 * follows by then, is kept no longer. */
#define ALONE_BYTES (32 * 1024)
/* Of all streams together. Beyond it those that nobody follows are not kept: with thousands
 * under way each would take twice the memory. */
#define ALL_BYTES (4 * 1024 * 1024)
/* One more read of the upstream's connection, and the last event. */
#define SPARE_BYTES (1024 * 1024)
/* Of a token as an event, in any dialect. */
#define TOKEN_BYTES 1024

enum follow_state { FOLLOW_RUNS, FOLLOW_ENDED, FOLLOW_BROKEN };

struct follow {
    struct proxy *proxy;        /* borrowed (outlives) */
    struct request *leader;     /* NULL once it has ended */
    struct list_node followers; /* struct request.flight_link */
    struct buf bytes;           /* from `base` on */
    size_t base, window;
    size_t counted; /* in account.follow_bytes */
    enum follow_state state;
    struct charge charge; /* once it has ended; model: owned by `model` */
    struct buf model;
};

static size_t end_of(const struct follow *f)
{
    return f->base + f->bytes.len;
}

static void count(struct follow *f, size_t bytes)
{
    f->proxy->account.follow_bytes += bytes;
    f->proxy->account.follow_bytes -= f->counted;
    f->counted = bytes;
}

static void free_unused(struct follow *f)
{
    if (f->leader != NULL || !list_empty(&f->followers))
        return;
    count(f, 0);
    buf_release(&f->bytes);
    buf_release(&f->model);
    free(f);
}

static void detach(struct request *r)
{
    list_remove(&r->flight_link);
    r->follow.followed = NULL;
}

/* --- a follower ----------------------------------------------------------------------------
 */

static void finish(struct request *r)
{
    struct follow *f = r->follow.followed;
    bool broken = f->state == FOLLOW_BROKEN;

    if (!broken && f->charge.state == CHARGE_KNOWN)
        charge_share(r, &f->charge);
    detach(r);
    if (request_drop(r)) {
        request_finish(r);
        if (broken)
            http_abort(r->stream);
        else
            http_end(r->stream);
    }
    free_unused(f);
}

/* Gives out what there is, and the end. */
static void pump(struct request *r)
{
    struct follow *f = r->follow.followed;
    struct follow_part *at = &r->follow;

    while (!at->waits && at->taken < end_of(f)) {
        size_t n = end_of(f) - at->taken;
        struct span piece = {f->bytes.ptr + (at->taken - f->base),
                             n < PIECE_BYTES ? n : PIECE_BYTES};

        at->taken += piece.len;
        if (http_write(r->stream, piece, &at->waits) != ST_OK) {
            http_abort(r->stream); /* its end comes as if the client had left */
            at->waits = true;
            return;
        }
    }
    if (!at->waits && f->state != FOLLOW_RUNS)
        finish(r);
}

/* Would the leader's bytes be its answer? */
static bool suits(const struct request *leader, const struct request *r)
{
    return r->chat.stream && r->protocol == leader->protocol && r->vault == NULL &&
           r->chat.include_usage == leader->chat.include_usage && !mark_wanted(r);
}

static bool begin(struct follow *f, struct request *r)
{
    struct respond_fields fields = {.count = 0};

    r->source = SOURCE_COALESCED;
    respond_add_stream(r, &fields);
    if (http_respond(r->stream, 200, fields.list, fields.count, HTTP_BODY_CHUNKED) != ST_OK) {
        http_abort(r->stream);
        return false;
    }
    r->flow.head_sent = true;
    r->follow = (struct follow_part){.followed = f};
    list_append(&f->followers, &r->flight_link);
    r->proxy->account.followed_total++;
    return true;
}

bool follow_join(struct request *leader, struct request *r)
{
    struct follow *f = leader->follow.led;

    if (f == NULL || f->base > 0 || !suits(leader, r))
        return false;
    request_hold(r);
    if (begin(f, r))
        pump(r);
    return true;
}

void follow_drained(struct request *r)
{
    struct follow *f = r->follow.followed;
    struct request *leader = f->leader;

    r->follow.waits = false;
    pump(r);
    if (leader != NULL)
        forward_go_on(leader);
}

void follow_leave(struct request *r)
{
    struct follow *f = r->follow.followed;
    struct request *leader = f->leader;

    detach(r);
    (void)!request_drop(r);
    if (leader == NULL) {
        free_unused(f);
        return;
    }
    if (!leader->closed || !list_empty(&f->followers)) {
        forward_go_on(leader);
        return;
    }
    /* Nobody is left to have its answer. */
    flight_pass_on(leader);
    if (leader->call != NULL)
        http_call_cancel(leader->call);
    else
        local_cut(leader);
}

/* --- the leader ----------------------------------------------------------------------------
 */

/* Words only, but where the operator has calls of tools reused: two agents must not act on one
 * call. */
static bool may_be_followed(const struct request *r)
{
    bool is_plain = r->to_local ? !mark_wanted(r) : r->flow.is_events;

    return r->leads && is_plain && r->vault == NULL &&
           (!r->chat.has_tools || r->setup->config->cache.tool_calls_exact);
}

/* A model here does not wait for who reads slowly: what it says is bounded by its tokens. */
static size_t unpaused_bytes(const struct request *leader)
{
    return leader->to_local ? leader->setup->config->local.max_tokens * TOKEN_BYTES : 0;
}

void follow_open(struct request *leader)
{
    struct follow *f;
    struct list_node *head, *next;

    if (!may_be_followed(leader))
        return;
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return; /* they wait for the end */
    f->proxy = leader->proxy;
    f->leader = leader;
    f->window = WINDOW_BUFFERS * (size_t)leader->setup->config->limits.buffer_bytes;
    list_init(&f->followers);
    buf_init(&f->bytes, f->window + SPARE_BYTES + unpaused_bytes(leader));
    buf_init(&f->model, SPARE_BYTES);
    leader->follow.led = f;
    head = &leader->flight->followers;
    for (struct list_node *n = head->next; n != head; n = next) {
        struct request *r = CONTAINER_OF(n, struct request, flight_link);

        next = n->next;
        if (!suits(leader, r))
            continue;
        flight_leave(r);
        timer_stop(r->proxy->parts.loop, &r->deadline);
        (void)begin(f, r);
    }
}

/* What all have taken is needed no more, once it is much. */
static void forget_taken(struct follow *f)
{
    size_t least = end_of(f);

    if (f->bytes.len <= f->window)
        return;
    for (struct list_node *n = f->followers.next; n != &f->followers; n = n->next) {
        const struct request *r = CONTAINER_OF(n, struct request, flight_link);

        if (r->follow.taken < least)
            least = r->follow.taken;
    }
    buf_consume(&f->bytes, least - f->base);
    f->base = least;
}

static void pump_all(struct follow *f)
{
    struct list_node *next;

    for (struct list_node *n = f->followers.next; n != &f->followers; n = next) {
        next = n->next;
        pump(CONTAINER_OF(n, struct request, flight_link));
    }
}

/* The leader's part is over; the followers take what is left. */
static void close_with(struct request *leader, enum follow_state state)
{
    struct follow *f = leader->follow.led;

    leader->follow.led = NULL;
    f->state = state;
    /* The last to go frees it: not while its list is walked. */
    pump_all(f);
    f->leader = NULL;
    free_unused(f);
}

/* Is it not worth to keep more of a stream that nobody follows? */
static bool is_much(const struct follow *f, size_t more)
{
    return f->bytes.len + more > ALONE_BYTES ||
           f->proxy->account.follow_bytes - f->counted + f->bytes.len + more > ALL_BYTES;
}

void follow_feed(struct request *leader, struct span data)
{
    struct follow *f = leader->follow.led;
    enum status st;

    if (f == NULL)
        return;
    if (list_empty(&f->followers) && is_much(f, data.len)) {
        close_with(leader, FOLLOW_ENDED);
        return;
    }
    st = buf_append(&f->bytes, data);
    count(f, f->bytes.cap);
    if (st == ST_OK)
        pump_all(f);
    else
        follow_break(leader, (struct span){"", 0});
}

bool follow_full(struct request *leader)
{
    struct follow *f = leader->follow.led;

    if (f == NULL)
        return false;
    forget_taken(f);
    return f->bytes.len > f->window;
}

void follow_end(struct request *leader)
{
    struct follow *f = leader->follow.led;

    if (f == NULL)
        return;
    f->charge = leader->charge;
    if (buf_append(&f->model, leader->charge.model) == ST_OK)
        f->charge.model = buf_span(&f->model);
    else
        f->charge.state = CHARGE_UNKNOWN;
    close_with(leader, FOLLOW_ENDED);
}

void follow_break(struct request *leader, struct span last)
{
    struct follow *f = leader->follow.led;

    if (f == NULL)
        return;
    (void)!buf_append(&f->bytes, last);
    close_with(leader, FOLLOW_BROKEN);
    if (leader->closed)
        flight_pass_on(leader); /* it answers nobody any more */
}

bool follow_wanted(const struct request *leader)
{
    return leader->follow.led != NULL && !list_empty(&leader->follow.led->followers);
}
