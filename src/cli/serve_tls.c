#include "cli/serve_tls.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "admin/metrics_tls.h"
#include "base/log.h"
#include "cli/tls_settings.h"
#include "config/config.h"
#include "config/listen.h"
#include "rt/io_tls_server.h"
#include "rt/loop.h"
#include "rt/timer.h"

enum { CLIENTS, ADMIN, BOTH };

struct serve_tls {
    struct loop *loop;
    const struct config *config; /* borrowed; while it opens */
    struct {
        struct io_tls_server *server; /* owned; NULL: it speaks no TLS */
        struct tls_door *door;        /* owned */
    } of[BOTH];
    struct timer look;
    uint64_t look_us; /* 0: never */
    struct metrics_tls metrics;
};

static const char *const names[BOTH] = {"clients", "admin"};

/* --- renewal ----------------------------------------------------------------------- */

static void tell(const struct io_tls_server *server)
{
    struct io_tls_identity_facts f;
    char day[32] = "";
    struct tm at;
    time_t s;

    io_tls_server_facts(server, &f);
    s = (time_t)f.not_after_s;
    if (gmtime_r(&s, &at) == NULL || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%SZ", &at) == 0)
        day[0] = '\0';
    log_at(LOG_INFO, NULL, kv_event("tls_certificate"), kv_str("expires", day));
}

/* Both read the same certificate, so that the second one fails where the first one did; but it
 * may have authorities of its own. */
enum status serve_tls_reload(struct serve_tls *t, char *why, size_t why_cap)
{
    enum status st = ST_OK;
    const struct io_tls_server *told = NULL;

    why[0] = '\0';
    for (size_t i = 0; st == ST_OK && i < BOTH; i++) {
        if (t->of[i].server == NULL)
            continue;
        st = io_tls_server_reload(t->of[i].server, why, why_cap);
        told = t->of[i].server;
    }
    if (st == ST_OK && told != NULL) {
        t->metrics.reloads_total++;
        tell(told);
    } else if (st != ST_OK) {
        t->metrics.reload_failures_total++;
        log_at(LOG_ERROR, NULL, kv_event("tls_certificate_refused"), kv_str("why", why),
               kv_str("kept", "the certificate from before"));
    }
    return st;
}

static void on_look(struct timer *timer)
{
    struct serve_tls *t = CONTAINER_OF(timer, struct serve_tls, look);
    bool stale = false;
    char why[256];

    for (size_t i = 0; i < BOTH; i++)
        stale |= t->of[i].server != NULL && io_tls_server_is_stale(t->of[i].server);
    if (stale)
        (void)!serve_tls_reload(t, why, sizeof(why)); /* it has said so */
    timer_start(t->loop, &t->look, t->look_us, on_look);
}

/* --- opening ----------------------------------------------------------------------- */

static enum status open_one(struct serve_tls *t, size_t i, tls_door_pass_fn *pass, void *owner,
                            char *why, size_t why_cap)
{
    const struct config *c = t->config;
    struct io_tls_server_options so = {.files = tls_settings_files(c, i == ADMIN),
                                       .http2 =
                                           i == CLIENTS && c->limits.http2_streams_max > 0};
    struct tls_door_options o = {.name = names[i],
                                 .handshake_timeout_us = c->tls.handshake_timeout_ms * 1000,
                                 .handshakes_max = (uint32_t)c->tls.handshakes_max};
    enum status st = io_tls_server_open(t->loop, &so, &t->of[i].server, why, why_cap);
    size_t n = t->metrics.count;

    if (st != ST_OK)
        return st;
    st = tls_door_open(t->loop, t->of[i].server, &o, pass, owner, &t->of[i].door);
    if (st != ST_OK)
        return st;
    t->metrics.of[n].name = names[i];
    t->metrics.of[n].door = t->of[i].door;
    t->metrics.of[n].server = t->of[i].server;
    t->metrics.count++;
    return ST_OK;
}

/* Who starts with a certificate that nobody takes is told, and can renew it while it runs. */
static void look_at_it(const struct serve_tls *t, char *why, size_t why_cap)
{
    struct io_tls_identity_facts f;
    int64_t now = (int64_t)time(NULL);
    char warning[CONFIG_TEXT_MAX + 128];

    io_tls_server_facts(t->metrics.of[0].server, &f);
    if (now > f.not_after_s)
        snprintf(why, why_cap, "the certificate has expired");
    else if (now < f.not_before_s)
        snprintf(why, why_cap, "the certificate is not valid yet");
    else if (tls_settings_warn(t->config, &f, warning, sizeof(warning)))
        log_at(LOG_WARN, NULL, kv_event("tls_warning"), kv_str("why", warning));
}

enum status serve_tls_open(struct loop *loop, const struct config *config,
                           const struct serve_tls_passes *to, struct serve_tls **out, char *why,
                           size_t why_cap)
{
    bool clients = config_listens_tls(config), admin = listen_is_tls(config->admin.listen);
    struct serve_tls *t;
    enum status st = ST_OK;

    why[0] = '\0';
    *out = NULL;
    if (!clients && !admin)
        return ST_OK;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ST_NOMEM;
    t->loop = loop;
    t->config = config;
    if (clients)
        st = open_one(t, CLIENTS, to->client, to->owner, why, why_cap);
    if (st == ST_OK && admin)
        st = open_one(t, ADMIN, to->admin, to->owner, why, why_cap);
    if (st != ST_OK) {
        serve_tls_close(t);
        return st;
    }
    look_at_it(t, why, why_cap);
    tell(t->metrics.of[0].server);
    t->look_us = config->tls.reload_s * 1000000;
    if (t->look_us > 0)
        timer_start(loop, &t->look, t->look_us, on_look);
    *out = t;
    return ST_OK;
}

void serve_tls_close(struct serve_tls *t)
{
    if (t == NULL)
        return;
    timer_stop(t->loop, &t->look);
    for (size_t i = 0; i < BOTH; i++) {
        if (t->of[i].door != NULL)
            tls_door_close(t->of[i].door);
        if (t->of[i].server != NULL)
            io_tls_server_close(t->of[i].server);
    }
    free(t);
}

struct tls_door *serve_tls_clients(const struct serve_tls *t)
{
    return t != NULL ? t->of[CLIENTS].door : NULL;
}

struct tls_door *serve_tls_admin(const struct serve_tls *t)
{
    return t != NULL ? t->of[ADMIN].door : NULL;
}

const struct metrics_tls *serve_tls_metrics(const struct serve_tls *t)
{
    return t != NULL ? &t->metrics : NULL;
}
