#include "proxy/replay.h"

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "proxy/again.h"
#include "proxy/mark.h"
#include "proxy/pace.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/unveil.h"
#include "rt/loop.h"

/* Bytes of a stream that are made at a time. */
#define REPLAY_PIECE_BYTES (32 * 1024)

static void forget(struct request *r)
{
    cache_remove(r->proxy->parts.cache, &r->entry->key, &r->entry->partition);
    entry_unref(r->entry);
    r->entry = NULL;
    r->source = SOURCE_NONE;
    r->miss_reason = "entry_corrupt";
}

static void replay_whole(struct request *r, const struct answer *a)
{
    struct buf *out = &r->proxy->scratch;
    struct span body;

    buf_clear(out);
    if (answer_write(out, a, &r->flow.stamp) != ST_OK ||
        (mark_wanted(r) && mark_whole(r, out, 0) != ST_OK)) {
        http_abort(r->stream);
        return;
    }
    body = buf_span(out);
    if (r->vault != NULL && unveil_whole(r, body, &body) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    respond_whole(r, 200, SPAN("application/json"), body);
}

/* What is paced waits in r->recorded: one piece, and no event in it is longer than the answer.
 */
static enum status put(struct request *r, struct span s, bool *wait)
{
    return r->flow.paced ? buf_append(&r->recorded, s) : http_write(r->stream, s, wait);
}

/* One piece of the stream, and with `done` the end of it. */
static enum status give(struct request *r, struct span piece, bool done, bool *wait)
{
    struct span rest;
    enum status st;

    if (r->vault == NULL)
        return put(r, piece, wait);
    st = unveil_feed(r, piece, &rest);
    if (st == ST_OK)
        st = put(r, rest, wait);
    if (st == ST_OK && done)
        st = unveil_finish(r, true, &rest);
    return st == ST_OK && done ? put(r, rest, wait) : st;
}

/* The next piece. false: the stream is aborted. */
static bool replay_piece(struct request *r, const struct answer *a, bool *wait)
{
    struct buf *out = &r->proxy->scratch;

    buf_clear(out);
    if (answer_write_stream(r->protocol, out, a, &r->flow.stamp, r->chat.include_usage,
                            &r->flow.cursor, REPLAY_PIECE_BYTES, &r->flow.made) == ST_OK &&
        mark_stream(r, out) == ST_OK && give(r, buf_span(out), r->flow.made, wait) == ST_OK)
        return true;
    http_abort(r->stream);
    return false;
}

/* Writes events until the client has to catch up or the terminal one is out. */
static void replay_events(struct request *r, const struct answer *a)
{
    bool wait = false;

    while (!r->flow.made && !wait) {
        if (!replay_piece(r, a, &wait))
            return;
    }
    if (r->flow.made)
        http_end(r->stream);
}

static void replay_go_on(struct request *r);

static void on_due(struct timer *t)
{
    replay_go_on(CONTAINER_OF(t, struct request, deadline));
}

/* Writes what is due of them, and sets the timer for the rest; none is needed where the client
 * has to catch up. Who waits for the program to end does not wait for a pace. */
static void replay_paced(struct request *r, const struct answer *a)
{
    struct loop *loop = r->proxy->parts.loop;
    struct pace *pace = &r->flow.pace;
    struct buf *made = &r->recorded;
    uint64_t now_us = loop_now_us(loop);
    bool wait = false;
    size_t n;

    if (r->proxy->draining)
        pace->per_s = 0;
    for (;;) {
        if (made->len == 0 && !r->flow.made && !replay_piece(r, a, &wait))
            return;
        n = pace_take(pace, buf_span(made), r->protocol->framing, now_us);
        if (n == 0 && made->len > 0) {
            timer_start(loop, &r->deadline, pace_wait_us(pace, now_us), on_due);
            return;
        }
        if (n > 0 && http_write(r->stream, (struct span){made->ptr, n}, &wait) != ST_OK) {
            http_abort(r->stream);
            return;
        }
        buf_consume(made, n);
        if (made->len == 0 && r->flow.made) {
            http_end(r->stream);
            return;
        }
        if (wait)
            return;
    }
}

static void replay_stream(struct request *r, const struct answer *a)
{
    struct respond_fields f;

    f.count = 0;
    respond_add_stream(r, &f);
    if (r->vault != NULL && unveil_start(r, NULL) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    if (http_respond(r->stream, 200, f.list, f.count, HTTP_BODY_CHUNKED) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    pace_begin(&r->flow.pace, r->setup->config->cache.replay_pace,
               loop_now_us(r->proxy->parts.loop));
    r->flow.paced = r->flow.pace.per_s > 0;
    if (!r->flow.paced) {
        replay_events(r, a);
        return;
    }
    r->proxy->account.paced_total++;
    buf_clear(&r->recorded);
    r->recorded.limit = SIZE_MAX / 4;
    replay_paced(r, a);
}

static void replay_go_on(struct request *r)
{
    struct answer a;

    if (answer_unpack(r->entry->answer, &a) != ST_OK)
        http_abort(r->stream);
    else if (r->flow.paced)
        replay_paced(r, &a);
    else
        replay_events(r, &a);
}

void replay_drained(struct request *r)
{
    if (r->flow.paced)
        pace_begin(&r->flow.pace, r->flow.pace.per_s, loop_now_us(r->proxy->parts.loop));
    replay_go_on(r);
}

const char *replay_unsuited(const struct request *r, const struct entry *e)
{
    struct answer a;

    if ((r->chat.stream && !r->chat.include_usage) || answer_unpack(e->answer, &a) != ST_OK)
        return NULL;
    return a.usage_withheld ? "usage_unknown" : NULL;
}

/* Before the answer's head: it names the record. */
static void note_decision(struct request *r)
{
    bool served = r->entry != NULL && r->source == SOURCE_SEMANTIC;

    if (!r->embed_done || r->embed.record == NULL)
        return;
    r->decision_id = journal_add(&r->proxy->journal, r->embed.record, served);
    r->embed.record = NULL;
}

static void replay(struct request *r, const struct answer *a)
{
    struct proxy *p = r->proxy;

    charge_entry(r, r->entry, a);
    p->account.stale_revalidate_total += r->stale_use == STALE_REVALIDATE;
    p->account.stale_error_total += r->stale_use == STALE_ERROR;
    if (r->source != SOURCE_COALESCED && r->setup->config->cache.regenerate_after_s > 0)
        again_note(p->again, &r->key, loop_now_us(p->parts.loop));
    answer_stamp_new(&r->flow.stamp, clock_wall_ms());
    if (r->chat.stream)
        replay_stream(r, a);
    else
        replay_whole(r, a);
}

void replay_stale(struct request *r)
{
    struct answer a;

    r->entry = r->stale;
    r->stale = NULL;
    r->source = SOURCE_EXACT;
    r->stale_use = STALE_ERROR;
    if (answer_unpack(r->entry->answer, &a) == ST_OK)
        replay(r, &a);
    else
        http_abort(r->stream);
}

/* Answer from the entry that an earlier step found: as JSON or as a stream, with a
 * fresh id and time. */
enum step_result replay_enter(struct request *r)
{
    struct answer a;

    if (r->entry == NULL) {
        note_decision(r);
        if (r->protocol != NULL)
            account_miss(&r->proxy->account, r->miss_reason);
        return STEP_NEXT;
    }
    if (answer_unpack(r->entry->answer, &a) != ST_OK) {
        forget(r);
        note_decision(r);
        return STEP_NEXT;
    }
    note_decision(r);
    flight_land(r, NULL);
    replay(r, &a);
    return STEP_DONE;
}
