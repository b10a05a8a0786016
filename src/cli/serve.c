/* `ibid serve`: opens the parts, wires them, waits for signals, closes them in the
 * order in which nothing is left in flight.
 *
 * A part that cannot be opened is a trouble that /readyz names, not a reason to
 * stop: without an encoder there is no semantic cache, without a store the cache is
 * memory, without a model misses need an upstream. Only what a client would talk to
 * (a listener) and what keeps tenants apart (the secret) must be there. */
#include "cli/serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/audit.h"
#include "admin/otlp_metrics.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/seal.h"
#include "cache/cache.h"
#include "cli/config_load.h"
#include "cli/encoder_settings.h"
#include "cli/seal_settings.h"
#include "cli/serve_confine.h"
#include "cli/serve_files.h"
#include "cli/serve_quota.h"
#include "cli/serve_tls.h"
#include "cli/serve_log.h"
#include "cli/serve_reload.h"
#include "cli/serve_upgrade.h"
#include "cli/store_settings.h"
#include "cli/version.h"
#include "config/config.h"
#include "config/listen.h"
#include "config/model_path.h"
#include "engine/engine.h"
#include "proxy/access_log.h"
#include "proxy/embedder.h"
#include "proxy/ledger_keeper.h"
#include "proxy/local_models.h"
#include "proxy/otlp.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/trial.h"
#include "rt/carriers.h"
#include "rt/connect.h"
#include "rt/heap_keeper.h"
#include "rt/inherited.h"
#include "rt/listener.h"
#include "rt/loop.h"
#include "rt/signals.h"
#include "rt/timer.h"
#include "rt/turn_slice.h"

#define SECRET_BYTES_MAX 4096
#define DNS_TTL_MAX_S    60
#define LISTEN_BACKLOG   1024
#define LISTENERS_MAX    (CONFIG_LISTEN_MAX + 1)
/* For the last words of answers that are broken off. */
#define CUT_TIME_US 500000

struct server {
    struct config config;
    struct ledger_keeper *keeper;
    struct loop *loop;
    struct carriers *carriers; /* NULL: clients' sockets are on `loop` */
    struct heap_keeper *heap;  /* NULL: nothing is given back */
    struct connector *connector;
    struct signals *signals;
    struct cache *cache;
    struct encoder *encoder;
    struct embedder *embedder;
    struct local_models *local;
    struct reload_report *report; /* owned: of a reload that a signal asked for; or NULL */
    bool reload_again;            /* when it has ended */
    struct serve_reload reload;   /* has what requests are answered by */
    struct serve_upgrade upgrade;
    struct inherited inherited; /* sockets that were there before */
    struct otlp *otlp;
    struct access_log *access_log;
    struct audit *audit;
    struct trial *trial;
    struct proxy *proxy;
    struct admin *admin;
    struct listener *listeners[CONFIG_LISTEN_MAX];
    struct listener *admin_listener;
    struct serve_tls *tls; /* NULL: no address begins with tls: */
    struct buf secret, token;
    struct seal_ring seal; /* empty: nothing is sealed */
    struct admin_view view;
    struct timer drain_timer;
    char encoder_id[128];
    char encoder_name[64];
    uint64_t started_us;
    bool stopping; /* a signal came */
    bool cutting;  /* draining took too long: answers are being broken off */
    bool closing;  /* connections are being cut */
    bool refused;  /* what was configured can not be had */
};

static void trouble(struct server *s, const char *part, const char *why)
{
    struct admin_trouble *t;

    log_at(LOG_WARN, NULL, kv_event("degraded"), kv_str("part", part), kv_str("why", why));
    if (s->view.trouble_count == ADMIN_TROUBLES_MAX)
        return;
    t = &s->view.troubles[s->view.trouble_count++];
    t->part = part;
    snprintf(t->why, sizeof(t->why), "%s", why);
}

/* --- opening, lowest first --------------------------------------------------------- */

static bool is_off(const char *model)
{
    return model[0] == '\0' || strcmp(model, "off") == 0;
}

