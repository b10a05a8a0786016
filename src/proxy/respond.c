#include "proxy/respond.h"

#include <string.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/cors.h"
#include "proxy/journal.h"
#include "proxy/mark.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/trial.h"
#include "proxy/routing.h"
#include "proxy/setup.h"

#define ERROR_BODY_MAX 4096

void respond_add(struct respond_fields *f, struct span name, struct span value)
{
    if (f->count < RESPOND_FIELDS_MAX)
        f->list[f->count++] = (struct http_field){name, value};
}

/* A field's value in the making; one that does not fit leaves the field out. */
struct value {
    char text[160];
    size_t len;
    bool whole;
};

static void value_text(struct value *v, struct span s)
{
    if (s.len > sizeof(v->text) - v->len) {
        v->whole = false;
        return;
    }
    if (s.len > 0)
        memcpy(v->text + v->len, s.ptr, s.len);
    v->len += s.len;
}

static void value_u64(struct value *v, uint64_t n)
{
    struct buf b = {v->text + v->len, 0, sizeof(v->text) - v->len, sizeof(v->text) - v->len};

    if (buf_append_u64(&b, n, 1) == ST_OK)
        v->len += b.len;
    else
        v->whole = false;
}

/* `n` with `places` digits behind the point, rounded. */
static void value_fixed(struct value *v, double n, unsigned places)
{
    uint64_t unit = 1, whole;

    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    if (n < 0) {
        value_text(v, SPAN("-"));
        n = -n;
    }
    if (!(n < 1e9)) {
        v->whole = false;
        return;
    }
    whole = (uint64_t)(n * (double)unit + 0.5);
    value_u64(v, whole / unit);
    value_text(v, SPAN("."));
    for (unit /= 10; unit > 0; unit /= 10)
        value_u64(v, whole / unit % 10);
}

static void add_value(struct request *r, struct respond_fields *f, struct span name,
                      const struct value *v)
{
    struct span copy;

    if (v->whole && arena_copy(&r->arena, (struct span){v->text, v->len}, &copy) == ST_OK)
        respond_add(f, name, copy);
}

static void add_u64(struct request *r, struct respond_fields *f, struct span name, uint64_t n)
{
    struct value v = {.whole = true};

    value_u64(&v, n);
    add_value(r, f, name, &v);
}

static void add_fixed(struct request *r, struct respond_fields *f, struct span name, double n,
                      unsigned places)
{
    struct value v = {.whole = true};

    value_fixed(&v, n, places);
    add_value(r, f, name, &v);
}

static void hit_status(struct value *v, const struct request *r, uint64_t now_ms)
{
    uint64_t fresh_ms = entry_fresh_ms(r->entry);

    if (r->stale_use == STALE_ERROR) {
        value_text(v, SPAN("ibid; fwd=stale"));
        if (r->failed_status != 0) {
            value_text(v, SPAN("; fwd-status="));
            value_u64(v, r->failed_status);
        }
        value_text(v, SPAN("; detail=stale-if-error"));
        return;
    }
    /* Below zero: for how long it has been stale. */
    value_text(v, fresh_ms > now_ms ? SPAN("ibid; hit; ttl=") : SPAN("ibid; hit; ttl=-"));
    value_u64(v, (fresh_ms > now_ms ? fresh_ms - now_ms : now_ms - fresh_ms) / 1000);
    if (r->source == SOURCE_SEMANTIC)
        value_text(v, SPAN("; detail=semantic"));
    else if (r->stale_use == STALE_REVALIDATE)
        value_text(v, SPAN("; detail=stale-while-revalidate"));
}

