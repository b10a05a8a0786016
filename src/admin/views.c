#include "admin/views.h"

#include <inttypes.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/json.h"
#include "cache/cache.h"
#include "config/config.h"
#include "engine/engine.h"
#include "proxy/embedder.h"
#include "proxy/local_model.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"

/* A flat JSON writer: the first failure sticks, commas are its business. */
struct page {
    struct buf *out;
    enum status st;
    bool comma;
};

static void raw(struct page *p, struct span s)
{
    if (p->st == ST_OK)
        p->st = buf_append(p->out, s);
}

static void key(struct page *p, const char *name)
{
    if (p->comma)
        raw(p, SPAN(","));
    p->comma = true;
    if (p->st == ST_OK)
        p->st = json_write_string(p->out, span_of(name));
    raw(p, SPAN(":"));
}

static void open_object(struct page *p, const char *name)
{
    if (name != NULL)
        key(p, name);
    raw(p, SPAN("{"));
    p->comma = false;
}

static void close_object(struct page *p)
{
    raw(p, SPAN("}"));
    p->comma = true;
}

static void u64(struct page *p, const char *name, uint64_t n)
{
    key(p, name);
    if (p->st == ST_OK)
        p->st = buf_printf(p->out, "%" PRIu64, n);
}

static void real(struct page *p, const char *name, double v)
{
    key(p, name);
    if (p->st == ST_OK)
        p->st = buf_printf(p->out, "%.9g", v);
}

static void text(struct page *p, const char *name, const char *s)
{
    key(p, name);
    if (p->st == ST_OK)
        p->st = json_write_string(p->out, span_of(s));
}

static void reasons(struct page *p, const char *name, const struct account_reason *list)
{
    open_object(p, name);
    for (unsigned i = 0; i < ACCOUNT_REASONS; i++) {
        if (list[i].name != NULL)
            u64(p, list[i].name, list[i].count);
    }
    close_object(p);
}

/* --- /readyz --------------------------------------------------------------------- */

static bool write_parts(struct page *p, const struct admin_view *v)
{
    struct cache_stats c;
    bool whole = v->trouble_count == 0;

    cache_stats(v->proxy->parts.cache, &c);
    open_object(p, "parts");
    for (size_t i = 0; i < v->trouble_count; i++)
        text(p, v->troubles[i].part, v->troubles[i].why);
    /* One that reads and does not write has its trouble too. */
    if (!c.store_present || !c.store.up || c.store.trouble[0] != '\0') {
        text(p, "store", c.store.trouble[0] != '\0' ? c.store.trouble : "not reachable");
        whole = false;
    }
    if (v->proxy->parts.embedder != NULL && !c.index_present) {
        text(p, "index", "could not be opened; see the log");
        whole = false;
    }
    if (c.index_present && !c.index_ready)
        text(p, "index", "being rebuilt from the store");
    close_object(p);
    return whole;
}

enum status views_ready(struct buf *out, const struct admin_view *v, bool *ready)
{
    struct page p = {out, ST_OK, false};
    bool whole;

    open_object(&p, NULL);
    whole = write_parts(&p, v);
    text(&p, "status", v->proxy->draining ? "draining" : whole ? "ready" : "degraded");
    close_object(&p);
    raw(&p, SPAN("\n"));
    *ready = !v->proxy->draining;
    return p.st;
}

/* --- /admin/v1/savings ----------------------------------------------------------- */

static uint64_t hits(const struct account *a)
{
    return a->by_source[SOURCE_EXACT] + a->by_source[SOURCE_SEMANTIC] +
           a->by_source[SOURCE_COALESCED];
}

enum status views_savings(struct buf *out, const struct admin_view *v)
{
    const struct account *a = &v->proxy->account;
    double cost = a->cost_encoder_s + a->cost_lookup_s + a->cost_local_s;
    struct page p = {out, ST_OK, false};

    open_object(&p, NULL);
    u64(&p, "since_ms", a->started_wall_ms);
    open_object(&p, "requests");
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        u64(&p, source_name((enum source)i), a->by_source[i]);
    close_object(&p);
    u64(&p, "answered_from_cache", hits(a));
    open_object(&p, "saved");
    u64(&p, "prompt_tokens", a->saved_prompt_tokens);
    u64(&p, "completion_tokens", a->saved_completion_tokens);
    u64(&p, "unpriced_tokens", a->saved_unpriced_tokens);
    real(&p, "usd", a->saved_usd);
    real(&p, "seconds", a->saved_s);
    close_object(&p);
    open_object(&p, "local_model");
    u64(&p, "prompt_tokens", a->local_prompt_tokens);
    u64(&p, "completion_tokens", a->local_completion_tokens);
    close_object(&p);
    /* What it cost, as what it is: a negative line. */
    open_object(&p, "own_cost_cpu_seconds");
    real(&p, "encoder", -a->cost_encoder_s);
    real(&p, "lookup", -a->cost_lookup_s);
    real(&p, "local_model", -a->cost_local_s);
    real(&p, "total", -cost);
    close_object(&p);
    close_object(&p);
    raw(&p, SPAN("\n"));
    return p.st;
}

