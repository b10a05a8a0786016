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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "cache/cache.h"
#include "cache/redis_url.h"
#include "cli/config_load.h"
#include "cli/decoder_settings.h"
#include "cli/serve_adapters.h"
#include "cli/cascade_default.h"
#include "cli/encoder_settings.h"
#include "cli/router_default.h"
#include "cli/privacy_settings.h"
#include "cli/serve_files.h"
#include "cli/version.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"
#include "privacy/finder.h"
#include "proxy/embedder.h"
#include "proxy/ledger_keeper.h"
#include "proxy/local_model.h"
#include "proxy/prompt.h"
#include "proxy/proxy.h"
#include "proxy/routing.h"
#include "proxy/trial.h"
#include "proxy/upstreams.h"
#include "rt/connect.h"
#include "rt/listener.h"
#include "rt/loop.h"
#include "rt/signals.h"
#include "rt/timer.h"

#define SECRET_BYTES_MAX 4096
#define DNS_TTL_MAX_S    60
#define LISTEN_BACKLOG   1024
/* For the last words of answers that are broken off. */
#define CUT_TIME_US 500000

struct server {
    struct config config;
    struct ledger_keeper *keeper;
    struct loop *loop;
    struct connector *connector;
    struct signals *signals;
    struct cache *cache;
    struct encoder *encoder;
    struct embedder *embedder;
    struct decoder *decoder, *guesser;
    struct local_model *local;
    struct upstreams *upstreams;
    struct routing *routing;
    struct trial *trial;
    struct prompt_book *prompts;
    struct finder *finder;
    struct proxy *proxy;
    struct serve_adapters adapters;
    struct admin *admin;
    struct listener *listeners[CONFIG_LISTEN_MAX];
    struct listener *admin_listener;
    struct buf secret, token;
    struct admin_view view;
    struct timer drain_timer;
    char encoder_id[128];
    char encoder_name[64];
    uint64_t started_us;
    bool stopping; /* a signal came */
    bool cutting;  /* draining took too long: answers are being broken off */
    bool closing;  /* connections are being cut */
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

/* A model that can not guess for the other is left out, with a word. */
static void open_guesser(struct server *s, const struct decoder_options *o)
{
    const struct config *c = &s->config;
    struct engine_error err = {{0}};
    struct model_info large, small;
    char path[CONFIG_TEXT_MAX];

    if (is_off(c->local.guess_model) || o->guessing == DECODER_GUESS_NEVER)
        return;
    if (model_path_decoder(c->model_dir, c->local.guess_model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        decoder_open(path, o, &s->guesser, &err) != ST_OK) {
        trouble(s, "guess_model", err.text);
        return;
    }
    decoder_info(s->decoder, &large);
    decoder_info(s->guesser, &small);
    if (small.context_max >= large.context_max &&
        decoder_same_vocabulary(s->decoder, s->guesser))
        return;
    trouble(s, "guess_model",
            "local.guess_model has not the vocabulary of local.model, or a shorter context; it "
            "guesses nothing");
    decoder_close(s->guesser);
    s->guesser = NULL;
}

static enum work_rank rank_of(const char *priority)
{
    return strcmp(priority, "idle") == 0  ? WORK_LAST
           : strcmp(priority, "low") == 0 ? WORK_BEHIND
                                          : WORK_EQUAL;
}

static void open_local(struct server *s)
{
    const struct config *c = &s->config;
    struct decoder_options od = decoder_settings(c);
    struct local_model_options o = {.chat_template = c->local.chat_template,
                                    .workers = (unsigned)c->local.workers,
                                    .threads = (unsigned)c->local.threads,
                                    .sequences = (unsigned)c->local.sequences,
                                    .queue_max = (unsigned)c->local.queue_max,
                                    .rank = rank_of(c->local.priority),
                                    .cpu_share = c->local.cpu_share,
                                    .max_tokens = (uint32_t)c->local.max_tokens};
    struct engine_error err = {{0}};
    char path[CONFIG_TEXT_MAX], name[128];

    if (is_off(c->local.model))
        return;
    if (model_path_decoder(c->model_dir, c->local.model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        decoder_open(path, &od, &s->decoder, &err) != ST_OK) {
        trouble(s, "local_model", err.text);
        return;
    }
    open_guesser(s, &od);
    model_path_name(c->local.model, name, sizeof(name));
    o.name = name;
    /* Without one of its adapters the model would answer for it, wrongly and without a word. */
    if (serve_adapters_open(c->local.adapters, name, s->decoder, &s->adapters, &err) != ST_OK) {
        trouble(s, "local_model", err.text);
        return;
    }
    o.adapters = s->adapters.list;
    o.adapter_count = s->adapters.count;
    o.guesser = s->guesser;
    if (local_model_open(s->decoder, &o, &s->local) != ST_OK)
        trouble(s, "local_model", "no thread for the model could be started");
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

static enum status open_cache(struct server *s)
{
    const struct config *c = &s->config;
    struct model_info info = {.dimensions = 0};
    struct cache_options o = {
        .store = {.url = c->store.url,
                  .data_dir = c->data_dir,
                  .ca_file = c->store.ca_file[0] != '\0' ? c->store.ca_file : NULL,
                  .entries_max = c->store.entries_max,
                  .bytes_max = c->store.bytes_max,
                  .deadline_ms = (uint32_t)c->store.deadline_ms,
                  .queue_max = (uint32_t)c->store.queue_max,
                  .prefix = c->store.prefix},
        .memory_max_bytes = c->store.memory_bytes_max,
        .refusals_max = (uint32_t)c->cache.refusals_max,
        .memory_entries_max = (uint32_t)c->store.memory_entries_max,
        .strangers = config_has_strangers(c),
        .index = {.entries_max = (uint32_t)c->cache.index_entries_max,
                  .bytes_max = c->cache.index_bytes_max,
                  .queue_max = (uint32_t)c->store.queue_max},
    };

    if (strcmp(c->cache.policy, "bounded") == 0)
        set_bounded(c, &o.bounded);
    if (s->embedder != NULL) {
        encoder_info(s->encoder, &info);
        o.index.dimensions = info.dimensions;
    }
    return cache_open(s->loop, s->connector, &o, &s->cache);
}

static enum status open_upstreams(struct server *s)
{
    char why[256] = "";
    enum status st =
        upstreams_open(s->loop, s->connector, &s->config, &s->upstreams, why, sizeof(why));

    /* A wrong URL or CA file is a mistake in the configuration, not an outage. */
    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    return st;
}

static enum status open_routing(struct server *s)
{
    char why[256] = "";
    enum status st = routing_open(&s->config, span_of(router_default), span_of(s->encoder_id),
                                  &s->routing, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    else if (why[0] != '\0')
        trouble(s, "routing", why);
    return st;
}

static enum status open_trial(struct server *s)
{
    char why[CONFIG_TEXT_MAX + 256] = "";
    enum status st =
        trial_open(&s->config, span_of(cascade_default), &s->trial, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    else if (why[0] == '\0' && s->trial != NULL && s->local != NULL)
        trial_check_model(s->trial, local_model_name(s->local, 0), why, sizeof(why));
    if (st == ST_OK && why[0] != '\0')
        trouble(s, "cascade", why);
    return st;
}

static enum status open_prompts(struct server *s)
{
    char why[2 * CONFIG_TEXT_MAX] = "no memory";
    enum status st = prompt_open(&s->config, &s->prompts, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    return st;
}

static enum status open_finder(struct server *s)
{
    char why[256] = "no memory";
    enum status st = privacy_settings_open(&s->config, &s->finder, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: privacy_patterns: %s\n", why);
    return st;
}

static enum status open_secrets(struct server *s)
{
    const struct config *c = &s->config;
    char why[256] = "";
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
        st = serve_files_secret(c->admin.token_file, c->data_dir, "admin.token", &s->token,
                                &generated, why, sizeof(why));
    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    return st;
}

static enum status open_ledger(struct server *s)
{
    char why[CONFIG_TEXT_MAX + 256];
    enum status st = ledger_keeper_open(s->loop, &s->config, &s->keeper, why, sizeof(why));

    if (st == ST_OK && why[0] != '\0')
        trouble(s, "ledger", why);
    return st;
}

static enum status open_proxy(struct server *s)
{
    struct proxy_parts parts = {
        .config = &s->config,
        .loop = s->loop,
        .cache = s->cache,
        .upstreams = s->upstreams,
        .embedder = s->embedder,
        .local = s->local,
        .routing = s->routing,
        .trial = s->trial,
        .prompts = s->prompts,
        .ledger = ledger_keeper_ledger(s->keeper),
        .keeper = s->keeper,
        .finder = s->finder,
        .encoder_id = span_of(s->encoder_id),
        .encoder_name = span_of(s->encoder_name),
        .version = SPAN(IBID_VERSION),
        .secret = buf_span(&s->secret),
    };
    enum status st = proxy_open(&parts, &s->proxy);

    if (st != ST_OK)
        return st;
    s->view.proxy = s->proxy;
    s->view.token = buf_span(&s->token);
    s->view.version = IBID_VERSION;
    s->view.started_us = s->started_us;
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

static enum status listen_on(struct server *s, const char *address, listener_accept_fn *accept,
                             const char *what, struct listener **out)
{
    struct listener_options o = {.backlog = LISTEN_BACKLOG};
    char why[256] = "";
    enum status st = listener_open(s->loop, address, &o, accept, s, out, why, sizeof(why));

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
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < s->config.listen_count; i++)
        st = listen_on(s, s->config.listen[i], on_client, "listen", &s->listeners[i]);
    if (st == ST_OK)
        st = listen_on(s, s->config.admin.listen, on_admin_client, "admin.listen",
                       &s->admin_listener);
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

/* No request is left, so no worker has anything to do. */
static void close_engine(struct server *s)
{
    routing_close(s->routing);
    trial_close(s->trial);
    prompt_close(s->prompts);
    if (s->embedder != NULL)
        embedder_close(s->embedder);
    if (s->local != NULL)
        local_model_close(s->local);
    serve_adapters_close(&s->adapters);
    if (s->encoder != NULL)
        encoder_close(s->encoder);
    if (s->decoder != NULL)
        decoder_close(s->decoder);
    if (s->guesser != NULL)
        decoder_close(s->guesser);
    if (s->keeper != NULL)
        ledger_keeper_close(s->keeper, on_ledger_closed, s);
    else
        close_cache(s);
}

static void on_upstream_closed(void *owner)
{
    struct server *s = owner;

    s->upstreams = NULL;
    close_engine(s);
}

static void close_upstream(struct server *s)
{
    if (s->upstreams != NULL)
        upstreams_close(s->upstreams, on_upstream_closed, s);
    else
        close_engine(s);
}

static void on_proxy_closed(void *owner)
{
    struct server *s = owner;

    s->proxy = NULL;
    close_upstream(s);
}

static void on_admin_closed(void *owner)
{
    struct server *s = owner;

    s->admin = NULL;
    if (s->proxy != NULL)
        proxy_close(s->proxy, on_proxy_closed, s);
    else
        on_proxy_closed(s);
}

static void close_all(struct server *s)
{
    if (s->closing)
        return;
    s->closing = true;
    timer_stop(s->loop, &s->drain_timer);
    for (size_t i = 0; i < s->config.listen_count; i++) {
        if (s->listeners[i] != NULL)
            listener_close(s->listeners[i]);
        s->listeners[i] = NULL;
    }
    if (s->admin_listener != NULL)
        listener_close(s->admin_listener);
    s->admin_listener = NULL;
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

/* The first signal drains, the second ends at once. */
static void on_signal(void *owner, int signum)
{
    struct server *s = owner;

    if (signum == SIGHUP)
        return;
    if (s->stopping) {
        close_all(s);
        return;
    }
    s->stopping = true;
    log_at(LOG_INFO, NULL, kv_event("draining"));
    timer_start(s->loop, &s->drain_timer, s->config.limits.drain_timeout_ms * 1000,
                on_drain_timeout);
    proxy_drain(s->proxy, on_drained, s);
}

/* --- the program ------------------------------------------------------------------- */

/* offline: the one place that there is. */
static bool is_store(void *owner, const struct endpoint *to)
{
    const struct server *s = owner;
    struct redis_url u;
    char why[128];

    if (strncmp(s->config.store.url, "redis", 5) != 0 || to->via != NULL ||
        redis_url_parse(s->config.store.url, &u, why, sizeof(why)) != ST_OK)
        return false;
    if (u.unix_socket)
        return to->unix_path != NULL && strcmp(to->unix_path, u.host) == 0;
    return to->unix_path == NULL && to->port == u.port && strcmp(to->host, u.host) == 0;
}

static enum status open_all(struct server *s)
{
    struct connector_options co = {.dns_ttl_max_s = DNS_TTL_MAX_S, .owner = s};
    enum status st = open_secrets(s);

    if (s->config.offline)
        co.allowed = is_store;
    if (st == ST_OK)
        st = open_finder(s);
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
    st = open_upstreams(s);
    if (st == ST_OK)
        st = open_routing(s);
    if (st == ST_OK)
        st = open_trial(s);
    if (st == ST_OK)
        st = open_prompts(s);
    if (st == ST_OK)
        st = open_cache(s);
    if (st == ST_OK)
        st = open_ledger(s);
    if (st == ST_OK)
        st = open_proxy(s);
    if (st == ST_OK)
        st = open_listeners(s);
    if (st == ST_OK && s->upstreams == NULL && s->local == NULL)
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
           kv_f64("start_s", s->view.ready_s));
    loop_run(s->loop);
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            log_set_level((enum log_level)i);
    }
}

/* Prompts in memory stay out of core files; the limit alone does not reach a core_pattern that
 * is a program (core(5)). What runs from here never has more rights than it has now. */
static void keep_to_itself(void)
{
    struct rlimit none = {0, 0};

    (void)!setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
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
    int rc;

    if (s == NULL)
        return 1;
    s->started_us = clock_now_us();
    rc = config_load(argc, argv, "serve", &s->config);
    if (rc >= 0) {
        free(s);
        return rc;
    }
    set_log_level(s->config.log_level);
    keep_to_itself();
    raise_file_limit();
    st = open_all(s);
    if (st == ST_OK) {
        run(s);
    } else if (s->loop != NULL) {
        close_all(s);
        loop_run(s->loop);
    }
    finder_close(s->finder);
    buf_release(&s->secret);
    buf_release(&s->token);
    if (s->loop != NULL && loop_close(s->loop) != ST_OK)
        log_at(LOG_ERROR, NULL, kv_event("handles_left_open"));
    free(s);
    return st == ST_OK ? 0 : 1;
}
