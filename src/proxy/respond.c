#include "proxy/respond.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/proxy.h"
#include "proxy/request.h"

#define ERROR_BODY_MAX   4096
#define ENTRY_NAME_BYTES 16 /* of the fingerprint, shown as x-ibid-entry */

void respond_add(struct respond_fields *f, struct span name, struct span value)
{
    if (f->count < RESPOND_FIELDS_MAX)
        f->list[f->count++] = (struct http_field){name, value};
}

static void add_printf(struct request *r, struct respond_fields *f, struct span name,
                       const char *fmt, ...) PRINTF_LIKE(4, 5);

static void add_printf(struct request *r, struct respond_fields *f, struct span name,
                       const char *fmt, ...)
{
    struct span copy;
    char text[160];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof(text) &&
        arena_copy(&r->arena, (struct span){text, (size_t)n}, &copy) == ST_OK)
        respond_add(f, name, copy);
}

/* RFC 9211. */
static void add_cache_status(struct request *r, struct respond_fields *f, uint64_t now_ms)
{
    const char *reason = r->miss_reason != NULL ? r->miss_reason : "unknown";

    switch (r->source) {
    case SOURCE_EXACT:
    case SOURCE_SEMANTIC:
        add_printf(r, f, SPAN("Cache-Status"), "ibid; hit; ttl=%" PRId64 "%s",
                   ((int64_t)r->entry->expires_ms - (int64_t)now_ms) / 1000,
                   r->source == SOURCE_SEMANTIC ? "; detail=semantic" : "");
        break;
    case SOURCE_COALESCED:
        respond_add(f, SPAN("Cache-Status"), SPAN("ibid; fwd=miss; collapsed"));
        break;
    case SOURCE_NONE: /* nothing was forwarded, or nothing came of it */
        if (r->miss_reason != NULL)
            add_printf(r, f, SPAN("Cache-Status"), "ibid; detail=%s", reason);
        break;
    case SOURCE_LOCAL:
    case SOURCE_UPSTREAM:
        if (r->protocol == NULL)
            respond_add(f, SPAN("Cache-Status"), SPAN("ibid; fwd=bypass; detail=passthrough"));
        else
            add_printf(r, f, SPAN("Cache-Status"), "ibid; fwd=%s; detail=%s",
                       r->controls.no_cache ? "request"
                       : r->may_read        ? "miss"
                                            : "bypass",
                       reason);
        break;
    }
}

static void add_saved(struct request *r, struct respond_fields *f)
{
    const struct entry *e = r->entry;
    const struct config_price *price = config_price_find(r->proxy->parts.config, e->model);

    add_printf(r, f, SPAN("x-ibid-saved-tokens"), "%" PRIu64,
               (uint64_t)e->prompt_tokens + e->completion_tokens);
    if (price != NULL)
        add_printf(r, f, SPAN("x-ibid-saved-usd"), "%.8f",
                   (price->input_usd_per_mtok * e->prompt_tokens +
                    price->output_usd_per_mtok * e->completion_tokens) /
                       1e6);
}

static void add_evidence(struct request *r, struct respond_fields *f)
{
    const struct decision *d = &r->embed.decision;

    if (!r->embed_done || !r->embed.search || !d->has_candidate)
        return;
    add_printf(r, f, SPAN("x-ibid-similarity"), "%.4f", (double)d->similarity);
    add_printf(r, f, SPAN("x-ibid-confidence"), "%.4f", d->probability);
    add_printf(r, f, SPAN("x-ibid-threshold"), "%.4f", d->threshold);
}

void respond_add_facts(struct request *r, struct respond_fields *f)
{
    const char *source = source_name(r->source);
    uint64_t now_ms;

    if (r->source != SOURCE_NONE)
        respond_add(f, SPAN("x-ibid-source"), span_of(source));
    if (r->entry == NULL) {
        add_cache_status(r, f, 0);
        add_evidence(r, f);
        return;
    }
    now_ms = clock_wall_ms();
    add_cache_status(r, f, now_ms);
    add_printf(r, f, SPAN("Age"), "%" PRIu64,
               now_ms > r->entry->created_ms ? (now_ms - r->entry->created_ms) / 1000 : 0);
    {
        char hex[2 * ENTRY_NAME_BYTES + 1];

        digest_hex(r->entry->key.bytes, ENTRY_NAME_BYTES, hex);
        add_printf(r, f, SPAN("x-ibid-entry"), "%s", hex);
    }
    if (!r->to_local)
        add_saved(r, f);
    add_evidence(r, f);
}

void respond_whole(struct request *r, unsigned status, struct span content_type,
                   struct span body)
{
    struct respond_fields f = {.count = 0};
    bool wait;

    respond_add(&f, SPAN("Content-Type"), content_type);
    respond_add_facts(r, &f);
    if (http_respond(r->stream, status, f.list, f.count, body.len) != ST_OK ||
        http_write(r->stream, body, &wait) != ST_OK) {
        http_abort(r->stream);
        return;
    }
    http_end(r->stream);
}

void respond_error_body(struct buf *out, unsigned status, const char *type, const char *code,
                        const char *param, const char *message)
{
    enum status st = openai_chat_protocol.write_error(out, status, span_of(type), span_of(code),
                                                      span_of(param), span_of(message));

    /* An error without its text is still an error; the status line tells it. */
    if (st != ST_OK)
        buf_clear(out);
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
    respond_error_body(&body, status, type, code, param, message);
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
