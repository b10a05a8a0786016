#include "proxy/request.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/gather.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/tap.h"
#include "proxy/unveil.h"
#include "rt/loop.h"

/* What a chat of a few messages and its answer take, so that they ask malloc for nothing. */
#define ARENA_CHUNK_BYTES 16384
/* A decoded body in the arena is a tree of nodes and copies of its strings. */
#define ARENA_BODY_FACTOR 24
#define SPARE_MAX         256

static void set_limits(struct request *r, const struct config *c)
{
    r->arena.limit = ARENA_BODY_FACTOR * c->limits.body_max_bytes + (1u << 20);
    r->body.limit = c->limits.body_max_bytes;
    r->recorded.limit = c->cache.answer_max_bytes;
}

static struct request *take_spare(struct proxy *p, struct setup *setup)
{
    const struct config *c = setup->config;
    struct request *r;

    if (!list_empty(&p->spare)) {
        struct arena arena;

        r = CONTAINER_OF(p->spare.prev, struct request, link); /* the caches know it best */
        list_remove(&r->link);
        p->spare_count--;
        arena = r->arena;
        *r = (struct request){.arena = arena, .body = r->body, .recorded = r->recorded};
    } else {
        r = calloc(1, sizeof(*r));
        if (r == NULL)
            return NULL;
        arena_init(&r->arena, ARENA_CHUNK_BYTES, 0);
        buf_init(&r->body, 0);
        buf_init(&r->recorded, 0);
    }
    set_limits(r, c);
    r->proxy = p;
    r->setup = setup_ref(setup);
    r->dialect = &openai_chat_protocol;
    list_init(&r->flight_link);
    list_append(&p->requests, &r->link);
    p->request_count++;
    return r;
}

struct request *request_open(struct proxy *p, struct http_stream *s)
{
    struct request *r = take_spare(p, p->parts.setup);

    if (r == NULL)
        return NULL;
    r->stream = s;
    r->head = http_stream_head(s);
    r->started_us = http_stream_started_us(s);
    return r;
}

struct request *request_open_detached(struct proxy *p, struct setup *setup)
{
    struct request *r = take_spare(p, setup);

    if (r == NULL)
        return NULL;
    r->closed = true;
    r->in_flight = 1;
    r->started_us = loop_now_us(p->parts.loop);
    return r;
}

/* Buffers that one large request made large go back to the heap. */
static void shrink(struct buf *b)
{
    buf_clear(b);
    if (b->cap > 64 * 1024)
        buf_release(b);
}

static void destroy(struct request *r)
{
    arena_release(&r->arena);
    buf_release(&r->body);
    buf_release(&r->recorded);
    free(r);
}

static void maybe_free(struct request *r)
{
    struct proxy *p = r->proxy;

    if (!r->closed || r->in_flight != 0)
        return;
    assert(r->flight == NULL && r->follow.led == NULL && r->follow.followed == NULL);
    entry_unref(r->entry);
    entry_unref(r->stale);
    tap_release(r);
    unveil_release(r);
    gather_release(r);
    embedder_job_release(&r->embed);
    setup_unref(r->setup);
    r->setup = NULL;
    if (r->holds_voice)
        local_models_drop(p->parts.local, r->held_voice);
    list_remove(&r->link);
    p->request_count--;
    if (p->spare_count < SPARE_MAX) {
        arena_reset(&r->arena);
        shrink(&r->body);
        shrink(&r->recorded);
        list_append(&p->spare, &r->link);
        p->spare_count++;
    } else {
        destroy(r);
    }
    pipeline_request_gone(p);
}

void request_pool_release(struct proxy *p)
{
    while (!list_empty(&p->spare)) {
        struct request *r = CONTAINER_OF(p->spare.next, struct request, link);

        list_remove(&r->link);
        destroy(r);
    }
    p->spare_count = 0;
}

/* A step that waited is always timed, by the turns in which it began and ended; of the others,
 * which take microseconds, those of one request in so many: the clock would cost more than
 * what it measures. */
#define TIMED_ONE_IN 16

static void leave_step(struct request *r, bool waited)
{
    uint64_t now;

    if (!waited && !r->timed)
        return;
    now = waited ? loop_now_us(r->proxy->parts.loop) : clock_now_us();
    pipeline_step_took(r, now - r->step_us);
    r->step_us = now;
}

static void walk(struct request *r)
{
    enum step_result res = STEP_NEXT;

    assert(!r->walking);
    r->walking = true;
    while (res == STEP_NEXT && r->step->enter != NULL) {
        res = r->step->enter(r);
        if (res == STEP_NEXT) {
            leave_step(r, false);
            r->step++;
        }
    }
    r->walking = false;
    r->waiting = res == STEP_WAIT;
    if (r->waiting)
        r->step_us = loop_now_us(r->proxy->parts.loop);
    assert(!r->waiting || r->in_flight > 0);
}

void request_start(struct request *r, const struct step *steps)
{
    r->step = steps;
    r->timed = r->trace != NULL || r->proxy->account.requests_total % TIMED_ONE_IN == 0;
    if (r->timed)
        r->step_us = clock_now_us();
    walk(r);
}

void request_resume(struct request *r)
{
    assert(r->waiting && !r->closed);
    r->waiting = false;
    leave_step(r, true);
    r->step++;
    walk(r);
}

void request_again(struct request *r)
{
    assert(r->waiting && !r->closed);
    r->waiting = false;
    leave_step(r, true);
    walk(r);
}

void request_finish(struct request *r)
{
    assert(r->waiting && !r->closed);
    r->waiting = false;
    leave_step(r, true);
}

void request_close(struct request *r)
{
    assert(!r->closed && !r->walking);
    r->closed = true;
    r->stream = NULL;
    r->head = NULL;
    timer_stop(r->proxy->parts.loop, &r->deadline);
    timer_stop(r->proxy->parts.loop, &r->beside_timer);
    r->in_flight++; /* cancel() may drop the last operation; we still need r */
    if (r->waiting && r->step->cancel != NULL)
        r->step->cancel(r);
    flight_pass_on(r);
    r->in_flight--;
    maybe_free(r);
}

void request_hold(struct request *r)
{
    r->in_flight++;
}

bool request_drop(struct request *r)
{
    assert(r->in_flight > 0);
    r->in_flight--;
    if (!r->closed)
        return true;
    maybe_free(r);
    return false;
}
