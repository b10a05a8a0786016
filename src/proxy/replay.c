#include "proxy/replay.h"

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "proxy/again.h"
#include "proxy/mark.h"
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

/* One piece of the stream, and with `done` the end of it. */
static enum status give(struct request *r, struct span piece, bool done, bool *wait)
{
    struct span rest;
    enum status st;

    if (r->vault == NULL)
        return http_write(r->stream, piece, wait);
    st = unveil_feed(r, piece, &rest);
    if (st == ST_OK)
        st = http_write(r->stream, rest, wait);
    if (st == ST_OK && done)
        st = unveil_finish(r, true, &rest);
    return st == ST_OK && done ? http_write(r->stream, rest, wait) : st;
}

/* Writes events until the client has to catch up or the terminal one is out. */
static void replay_events(struct request *r, const struct answer *a)
{
    struct buf *out = &r->proxy->scratch;
    bool done = false, wait = false;

    while (!done && !wait) {
        buf_clear(out);
        if (answer_write_stream(r->protocol, out, a, &r->flow.stamp, r->chat.include_usage,
                                &r->flow.cursor, REPLAY_PIECE_BYTES, &done) != ST_OK ||
            mark_stream(r, out) != ST_OK || give(r, buf_span(out), done, &wait) != ST_OK) {
            http_abort(r->stream);
            return;
        }
    }
    if (done)
        http_end(r->stream);
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
    replay_events(r, a);
}

void replay_drained(struct request *r)
{
    struct answer a;

    if (answer_unpack(r->entry->answer, &a) != ST_OK)
        http_abort(r->stream);
    else
        replay_events(r, &a);
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
