/* /admin/v1/routes: which tier was asked and why, the operator's rules, and the upstreams with
 * their connections. */
#include <string.h>

#include "admin/admin.h"
#include "admin/views.h"
#include "base/json_writer.h"
#include "config/config.h"
#include "http/client.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"

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
    const struct upstreams *all = parts->setup->upstreams;
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