static void open_encoder(struct server *s)
{
    const struct config *c = &s->config;
    struct encoder_options eo = encoder_settings(c);
    struct embedder_options o = {(unsigned)c->encoder.workers, (unsigned)c->encoder.queue_max,
                                 (unsigned)c->encoder.batch_max};
    struct engine_error err = {{0}};
    struct model_info info;
    char path[CONFIG_TEXT_MAX];

    if (is_off(c->encoder.model) || c->cache.semantic == SEMANTIC_OFF)
        return;
    if (model_path_encoder(c->model_dir, c->encoder.model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        encoder_open(path, &eo, &s->encoder, &err) != ST_OK) {
        trouble(s, "encoder", err.text);
        return;
    }
    if (embedder_open(s->encoder, &o, &s->embedder) != ST_OK) {
        trouble(s, "encoder", "no thread for the encoder could be started");
        return;
    }
    encoder_info(s->encoder, &info);
    snprintf(s->encoder_id, sizeof(s->encoder_id), "%s %s", info.id, info.weights);
    model_path_name(c->encoder.model, s->encoder_name, sizeof(s->encoder_name));
}

/* What is wrong with one of them is seen in /readyz. */
static void open_local(struct server *s)
{
    if (local_models_open(s->loop, &s->config, &s->local) != ST_OK)
        trouble(s, "local_model", "no memory, or no thread to load models could be started");
}

static bool has_local(const struct server *s)
{
    return s->local != NULL &&
           local_models_absent(s->local) != (UINT32_C(1) << local_models_count(s->local)) - 1;
}

static void set_bounded(const struct config *c, struct bounded_options *out)
{
    *out = (struct bounded_options){.error_max = c->cache.error_max,
                                    .explore = c->cache.explore,
                                    .partitions_max = (uint32_t)c->cache.policy_partitions_max,
                                    .groups_max = (uint32_t)c->cache.index_entries_max};
    if (digest_random((uint8_t *)&out->seed, sizeof(out->seed)) != ST_OK)
        out->seed = clock_now_us();
}

static void close_all(struct server *s);

/* Nothing that was asked for can be had here: that is no bad day, but a wrong setting. */
static void on_unfit_store(void *owner, const char *why)
{
    struct server *s = owner;

    fprintf(stderr, "ibid: %s\n", why);
    s->refused = true;
    close_all(s);
}

static enum status open_cache(struct server *s)
{
    const struct config *c = &s->config;
    struct model_info info = {.dimensions = 0};
    struct cache_options o = {
        .store = store_settings(c),
        .memory_max_bytes = c->store.memory_bytes_max,
        .refusals_max = (uint32_t)c->cache.refusals_max,
        .memory_entries_max = (uint32_t)c->store.memory_entries_max,
        .strangers = config_has_strangers(c),
        .unfit = on_unfit_store,
        .unfit_owner = s,
        .index = {.entries_max = (uint32_t)c->cache.index_entries_max,
                  .bytes_max = c->cache.index_bytes_max,
                  .queue_max = (uint32_t)c->store.queue_max},
    };

    o.store.seal = s->seal.count > 0 ? &s->seal : NULL;
    if (c->cache.adapt)
        o.traffic_partitions_max = (uint32_t)c->cache.policy_partitions_max;
    if (strcmp(c->cache.policy, "bounded") == 0)
        set_bounded(c, &o.bounded);
    if (s->embedder != NULL) {
        encoder_info(s->encoder, &info);
        o.index.dimensions = info.dimensions;
    } else {
        o.store.vectors = STORE_VECTORS_NONE; /* there will be none */
    }
    return cache_open(s->loop, s->connector, &o, &s->cache);
}

static enum status open_setup(struct server *s)
{
    struct serve_reasons reasons = {.count = 0};
    enum status st;

    s->reload.started = &s->config;
    s->reload.quota = &s->view.quota;
    s->reload.at = (struct serve_place){
        .loop = s->loop, .connector = s->connector, .encoder_id = span_of(s->encoder_id)};
    s->reload.view = &s->view;
    st = serve_reload_open(&s->reload, &reasons);
    for (size_t i = 0; i < reasons.count; i++)
        fprintf(stderr, "ibid: %s\n", reasons.list[i]);
    return st;
}

static enum status open_trial(struct server *s)
{
    char why[CONFIG_TEXT_MAX + 256];
    enum status st = trial_open(&s->config, &s->trial, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    else if (why[0] != '\0')
        trouble(s, "outcomes", why);
    return st;
}

static enum status open_secrets(struct server *s)
{
    const struct config *c = &s->config;
    char why[CONFIG_TEXT_MAX + 256] = "";
    bool generated;
    enum status st = serve_files_mkdir(c->data_dir, why, sizeof(why));

    buf_init(&s->secret, SECRET_BYTES_MAX);
    buf_init(&s->token, SECRET_BYTES_MAX);
    if (st == ST_OK)
        st = serve_files_secret(c->secret_file, c->data_dir, "secret", &s->secret, &generated,
                                why, sizeof(why));
    if (st == ST_OK && generated && strncmp(c->store.url, "redis", 5) == 0)
        log_at(LOG_WARN, NULL, kv_event("secret_generated"),
               kv_str("why", "replicas on one Redis find each other's entries only with the "
                             "same secret; set secret_file"));
    if (st == ST_OK)
        st = seal_settings_read(c, &s->seal, why, sizeof(why));
    if (st == ST_OK)
        st = serve_files_secret(c->admin.token_file, c->data_dir, "admin.token", &s->token,
                                &generated, why, sizeof(why));
    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    return st;
}

static enum status open_access_log(struct server *s)
{
    char why[CONFIG_TEXT_MAX + 128] = "";
    enum status st = access_log_adopt(s->access_log, &s->config, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: access_log.path: %s\n", why);
    s->reload.access_log = s->access_log;
    return st;
}

static enum status open_audit(struct server *s)
{
    char why[CONFIG_TEXT_MAX + 128] = "";
    enum status st = audit_open(s->loop, &s->audit);

    if (st == ST_OK)
        st = audit_adopt(s->audit, &s->config, why, sizeof(why));
    if (st != ST_OK)
        fprintf(stderr, "ibid: audit_log.path: %s\n", why);
    s->view.audit = s->reload.audit = s->audit;
    return st;
}

/* By whom a signal was sent is not known. */
static void audit_signal(struct server *s, const char *action, const char *outcome)
{
    audit_note(s->audit,
               &(struct audit_event){.action = action, .by = "signal", .outcome = outcome});
}

static enum status open_telemetry(struct server *s)
{
    char why[256] = "";
    enum status st =
        otlp_open(s->loop, s->connector, &s->config, IBID_VERSION, &s->otlp, why, sizeof(why));

    if (st == ST_OK)
        st = access_log_open(s->loop, &s->access_log);
    if (st == ST_OK)
        st = open_access_log(s);
    if (st == ST_OK)
        st = open_audit(s);
    if (st != ST_OK && why[0] != '\0')
        fprintf(stderr, "ibid: %s\n", why);
    return st;
}

static enum status open_proxy(struct server *s)
{
    struct proxy_parts parts = {
        .setup = s->reload.setup,
        .loop = s->loop,
        .cache = s->cache,
        .embedder = s->embedder,
        .local = s->local,
        .trial = s->trial,
        .ledger = ledger_keeper_ledger(s->keeper),
        .keeper = s->keeper,
        .otlp = s->otlp,
        .access_log = s->access_log,
        .encoder_id = span_of(s->encoder_id),
        .encoder_name = span_of(s->encoder_name),
        .version = SPAN(IBID_VERSION),
        .secret = buf_span(&s->secret),
    };
    enum status st = proxy_open(&parts, &s->proxy);

    if (st != ST_OK)
        return st;
    s->reload.proxy = s->proxy;
    s->reload.models = s->local;
    s->view.proxy = s->proxy;
    s->view.upgrade_failures_total = &s->upgrade.failures_total;
    s->view.token = buf_span(&s->token);
    s->view.version = IBID_VERSION;
    s->view.started_us = s->started_us;
    if (s->otlp != NULL)
        otlp_set_metrics(s->otlp, otlp_metrics_write, &s->view);
    return admin_open(s->loop, &s->view, &s->admin);
}

static void on_client(void *owner, struct io *io, const char *peer)
{
    struct server *s = owner;

    proxy_accept(s->proxy, io, peer);
}

static void on_admin_client(void *owner, struct io *io, const char *peer)
{
    struct server *s = owner;

    admin_accept(s->admin, io, peer);
}

static void on_tls_client(void *owner, struct io *io, const char *peer)
{
    struct server *s = owner;

    tls_door_accept(serve_tls_clients(s->tls), io, peer);
}

static void on_tls_admin_client(void *owner, struct io *io, const char *peer)
{
    struct server *s = owner;

    tls_door_accept(serve_tls_admin(s->tls), io, peer);
}

static enum status open_tls(struct server *s)
{
    struct serve_tls_passes to = {on_client, on_admin_client, s};
    char why[CONFIG_TEXT_MAX + 256];
    enum status st = serve_tls_open(s->loop, &s->config, &to, &s->tls, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: tls: %s\n", why);
    else if (why[0] != '\0')
        trouble(s, "tls", why);
    s->view.tls = serve_tls_metrics(s->tls);
    s->reload.tls = s->tls;
    return st;
}

static enum status open_carriers(struct server *s)
{
    enum status st;

    if (s->config.loops < 2)
        return ST_OK;
    st = carriers_open(s->loop, (unsigned)s->config.loops - 1, &s->carriers);
    if (st != ST_OK)
        fprintf(stderr, "ibid: loops: not so many threads can be started\n");
    s->view.carriers = s->carriers;
    return st;
}

/* Nobody misses it but memory. */
static void open_heap(struct server *s)
{
    uint64_t every_us = s->config.limits.heap_return_s * 1000000;

    if (every_us > 0 && heap_keeper_open(every_us, &s->heap) != ST_OK)
        log_at(LOG_WARN, NULL, kv_event("heap_keeper_failed"));
    s->view.heap = s->heap;
}

/* `carriers`: NULL for few connections that take little. */
static enum status listen_on(struct server *s, const char *address, struct carriers *carriers,
                             listener_accept_fn *accept, const char *what,
                             struct listener **out)
{
    struct listener_options o = {
        .backlog = LISTEN_BACKLOG, .carriers = carriers, .inherited = &s->inherited};
    char why[256] = "";
    enum status st =
        listener_open(s->loop, listen_place(address), &o, accept, s, out, why, sizeof(why));

    if (st != ST_OK) {
        fprintf(stderr, "ibid: %s '%s': %s\n", what, address, why);
        return st;
    }
    log_at(LOG_INFO, NULL, kv_event("listening"), kv_str("what", what),
           kv_str("address", address), kv_u64("port", listener_port(*out)));
    return ST_OK;
}

static enum status open_listeners(struct server *s)
{
    enum status st = open_tls(s);

    for (size_t i = 0; st == ST_OK && i < s->config.listen_count; i++)
        st = listen_on(s, s->config.listen[i], s->carriers,
                       listen_is_tls(s->config.listen[i]) ? on_tls_client : on_client, "listen",
                       &s->listeners[i]);
    if (st == ST_OK)
        st = listen_on(s, s->config.admin.listen, NULL,
                       listen_is_tls(s->config.admin.listen) ? on_tls_admin_client
                                                             : on_admin_client,
                       "admin.listen", &s->admin_listener);
    return st;
}

/* --- closing, highest first -------------------------------------------------------- */

static void on_cache_closed(void *owner)
{
    struct server *s = owner;

    s->cache = NULL;
    if (s->connector != NULL)
        connector_close(s->connector);
    s->connector = NULL;
    if (s->signals != NULL)
        signals_close(s->signals);
    s->signals = NULL;
}

static void close_cache(struct server *s)
{
    if (s->cache != NULL)
        cache_close(s->cache, on_cache_closed, s);
    else
        on_cache_closed(s);
}

static void on_ledger_closed(void *owner)
{
    struct server *s = owner;

    s->keeper = NULL;
    close_cache(s);
}

static void close_ledger(struct server *s)
{
    trial_close(s->trial);
    s->trial = NULL;
    if (s->keeper != NULL)
        ledger_keeper_close(s->keeper, on_ledger_closed, s);
    else
        close_cache(s);
}

static void on_local_closed(void *owner)
{
    struct server *s = owner;

    s->local = NULL;
    close_ledger(s);
}

/* No request is left, so no worker has anything to do. */
static void close_engine(struct server *s)
{
    if (s->embedder != NULL)
        embedder_close(s->embedder);
    if (s->encoder != NULL)
        encoder_close(s->encoder);
    if (s->local != NULL)
        local_models_close(s->local, on_local_closed, s);
    else
        close_ledger(s);
}

static void on_setups_closed(void *owner)
{
    close_engine(owner);
}

static void on_audit_closed(void *owner)
{
    struct server *s = owner;

    s->audit = s->view.audit = NULL;
    serve_reload_close(&s->reload, on_setups_closed, s);
}

static void on_access_log_closed(void *owner)
{
    struct server *s = owner;

    s->access_log = NULL;
    if (s->audit != NULL)
        audit_close(s->audit, on_audit_closed, s);
    else
        on_audit_closed(s);
}

static void on_telemetry_closed(void *owner)
{
    struct server *s = owner;

    s->otlp = NULL;
    if (s->access_log != NULL)
        access_log_close(s->access_log, on_access_log_closed, s);
    else
        on_access_log_closed(s);
}

static void on_carriers_closed(void *owner)
{
    struct server *s = owner;

    s->carriers = NULL;
    if (s->otlp != NULL)
        otlp_close(s->otlp, on_telemetry_closed, s);
    else
        on_telemetry_closed(s);
}

static void on_proxy_closed(void *owner)
{
    struct server *s = owner;

    s->proxy = NULL;
    if (s->carriers != NULL)
        carriers_close(s->carriers, on_carriers_closed, s);
    else
        on_carriers_closed(s);
}

static void on_admin_closed(void *owner)
{
    struct server *s = owner;

    s->admin = NULL;
    if (s->otlp != NULL)
        otlp_set_metrics(s->otlp, NULL, NULL); /* they look into the proxy */
    if (s->proxy != NULL)
        proxy_close(s->proxy, on_proxy_closed, s);
    else
        on_proxy_closed(s);
}

/* All that there are; at most LISTENERS_MAX. */
static size_t list_listeners(const struct server *s, struct listener *out[LISTENERS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < s->config.listen_count; i++) {
        if (s->listeners[i] != NULL)
            out[n++] = s->listeners[i];
    }
    if (s->admin_listener != NULL)
        out[n++] = s->admin_listener;
    return n;
}

static void close_listeners(struct server *s)
{
    struct listener *all[LISTENERS_MAX];
    size_t n = list_listeners(s, all);

    for (size_t i = 0; i < n; i++)
        listener_close(all[i]);
    memset(s->listeners, 0, sizeof(s->listeners));
    s->admin_listener = NULL;
}

static void close_all(struct server *s)
{
    if (s->closing)
        return;
    s->closing = true;
    timer_stop(s->loop, &s->drain_timer);
    serve_upgrade_cancel(&s->upgrade);
    close_listeners(s);
    s->view.tls = NULL;
    serve_tls_close(s->tls);
    s->tls = s->reload.tls = NULL;
    /* It looks into the proxy. */
    if (s->admin != NULL)
        admin_close(s->admin, on_admin_closed, s);
    else
        on_admin_closed(s);
}

static void on_drained(void *owner)
{
    close_all(owner);
}

static void on_drain_timeout(struct timer *t)
{
    struct server *s = CONTAINER_OF(t, struct server, drain_timer);

    if (s->cutting) {
        close_all(s);
        return;
    }
    s->cutting = true;
    log_at(LOG_WARN, NULL, kv_event("drain_timeout"));
    timer_start(s->loop, &s->drain_timer, CUT_TIME_US, on_drain_timeout);
    proxy_cut(s->proxy);
}

static void reload(struct server *s);

static void on_reloaded(void *who)
{
    struct server *s = who;
    bool again = s->reload_again;

    if (s->audit != NULL)
        audit_signal(s, "reload", s->report->adopted ? "done" : "refused");
    free(s->report);
    s->report = NULL;
    s->reload_again = false;
    if (again)
        reload(s);
}

/* What comes of it is in the log. A signal that comes meanwhile may mean what was written
 * since. */
static void reload(struct server *s)
{
    if (s->report != NULL) {
        s->reload_again = true;
        return;
    }
    if (s->proxy != NULL)
        s->report = calloc(1, sizeof(*s->report));
    if (s->report == NULL)
        audit_signal(s, "reload", "refused");
    else if (serve_reload_run(&s->reload, s->report, on_reloaded, s))
        on_reloaded(s);
}

/* --- another program in our place ---------------------------------------------------- */

static void on_files_lent(void *owner)
{
    struct server *s = owner;

    if (s->upgrade.running)
        serve_upgrade_go(&s->upgrade);
    else
        cache_take_files_back(s->cache);
}

static void pause_serving(void *owner)
{
    struct server *s = owner;
    struct listener *all[LISTENERS_MAX];
    size_t n = list_listeners(s, all);

    for (size_t i = 0; i < n; i++)
        listener_pause(all[i]);
    cache_lend_files(s->cache, on_files_lent, s);
}

static void resume_serving(void *owner)
{
    struct server *s = owner;
    struct listener *all[LISTENERS_MAX];
    size_t n = list_listeners(s, all);

    cache_take_files_back(s->cache);
    for (size_t i = 0; i < n; i++)
        listener_resume(all[i]);
}

static void start_drain_timer(struct server *s)
{
    s->stopping = true;
    timer_start(s->loop, &s->drain_timer,
                s->reload.setup->config->limits.drain_timeout_ms * 1000, on_drain_timeout);
}

static void retire(void *owner)
{
    struct server *s = owner;
    struct listener *all[LISTENERS_MAX];
    size_t n = list_listeners(s, all);

    audit_signal(s, "upgrade", "done");
    for (size_t i = 0; i < n; i++)
        listener_let_go(all[i]);
    close_listeners(s);
    start_drain_timer(s);
    proxy_retire(s->proxy, on_drained, s);
}

static const struct serve_upgrade_events upgrade_events = {
    .pause = pause_serving, .resume = resume_serving, .retire = retire};

static void upgrade(struct server *s)
{
    struct listener *all[LISTENERS_MAX];

    audit_signal(s, "upgrade", "begun");
    if (s->admin_listener != NULL && !s->stopping)
        serve_upgrade_start(&s->upgrade, all, list_listeners(s, all));
}

/* --- signals -------------------------------------------------------------------------- */

/* The first signal drains, the second ends at once. */
static void on_signal(void *owner, int signum)
{
    struct server *s = owner;

    if (signum == SIGHUP) {
        reload(s);
        return;
    }
    if (signum == SIGUSR2) {
        upgrade(s);
        return;
    }
    if (s->stopping) {
        close_all(s);
        return;
    }
    log_at(LOG_INFO, NULL, kv_event("draining"));
    audit_signal(s, "stop", "begun");
    serve_upgrade_cancel(&s->upgrade);
    start_drain_timer(s);
    proxy_drain(s->proxy, on_drained, s);
}

/* --- the program ------------------------------------------------------------------- */

/* offline: the one place that there is. */
static bool is_store(void *owner, const struct endpoint *to)
{
    const struct server *s = owner;

    return store_settings_is_place(&s->config, to);
}

static enum status open_all(struct server *s)
{
    struct connector_options co = {.dns_ttl_max_s = DNS_TTL_MAX_S, .owner = s};
    enum status st = open_secrets(s);

    if (s->config.offline)
        co.allowed = is_store;
    if (st == ST_OK)
        st = loop_open(&s->loop);
    if (st == ST_OK)
        st = connector_open(s->loop, &co, &s->connector);
    if (st == ST_OK)
        st = signals_open(s->loop, on_signal, s, &s->signals);
    if (st != ST_OK)
        return st;
    open_encoder(s);
    open_local(s);
    st = open_setup(s);
    if (st == ST_OK)
        st = serve_upgrade_await(&s->inherited);
    if (st == ST_OK)
        st = open_trial(s);
    if (st == ST_OK)
        st = open_cache(s);
    if (st == ST_OK)
        st = ledger_keeper_open(s->loop, &s->config, &s->keeper);
    if (st == ST_OK)
        st = open_telemetry(s);
    if (st == ST_OK)
        st = open_proxy(s);
    if (st == ST_OK)
        st = open_carriers(s);
    if (st == ST_OK)
        open_heap(s);
    if (st == ST_OK)
        st = open_listeners(s);
    if (st == ST_OK && s->reload.setup->upstreams == NULL && !has_local(s))
        trouble(s, "answerer",
                "neither upstream.url nor a built-in model: only stored answers "
                "can be given");
    return st;
}

static void run(struct server *s)
{
    s->view.ready_s = (double)(clock_now_us() - s->started_us) / 1e6;
    log_at(LOG_INFO, NULL, kv_event("ready"), kv_str("version", IBID_VERSION),
           kv_str("kernels", cpu_kernels()), kv_str("index", index_backend()),
           kv_f64("cpus", s->view.quota.cpus), kv_f64("start_s", s->view.ready_s));
    s->upgrade.loop = s->loop;
    s->upgrade.events = &upgrade_events;
    s->upgrade.owner = s;
    serve_upgrade_ready(&s->inherited);
    loop_run(s->loop);
}

/* Two descriptors a request, and a shell's usual 1024 is soon used up. */
static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    (void)!setrlimit(RLIMIT_NOFILE, &files);
}

int serve_main(int argc, char **argv)
{
    struct server *s = calloc(1, sizeof(*s));
    enum status st;
    bool failed;
    int rc;

    if (s == NULL)
        return 1;
    s->started_us = clock_now_us();
    serve_upgrade_init(&s->upgrade, argv);
    inherited_init(&s->inherited);
    rc = config_load_arguments(argc, argv, "serve", &s->reload.file);
    if (rc < 0)
        rc = config_load_file(s->reload.file, &s->config);
    if (rc >= 0) {
        free(s);
        return rc;
    }
    serve_log_level(s->config.log_level);
    quota_read("", &s->view.quota);
    serve_quota_apply(&s->view.quota, &s->config);
    serve_confine(&s->config);
    turn_slice_shorten(); /* the loop is this thread */
    raise_file_limit();
    st = open_all(s);
    if (st == ST_OK) {
        run(s);
    } else if (s->loop != NULL) {
        close_all(s);
        loop_run(s->loop);
    }
    if (s->heap != NULL)
        heap_keeper_close(s->heap);
    inherited_release(&s->inherited);
    buf_release(&s->secret);
    buf_release(&s->token);
    digest_wipe(&s->seal, sizeof(s->seal));
    if (s->loop != NULL && loop_close(s->loop) != ST_OK)
        log_at(LOG_ERROR, NULL, kv_event("handles_left_open"));
    failed = s->refused;
    free(s->report);
    free(s);
    return st == ST_OK && !failed ? 0 : 1;
}
