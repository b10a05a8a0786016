#include "admin/views.h"

#include <stdio.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "cache/cache.h"
#include "config/config.h"
#include "engine/engine.h"
#include "proxy/embedder.h"
#include "proxy/ledger.h"
#include "proxy/ledger_keeper.h"
#include "proxy/local_models.h"
#include "proxy/model_speeds.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"

static void reasons(struct json_writer *p, const char *name, const struct account_reason *list)
{
    json_writer_open(p, name, '{');
    for (unsigned i = 0; i < ACCOUNT_REASONS; i++) {
        if (list[i].name != NULL)
            json_writer_u64(p, list[i].name, list[i].count);
    }
    json_writer_close(p, '}');
}

/* --- /readyz --------------------------------------------------------------------- */

/* Known from the requests that were sent there: nobody is asked for this. */
static bool write_upstreams(struct json_writer *p, const struct upstreams *all)
{
    bool whole = true;

    for (size_t i = 0; all != NULL && i < all->count; i++) {
        const struct upstream *u = all->list[i];
        char name[96];
        size_t down = 0;

        for (size_t k = 0; k < u->place_count; k++)
            down += u->places[k].next_try_us != 0;
        if (down == 0)
            continue;
        whole = false;
        snprintf(name, sizeof(name), "upstream %s", u->own->name);
        json_writer_text(p, name,
                         down == u->place_count
                             ? SPAN("can not be reached")
                             : SPAN("can not be reached at one of its places"));
    }
    return whole;
}

/* The first model is "local_model", others have their names behind it. */
static bool write_local_troubles(struct json_writer *p, const struct local_models *m)
{
    bool whole = true;

    for (size_t i = 0; m != NULL && i < local_models_count(m); i++) {
        struct local_models_state s;
        char key[160] = "local_model";

        local_models_state(m, i, &s);
        if (i > 0)
            snprintf(key, sizeof(key), "local_model %s",
                     local_models_name(m, local_models_voice(m, i)).ptr);
        if (s.why != NULL)
            json_writer_text(p, key, span_of(s.why));
        if (s.guessing != NULL)
            json_writer_text(p, "guess_model", span_of(s.guessing));
        whole = whole && s.why == NULL && s.guessing == NULL;
    }
    return whole;
}

static bool ledger_waits(const struct ledger_keeper *k)
{
    struct ledger_keeper_stats s = {.waits = false};

    if (k != NULL)
        ledger_keeper_stats(k, &s);
    return s.waits;
}

static bool write_parts(struct json_writer *p, const struct admin_view *v)
{
    struct cache_stats c;
    bool whole = v->trouble_count == 0;

    cache_stats(v->proxy->parts.cache, &c);
    json_writer_open(p, "parts", '{');
    for (size_t i = 0; i < v->trouble_count; i++)
        json_writer_text(p, v->troubles[i].part, span_of(v->troubles[i].why));
    whole = write_local_troubles(p, v->proxy->parts.local) && whole;
    if (ledger_waits(v->proxy->parts.keeper)) {
        json_writer_text(p, "ledger",
                         span_of("its file is not written: another ibid has it, or the folder "
                                 "can not be written; savings are counted in memory"));
        whole = false;
    }
    /* One that reads and does not write has its trouble too. */
    if (!c.store_present || !c.store.up || c.store.trouble[0] != '\0') {
        json_writer_text(
            p, "store",
            span_of(c.store.trouble[0] != '\0' ? c.store.trouble : "not reachable"));
        whole = false;
    }
    if (v->proxy->parts.embedder != NULL && !c.index_present) {
        json_writer_text(p, "index", span_of("could not be opened; see the log"));
        whole = false;
    }
    if (c.index_apart && c.store_present && c.store.up && !c.store.vectors.up) {
        json_writer_text(p, "index",
                         span_of(c.store.vectors.trouble[0] != '\0' ? c.store.vectors.trouble
                                                                    : "not reachable"));
        whole = false;
    }
    whole = write_upstreams(p, v->proxy->parts.setup->upstreams) && whole;
    if (c.index_present && !c.index_ready)
        json_writer_text(p, "index", span_of("being rebuilt from the store"));
    json_writer_close(p, '}');
    return whole;
}

enum status views_ready(struct buf *out, const struct admin_view *v, bool *ready)
{
    struct json_writer p = {out, ST_OK, false};
    bool whole;

