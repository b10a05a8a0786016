/* /admin/v1/routes: which tier was asked and why, the operator's rules, and the upstreams with
 * their connections; /admin/v1/engine: what our own models did. */
#include <string.h>

#include "admin/admin.h"
#include "admin/views.h"
#include "base/json_writer.h"
#include "config/config.h"
#include "engine/engine.h"
#include "http/client.h"
#include "proxy/embedder.h"
#include "proxy/ledger.h"
#include "proxy/local_model.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"

/* --- /admin/v1/routes --------------------------------------------------------------------- */

static void write_reasons(struct json_writer *p, const char *name,
                          const struct account_reason *list)
{
    json_writer_open(p, name, '{');
    for (unsigned i = 0; i < ACCOUNT_REASONS; i++) {
        if (list[i].name != NULL)
            json_writer_u64(p, list[i].name, list[i].count);
    }
    json_writer_close(p, '}');
}

/* A header's value may be a secret of the client's: its name is enough here. */
static void write_rule(struct json_writer *p, const struct config_route *r)
{
    const char *colon = strchr(r->header, ':');
    struct span header = {r->header, colon != NULL ? (size_t)(colon - r->header) : 0};

    json_writer_open(p, NULL, '{');
    json_writer_text(p, "name", span_of(r->name));
    json_writer_text(p, "models", span_of(r->models));
    json_writer_text(p, "path", span_of(r->path));
    json_writer_text(p, "header", header);
    json_writer_text(p, "regex", span_of(r->regex));
    json_writer_u64(p, "bytes_min", r->bytes_min);
    json_writer_u64(p, "bytes_max", r->bytes_max);
    json_writer_text(p, "to", span_of(r->to));
    json_writer_close(p, '}');
}

static void write_place(struct json_writer *p, const struct upstream *u, size_t k)
{
    const struct upstream_place *at = &u->places[k];
    struct http_pool_stats s;

    http_pool_stats(at->pool, &s);
    json_writer_open(p, NULL, '{');
    json_writer_text(p, "upstream", span_of(u->own->name));
    json_writer_text(p, "host", span_of(at->url.authority));
    json_writer_text(p, "models", span_of(u->own->models));
    json_writer_bool(p, "up", at->next_try_us == 0);
    json_writer_u64(p, "connections", s.connections_now);
    json_writer_u64(p, "waiting", s.waiting_now);
    json_writer_u64(p, "connects", s.connects_total);
    json_writer_u64(p, "reuses", s.reuses_total);
    json_writer_u64(p, "retries", s.retries_total);
    json_writer_close(p, '}');
}

enum status views_routes(struct buf *out, const struct admin_view *v)
{
    const struct proxy_parts *parts = &v->proxy->parts;
    const struct account *a = &v->proxy->account;
    const struct upstreams *all = parts->upstreams;
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    json_writer_open(&p, "routed", '{');
    write_reasons(&p, "local", a->routed_local);
    write_reasons(&p, "upstream", a->routed_upstream);
    json_writer_close(&p, '}');
    json_writer_open(&p, "rules", '[');
    for (size_t i = 0; i < parts->config->route_count; i++)
        write_rule(&p, &parts->config->routes[i]);
    json_writer_close(&p, ']');
    json_writer_open(&p, "places", '[');
    for (size_t i = 0; all != NULL && i < all->count; i++) {
        for (size_t k = 0; k < all->list[i]->place_count; k++)
            write_place(&p, all->list[i], k);
    }
    json_writer_close(&p, ']');
    json_writer_u64(&p, "failures", a->upstream_failures_total);
    json_writer_u64(&p, "timeouts", a->upstream_timeouts_total);
    json_writer_u64(&p, "failovers", a->upstream_failovers_total);
    json_writer_u64(&p, "broken", a->broken_streams_total);
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}

/* --- /admin/v1/engine -----------------------------------------------------------------------
 */

static void write_encoder(struct json_writer *p, const struct proxy *x)
{
    struct embedder *e = x->parts.embedder;
    uint64_t texts, batches;

    if (e == NULL)
        return;
    embedder_counts(e, &texts, &batches);
    json_writer_open(p, "encoder", '{');
    json_writer_text(p, "model", x->parts.encoder_name);
    json_writer_u64(p, "dimensions", embedder_dimensions(e));
    json_writer_u64(p, "queue", embedder_queued(e));
    json_writer_u64(p, "texts", texts);
    json_writer_u64(p, "batches", batches);
    json_writer_u64(p, "overload", x->account.embed_overload_total);
    json_writer_u64(p, "timeouts", x->account.embed_timeout_total);
    json_writer_real(p, "cpu_seconds", x->account.cost_encoder_s);
    json_writer_close(p, '}');
}

static void write_local(struct json_writer *p, const struct proxy *x)
{
    const struct ledger_sums *own = &x->parts.ledger->started[SOURCE_LOCAL];
    struct local_model *m = x->parts.local;
    uint64_t guessed = 0, right = 0;
    struct model_info info;
    struct local_counts c;

    if (m == NULL)
        return;
    local_model_info(m, &info);
    local_model_counts(m, &c);
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++) {
        guessed += c.sessions.guessed[i];
        right += c.sessions.right[i];
    }
    json_writer_open(p, "local", '{');
    json_writer_text(p, "model", local_model_name(m, 0));
    json_writer_text(p, "architecture", span_of(info.architecture));
    json_writer_text(p, "weights", span_of(info.weights));
    json_writer_u64(p, "parameters", info.parameters);
    json_writer_u64(p, "memory_bytes", info.memory_bytes);
    json_writer_u64(p, "queue", c.queued);
    json_writer_u64(p, "running", c.running);
    json_writer_u64(p, "answers", own->requests);
    json_writer_u64(p, "prompt_tokens", own->prompt_tokens);
    json_writer_u64(p, "completion_tokens", own->completion_tokens);
    json_writer_u64(p, "passes", c.sessions.passes);
    json_writer_u64(p, "pass_tokens", c.sessions.columns);
    json_writer_u64(p, "reused_tokens", c.sessions.reused);
    json_writer_u64(p, "guessed_tokens", guessed);
    json_writer_u64(p, "guessed_right", right);
    json_writer_u64(p, "pages", c.sessions.pages);
    json_writer_u64(p, "pages_used", c.sessions.used);
    json_writer_u64(p, "pages_kept", c.sessions.kept);
    json_writer_real(p, "cpu_seconds", x->account.cost_local_s);
    /* From the first byte of a request to the last of its answer, waiting included. */
    json_writer_real(p, "answer_seconds", x->account.latency[SOURCE_LOCAL].sum_s);
    json_writer_close(p, '}');
}

enum status views_engine(struct buf *out, const struct admin_view *v)
{
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    json_writer_text(&p, "kernels", span_of(cpu_kernels()));
    json_writer_real(&p, "lookup_cpu_seconds", v->proxy->account.cost_lookup_s);
    write_encoder(&p, v->proxy);
    write_local(&p, v->proxy);
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}