/* RFC 9211. */
static void add_cache_status(struct request *r, struct respond_fields *f, uint64_t now_ms)
{
    const char *reason = r->miss_reason != NULL ? r->miss_reason : "unknown";
    struct value v = {.whole = true};

    switch (r->source) {
    case SOURCE_EXACT:
    case SOURCE_SEMANTIC:
        hit_status(&v, r, now_ms);
        break;
    case SOURCE_COALESCED:
        value_text(&v, SPAN("ibid; fwd=miss; collapsed"));
        break;
    case SOURCE_NONE: /* nothing was forwarded, or nothing came of it */
        if (r->miss_reason == NULL)
            return;
        value_text(&v, SPAN("ibid; detail="));
        value_text(&v, span_of(reason));
        break;
    case SOURCE_LOCAL:
    case SOURCE_UPSTREAM:
        value_text(&v, SPAN("ibid; fwd="));
        value_text(&v, span_of(r->protocol == NULL    ? "bypass"
                               : r->controls.no_cache ? "request"
                               : r->may_read          ? "miss"
                                                      : "bypass"));
        value_text(&v, SPAN("; detail="));
        value_text(&v, span_of(r->protocol == NULL ? "passthrough" : reason));
        break;
    }
    add_value(r, f, SPAN("Cache-Status"), &v);
}

static void add_saved(struct request *r, struct respond_fields *f)
{
    const struct entry *e = r->entry;

    add_u64(r, f, SPAN("x-ibid-saved-tokens"),
            (uint64_t)e->prompt_tokens + e->completion_tokens);
    if (r->charge.price != NULL)
        add_fixed(r, f, SPAN("x-ibid-saved-usd"), charge_usd(&r->charge), 8);
}

static void add_evidence(struct request *r, struct respond_fields *f)
{
    const struct decision *d = &r->embed.decision;
    struct value name = {.whole = true};

    if (!r->embed_done || !r->embed.search || !d->has_candidate)
        return;
    add_fixed(r, f, SPAN("x-ibid-similarity"), (double)d->similarity, 4);
    add_fixed(r, f, SPAN("x-ibid-confidence"), d->probability, 4);
    add_fixed(r, f, SPAN("x-ibid-threshold"), d->threshold, 4);
    if (r->alone.ptr != NULL)
        respond_add(f, SPAN("x-ibid-rewrite"),
                    r->alone.ptr != r->chat.last_text.ptr ? SPAN("made") : SPAN("whole"));
    if (r->decision_id == JOURNAL_NONE)
        return;
    journal_id_write(r->decision_id, name.text);
    name.len = JOURNAL_ID_DIGITS;
    add_value(r, f, SPAN("x-ibid-request"), &name);
}

/* An answer of ours that can be reported on; of a decision it has the decision's name. */
static void add_attempt(struct request *r, struct respond_fields *f)
{
    struct value name = {.whole = true};

    if (r->source != SOURCE_LOCAL || r->attempt == NULL || r->attempt->id == JOURNAL_NONE ||
        r->attempt->id == r->decision_id)
        return;
    journal_id_write(r->attempt->id, name.text);
    name.len = JOURNAL_ID_DIGITS;
    add_value(r, f, SPAN("x-ibid-request"), &name);
}

/* Who was asked, and why, where it was ours to choose. */
static void add_route(struct request *r, struct respond_fields *f)
{
    struct value v = {.whole = true};

    if (r->routed.reason == NULL || (r->source != SOURCE_LOCAL && r->source != SOURCE_UPSTREAM))
        return;
    value_text(&v, r->source == SOURCE_LOCAL ? SPAN("local") : SPAN("upstream"));
    value_text(&v, SPAN("; reason="));
    value_text(&v, span_of(r->routed.reason));
    if (r->routed.rule != NULL) {
        value_text(&v, SPAN("; rule=\""));
        value_text(&v, span_of(r->routed.rule));
        value_text(&v, SPAN("\""));
    }
    if (r->judged && routing_classifier(r->setup->routing) != NULL) {
        value_text(&v, SPAN("; enough="));
        value_fixed(&v, r->enough, 3);
    }
    if (r->examples > 0) {
        value_text(&v, SPAN("; examples="));
        value_u64(&v, r->examples);
    }
    if (r->sure > 0) {
        value_text(&v, SPAN("; sure="));
        value_fixed(&v, r->sure, 3);
    }
    add_value(r, f, SPAN("x-ibid-route"), &v);
}