    json_writer_open(&p, NULL, '{');
    whole = write_parts(&p, v);
    json_writer_text(&p, "status",
                     span_of(v->proxy->draining ? "draining"
                             : whole            ? "ready"
                                                : "degraded"));
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
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
    const struct ledger *l = v->proxy->parts.ledger;
    struct ledger_sums saved = ledger_saved(l);
    double cost = a->cost_encoder_s + a->cost_lookup_s + a->cost_local_s;
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    json_writer_u64(&p, "since_ms", a->started_wall_ms);
    json_writer_open(&p, "requests", '{');
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        json_writer_u64(&p, source_name((enum source)i), a->by_source[i]);
    json_writer_close(&p, '}');
    json_writer_u64(&p, "answered_from_cache", hits(a));
    json_writer_open(&p, "saved", '{');
    json_writer_u64(&p, "prompt_tokens", saved.prompt_tokens);
    json_writer_u64(&p, "completion_tokens", saved.completion_tokens);
    json_writer_u64(&p, "unpriced_tokens", saved.unpriced_tokens);
    json_writer_real(&p, "usd", saved.usd);
    json_writer_real(&p, "seconds", saved.saved_s);
    json_writer_real(&p, "upstream_wh", saved.wh);
    json_writer_close(&p, '}');
    json_writer_open(&p, "local_model", '{');
    json_writer_u64(&p, "prompt_tokens", l->started[SOURCE_LOCAL].prompt_tokens);
    json_writer_u64(&p, "completion_tokens", l->started[SOURCE_LOCAL].completion_tokens);
    json_writer_close(&p, '}');
    /* What it cost, as what it is: a negative line. */
    json_writer_open(&p, "own_cost_cpu_seconds", '{');
    json_writer_real(&p, "encoder", -a->cost_encoder_s);
    json_writer_real(&p, "lookup", -a->cost_lookup_s);
    json_writer_real(&p, "local_model", -a->cost_local_s);
    json_writer_real(&p, "total", -cost);
    json_writer_close(&p, '}');
    json_writer_open(&p, "own_energy_wh", '{');
    json_writer_real(&p, "measured", l->started_own.measured_wh);
    json_writer_real(&p, "estimated", l->started_own.estimated_wh);
    json_writer_close(&p, '}');
    json_writer_real(&p, "upstream_usd", l->started[SOURCE_UPSTREAM].usd);
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}

enum status views_ledger(struct buf *out, const struct admin_view *v)
{
    return ledger_keeper_show(v->proxy->parts.keeper, out);
}

/* --- /admin/v1/stats ------------------------------------------------------------- */

static void write_requests(struct json_writer *p, const struct account *a)
{
    json_writer_open(p, "requests", '{');
    json_writer_u64(p, "received", a->requests_total);
    json_writer_open(p, "by_source", '{');
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        json_writer_u64(p, source_name((enum source)i), a->by_source[i]);
    json_writer_close(p, '}');
    json_writer_u64(p, "errors", a->errors_total);
    json_writer_u64(p, "passthrough", a->passthrough_total);
    json_writer_u64(p, "refused", a->refused_total);
    json_writer_u64(p, "client_gone", a->client_gone_total);
    json_writer_u64(p, "upstream_failures", a->upstream_failures_total);
    json_writer_u64(p, "upstream_timeouts", a->upstream_timeouts_total);
    json_writer_u64(p, "broken_streams", a->broken_streams_total);
    json_writer_close(p, '}');
}

static void write_cache(struct json_writer *p, const struct account *a,
                        const struct cache_stats *c)
{
    json_writer_open(p, "cache", '{');
    json_writer_u64(p, "stored", a->stored_total);
    reasons(p, "misses", a->miss);
    reasons(p, "unstored", a->unstored);
    reasons(p, "exact_only", a->exact_only);
    json_writer_u64(p, "shadow_hits", a->shadow_hits_total);
    json_writer_u64(p, "memory_entries", c->memory_entries);
    json_writer_u64(p, "memory_bytes", c->memory_bytes);
    json_writer_u64(p, "memory_evictions", c->memory_evictions_total);
    json_writer_close(p, '}');
    json_writer_open(p, "store", '{');
    json_writer_text(p, "kind", span_of(c->store.kind != NULL ? c->store.kind : "none"));
    json_writer_text(p, "state", span_of(c->store_present && c->store.up ? "up" : "down"));
    json_writer_text(p, "trouble", span_of(c->store.trouble));
    json_writer_u64(p, "entries", c->store.entries);
    json_writer_u64(p, "bytes", c->store.bytes);
    json_writer_u64(p, "gets", c->store.gets_total);
    json_writer_u64(p, "hits", c->store.hits_total);
    json_writer_u64(p, "puts", c->store.puts_total);
    json_writer_u64(p, "errors", c->store.errors_total);
    json_writer_u64(p, "timeouts", c->store.timeouts_total);
    json_writer_u64(p, "corrupt", c->store.corrupt_total);
    json_writer_u64(p, "dropped", c->store.dropped_total);
    json_writer_u64(p, "evictions", c->store.evictions_total);
    json_writer_close(p, '}');
    json_writer_open(p, "index", '{');
    json_writer_text(p, "backend", span_of(c->index_apart ? "redis" : index_backend()));
    json_writer_text(p, "state",
                     span_of(!c->index_present || (c->index_apart && !c->store.vectors.up)
                                 ? "absent"
                             : c->index_ready ? "ready"
                                              : "rebuilding"));
    json_writer_u64(p, "entries", c->index.entries);
    json_writer_u64(p, "partitions", c->index.partitions);
    json_writer_u64(p, "large_partitions", c->index.large_partitions);
    json_writer_u64(p, "bytes", c->index.bytes);
    json_writer_u64(p, "dropped", c->index.dropped_total);
    json_writer_close(p, '}');
}