/* --- /admin/v1/stats ------------------------------------------------------------- */

static void write_requests(struct page *p, const struct account *a)
{
    open_object(p, "requests");
    u64(p, "received", a->requests_total);
    open_object(p, "by_source");
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        u64(p, source_name((enum source)i), a->by_source[i]);
    close_object(p);
    u64(p, "errors", a->errors_total);
    u64(p, "passthrough", a->passthrough_total);
    u64(p, "refused", a->refused_total);
    u64(p, "client_gone", a->client_gone_total);
    u64(p, "upstream_failures", a->upstream_failures_total);
    u64(p, "upstream_timeouts", a->upstream_timeouts_total);
    u64(p, "broken_streams", a->broken_streams_total);
    close_object(p);
}

static void write_cache(struct page *p, const struct account *a, const struct cache_stats *c)
{
    open_object(p, "cache");
    u64(p, "stored", a->stored_total);
    reasons(p, "misses", a->miss);
    reasons(p, "unstored", a->unstored);
    u64(p, "shadow_hits", a->shadow_hits_total);
    u64(p, "memory_entries", c->memory_entries);
    u64(p, "memory_bytes", c->memory_bytes);
    u64(p, "memory_evictions", c->memory_evictions_total);
    close_object(p);
    open_object(p, "store");
    text(p, "kind", c->store.kind != NULL ? c->store.kind : "none");
    text(p, "state", c->store_present && c->store.up ? "up" : "down");
    text(p, "trouble", c->store.trouble);
    u64(p, "entries", c->store.entries);
    u64(p, "bytes", c->store.bytes);
    u64(p, "gets", c->store.gets_total);
    u64(p, "hits", c->store.hits_total);
    u64(p, "puts", c->store.puts_total);
    u64(p, "errors", c->store.errors_total);
    u64(p, "timeouts", c->store.timeouts_total);
    u64(p, "corrupt", c->store.corrupt_total);
    u64(p, "dropped", c->store.dropped_total);
    u64(p, "evictions", c->store.evictions_total);
    close_object(p);
    open_object(p, "index");
    text(p, "backend", index_backend());
    text(p, "state", !c->index_present ? "absent" : c->index_ready ? "ready" : "rebuilding");
    u64(p, "entries", c->index.entries);
    u64(p, "partitions", c->index.partitions);
    u64(p, "large_partitions", c->index.large_partitions);
    u64(p, "bytes", c->index.bytes);
    u64(p, "dropped", c->index.dropped_total);
    close_object(p);
}

enum status views_stats(struct buf *out, const struct admin_view *v)
{
    const struct account *a = &v->proxy->account;
    struct page p = {out, ST_OK, false};
    struct cache_stats c;

    cache_stats(v->proxy->parts.cache, &c);
    open_object(&p, NULL);
    text(&p, "version", v->version);
    text(&p, "kernels", cpu_kernels());
    real(&p, "uptime_seconds", (double)(clock_now_us() - v->started_us) / 1e6);
    real(&p, "start_seconds", v->ready_s);
    write_requests(&p, a);
    write_cache(&p, a, &c);
    close_object(&p);
    raw(&p, SPAN("\n"));
    return p.st;
}

/* --- /admin/v1/models and /admin/v1/config ---------------------------------------- */

enum status views_models(struct buf *out, const struct admin_view *v)
{
    const struct proxy_parts *parts = &v->proxy->parts;
    struct page p = {out, ST_OK, false};

    open_object(&p, NULL);
    if (parts->embedder != NULL) {
        open_object(&p, "encoder");
        text(&p, "model", parts->config->encoder.model);
        u64(&p, "dimensions", embedder_dimensions(parts->embedder));
        close_object(&p);
    }
    if (parts->local != NULL) {
        struct model_info info;

        local_model_info(parts->local, &info);
        open_object(&p, "local");
        text(&p, "model", local_model_name(parts->local).ptr);
        text(&p, "id", info.id);
        text(&p, "architecture", info.architecture);
        text(&p, "weights", info.weights);
        u64(&p, "parameters", info.parameters);
        u64(&p, "memory_bytes", info.memory_bytes);
        close_object(&p);
    }
    if (parts->upstream != NULL) {
        open_object(&p, "upstream");
        text(&p, "name", parts->upstream->name);
        close_object(&p);
    }
    close_object(&p);
    raw(&p, SPAN("\n"));
    return p.st;
}

enum status views_config(struct buf *out, const struct admin_view *v)
{
    return config_write(v->proxy->parts.config, true, out);
}