void respond_add_facts(struct request *r, struct respond_fields *f)
{
    const char *source = source_name(r->source);
    struct value name = {.whole = true};
    uint64_t now_ms;

    cors_add(r, f);
    if (r->screen.found)
        respond_add(f, SPAN("x-ibid-privacy"),
                    r->vault != NULL && !r->to_local ? SPAN("replace")
                    : r->screen.local                ? SPAN("local")
                                                     : SPAN("count"));
    if (r->source != SOURCE_NONE) {
        respond_add(f, SPAN("x-ibid-source"), span_of(source));
        mark_add(r, f);
    }
    if (r->entry == NULL) {
        add_attempt(r, f);
        add_route(r, f);
        add_cache_status(r, f, 0);
        add_evidence(r, f);
        return;
    }
    now_ms = clock_wall_ms();
    add_cache_status(r, f, now_ms);
    add_u64(r, f, SPAN("Age"),
            now_ms > r->entry->created_ms ? (now_ms - r->entry->created_ms) / 1000 : 0);
    /* RFC 7234 5.5: no longer in RFC 9111, and still what clients know. */
    if (r->stale_use == STALE_REVALIDATE)
        respond_add(f, SPAN("Warning"), SPAN("110 ibid \"Response is Stale\""));
    else if (r->stale_use == STALE_ERROR)
        respond_add(f, SPAN("Warning"), SPAN("111 ibid \"Revalidation Failed\""));
    digest_hex(r->entry->key.bytes, DIGEST_BYTES, name.text);
    name.len = 2 * (size_t)DIGEST_BYTES;
    add_value(r, f, SPAN("x-ibid-entry"), &name);
    add_saved(r, f);
    add_evidence(r, f);
}

void respond_add_stream(struct request *r, struct respond_fields *f)
{
    respond_add(f, SPAN("Content-Type"),
                r->protocol->framing == FRAMING_EVENTS
                    ? SPAN("text/event-stream; charset=utf-8")
                    : protocol_stream_type(r->protocol));
    respond_add(f, SPAN("Cache-Control"), SPAN("no-cache"));
    respond_add_facts(r, f);
}

void respond_whole(struct request *r, unsigned status, struct span content_type,
                   struct span body)
{
    struct respond_fields f;
    bool wait;

    f.count = 0;
    respond_add(&f, SPAN("Content-Type"), content_type);
    respond_add_facts(r, &f);
    if (http_respond(r->stream, status, f.list, f.count, body.len) != ST_OK ||
        http_write(r->stream, body, &wait) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    http_end(r->stream);
}

static void write_body(const struct protocol *p, struct buf *out, unsigned status,
                       const char *type, const char *code, const char *param,
                       const char *message)
{
    struct protocol_failure f = {status, span_of(type), span_of(code), span_of(param),
                                 span_of(message)};

    /* An error without its text is still an error; the status line tells it. */
    if (p->write_error(out, &f) != ST_OK)
        buf_clear(out);
}

void respond_error_body(struct buf *out, unsigned status, const char *type, const char *code,
                        const char *param, const char *message)
{
    write_body(&openai_chat_protocol, out, status, type, code, param, message);
}

void respond_error(struct request *r, unsigned status, const char *type, const char *code,
                   const char *param, const char *message)
{
    struct respond_fields f = {.count = 0};
    struct buf body;
    bool wait;

    r->proxy->account.errors_total++;
    r->source = SOURCE_NONE;
    buf_init(&body, ERROR_BODY_MAX);
    write_body(r->dialect, &body, status, type, code, param, message);
    respond_add(&f, SPAN("Content-Type"), SPAN("application/json"));
    if (status == 503 || status == 429)
        respond_add(&f, SPAN("Retry-After"), SPAN("1"));
    respond_add_facts(r, &f);
    if (http_respond(r->stream, status, f.list, f.count, body.len) == ST_OK &&
        http_write(r->stream, buf_span(&body), &wait) == ST_OK)
        http_end(r->stream);
    else
        http_abort(r->stream);
    buf_release(&body);
}