enum status views_stats(struct buf *out, const struct admin_view *v)
{
    const struct account *a = &v->proxy->account;
    struct json_writer p = {out, ST_OK, false};
    struct cache_stats c;

    cache_stats(v->proxy->parts.cache, &c);
    json_writer_open(&p, NULL, '{');
    json_writer_text(&p, "version", span_of(v->version));
    json_writer_text(&p, "kernels", span_of(cpu_kernels()));
    json_writer_real(&p, "uptime_seconds", (double)(clock_now_us() - v->started_us) / 1e6);
    json_writer_real(&p, "start_seconds", v->ready_s);
    write_requests(&p, a);
    write_cache(&p, a, &c);
    reload_write_state(&p, v->reloads);
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}

/* --- /admin/v1/models and /admin/v1/config ---------------------------------------- */

static void write_upstream(struct json_writer *p, const struct upstream *u)
{
    json_writer_open(p, NULL, '{');
    json_writer_text(p, "name", span_of(u->own->name));
    json_writer_open(p, "places", '[');
    for (size_t i = 0; i < u->place_count; i++) {
        json_writer_open(p, NULL, '{');
        json_writer_text(p, "host", span_of(u->places[i].url.authority));
        json_writer_text(p, "state", span_of(u->places[i].next_try_us == 0 ? "up" : "down"));
        json_writer_close(p, '}');
    }
    json_writer_close(p, ']');
    json_writer_close(p, '}');
}

static void write_model_info(struct json_writer *p, const struct local_models *m, size_t voice)
{
    struct model_info info;

    local_models_info(m, voice, &info);
    json_writer_text(p, "model", local_models_name(m, voice));
    json_writer_text(p, "id", span_of(info.id));
    json_writer_text(p, "architecture", span_of(info.architecture));
    json_writer_text(p, "weights", span_of(info.weights));
    json_writer_u64(p, "parameters", info.parameters);
    json_writer_u64(p, "memory_bytes", info.memory_bytes);
}

static void write_abilities(struct json_writer *p, const struct config_model *own)
{
    json_writer_u64(p, "context_max", own->context_max);
    json_writer_bool(p, "json", own->json);
    json_writer_bool(p, "tools", own->tools);
    json_writer_bool(p, "code", own->code);
    json_writer_text(p, "languages", span_of(own->languages));
}

static void write_measured(struct json_writer *p, const struct model_speed *s)
{
    if (s->decode_per_s <= 0)
        return;
    json_writer_open(p, "measured", '{');
    json_writer_real(p, "prompt_tokens_per_s", s->prompt_per_s);
    json_writer_real(p, "tokens_per_s", s->decode_per_s);
    json_writer_u64(p, "threads", s->threads);
    json_writer_text(p, "day", span_of(s->day));
    json_writer_close(p, '}');
}

static void write_model(struct json_writer *p, const struct local_models *m, size_t i)
{
    struct local_models_state s;

    local_models_state(m, i, &s);
    json_writer_open(p, NULL, '{');
    write_model_info(p, m, local_models_voice(m, i));
    json_writer_text(p, "state", span_of(s.word));
    if (s.why != NULL)
        json_writer_text(p, "why", span_of(s.why));
    json_writer_u64(p, "loaded_bytes", s.memory_bytes);
    json_writer_u64(p, "requests", s.users);
    json_writer_u64(p, "waiting", s.waiting);
    json_writer_u64(p, "loads", s.loads_total);
    json_writer_u64(p, "failures", s.failures_total);
    json_writer_u64(p, "evictions", s.evictions_total);
    json_writer_real(p, "tokens_per_s", s.tokens_per_s);
    json_writer_real(p, "prompt_tokens_per_s", s.prompt_per_s);
    write_abilities(p, s.own);
    write_measured(p, s.measured);
    json_writer_close(p, '}');
}

enum status views_models(struct buf *out, const struct admin_view *v)
{
    const struct proxy_parts *parts = &v->proxy->parts;
    const struct upstreams *up = parts->setup->upstreams;
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    if (parts->embedder != NULL) {
        json_writer_open(&p, "encoder", '{');
        json_writer_text(&p, "model", span_of(parts->config->encoder.model));
        json_writer_u64(&p, "dimensions", embedder_dimensions(parts->embedder));
        json_writer_close(&p, '}');
    }
    if (parts->local != NULL && local_models_identity(parts->local, 0).len > 0) {
        json_writer_open(&p, "local", '{');
        write_model_info(&p, parts->local, 0);
        json_writer_close(&p, '}');
    }
    json_writer_open(&p, "models", '[');
    for (size_t i = 0; parts->local != NULL && i < local_models_count(parts->local); i++)
        write_model(&p, parts->local, i);
    json_writer_close(&p, ']');
    json_writer_open(&p, "upstreams", '[');
    for (size_t i = 0; up != NULL && i < up->count; i++)
        write_upstream(&p, up->list[i]);
    json_writer_close(&p, ']');
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}

enum status views_config(struct buf *out, const struct admin_view *v)
{
    return config_write(v->proxy->parts.config, true, out);
}
