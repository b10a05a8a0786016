#include "cli/cache_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "cache/entry.h"
#include "cache/store.h"
#include "cli/cache_send.h"
#include "cli/encoder_settings.h"
#include "cli/seal_settings.h"
#include "cli/serve_files.h"
#include "cli/store_settings.h"
#include "cli/version.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"
#include "proxy/embedder.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/upstreams.h"
#include "rt/connect.h"
#include "rt/loop.h"

#define SECRET_BYTES_MAX 4096
#define DNS_TTL_MAX_S    60
#define BATCH            64 /* entries the store has before it is waited for */
#define STORE_WAIT_US    (10 * UINT64_C(1000000))
#define TURN_PAUSE_NS    200000

/* --- opening ------------------------------------------------------------------------------ */

static bool complain(const char *why)
{
    fprintf(stderr, "ibid: %s\n", why);
    return false;
}

/* The loop runs while `done` says no, and for no longer than the store may take. */
static bool turn_until(struct cache_parts *p, bool (*done)(const struct cache_parts *p))
{
    const struct timespec pause = {0, TURN_PAUSE_NS};
    uint64_t until = clock_now_us() + STORE_WAIT_US;

    for (;;) {
        (void)loop_turn(p->loop);
        if (done(p))
            return true;
        if (clock_now_us() > until)
            return false;
        nanosleep(&pause, NULL);
    }
}

static struct store_stats stats_of(const struct cache_parts *p)
{
    struct store_stats s = {.up = false};

    p->store->ops->stats(p->store, &s);
    return s;
}

static bool is_up(const struct cache_parts *p)
{
    return stats_of(p).up;
}

static bool open_loop(struct cache_parts *p, const struct config *c, char *why, size_t why_cap)
{
    struct connector_options co = {.dns_ttl_max_s = DNS_TTL_MAX_S};

    *p = (struct cache_parts){.config = c};
    log_set_level(LOG_ERROR); /* a command says itself what there is to say */
    buf_init(&p->secret, SECRET_BYTES_MAX);
    if (serve_files_mkdir(c->data_dir, why, why_cap) != ST_OK)
        return false;
    snprintf(why, why_cap, "out of memory");
    return loop_open(&p->loop) == ST_OK && connector_open(p->loop, &co, &p->connector) == ST_OK;
}

static bool open_store(struct cache_parts *p, char *why, size_t why_cap)
{
    const struct config *c = p->config;
    struct store_options o = store_settings(c);

    if (seal_settings_read(c, &p->seal, why, why_cap) != ST_OK)
        return false;
    o.seal = p->seal.count > 0 ? &p->seal : NULL;
    snprintf(why, why_cap,
             "store.url: memory: ends with its process; there is nothing to read from or to "
             "write to");
    if (strcmp(c->store.url, "memory:") == 0 ||
        store_open(p->loop, p->connector, &o, &p->store, why, why_cap) != ST_OK)
        return false;
    if (turn_until(p, is_up))
        return true;
    snprintf(why, why_cap, "%s",
             stats_of(p).trouble[0] != '\0' ? stats_of(p).trouble
                                            : "the store can not be reached");
    return false;
}

bool cache_parts_open_store(struct cache_parts *p, const struct config *c)
{
    char why[CONFIG_TEXT_MAX + 256] = "";

    return open_loop(p, c, why, sizeof(why)) && open_store(p, why, sizeof(why)) ? true
                                                                                : complain(why);
}

bool cache_parts_open_sink(struct cache_parts *p, const struct config *c, const char *admin)
{
    bool shared = strncmp(c->store.url, "redis", 5) == 0;
    const char *address = admin != NULL ? admin : c->admin.listen;
    char why[CONFIG_TEXT_MAX + 256] = "";

    if (!open_loop(p, c, why, sizeof(why)))
        return complain(why);
    if (admin == NULL && open_store(p, why, sizeof(why)))
        return true;
    if (admin == NULL && shared)
        return complain(why);
    p->send = calloc(1, sizeof(*p->send));
    if (p->send == NULL)
        return complain("out of memory");
    if (cache_send_open(p->send, c, address, admin == NULL))
        return true;
    if (admin != NULL)
        return false; /* it was said */
    fprintf(stderr, "ibid: %s, and no ibid takes entries at '%s'\n", why, address);
    return false;
}

/* Without it entries are found by the very same request only, and that is said. */
static bool open_encoder(struct cache_parts *p)
{
    const struct config *c = p->config;
    struct encoder_options eo = encoder_settings(c);
    struct embedder_options o = {1, 1, 1};
    struct engine_error err = {.text = ""};
    struct model_info info;
    char path[CONFIG_TEXT_MAX];

    if (c->cache.semantic == SEMANTIC_OFF || c->encoder.model[0] == '\0' ||
        strcmp(c->encoder.model, "off") == 0)
        return true;
    if (model_path_encoder(c->model_dir, c->encoder.model, path, sizeof(path), err.text,
                           sizeof(err.text)) != ST_OK ||
        encoder_open(path, &eo, &p->encoder, &err) != ST_OK)
        return complain(err.text);
    if (encoder_session_open(p->encoder, &p->session) != ST_OK ||
        embedder_open(p->encoder, &o, &p->embedder) != ST_OK)
        return complain("out of memory");
    encoder_info(p->encoder, &info);
    snprintf(p->encoder_id, sizeof(p->encoder_id), "%s %s", info.id, info.weights);
    return true;
}

/* --- closing, highest first --------------------------------------------------------------- */

static void on_store_closed(void *owner)
{
    struct cache_parts *p = owner;

    p->store = NULL;
    if (p->connector != NULL)
        connector_close(p->connector);
    p->connector = NULL;
}

static void on_setup_gone(void *owner)
{
    struct cache_parts *p = owner;

    p->setup = NULL;
    if (p->store != NULL)
        p->store->ops->close(p->store, on_store_closed, p);
    else
        on_store_closed(p);
}

/* --- the proxy ---------------------------------------------------------------------------- */

bool cache_parts_open_proxy(struct cache_parts *p)
{
    const struct config *c = p->config;
    struct proxy_parts parts = {.loop = p->loop, .version = SPAN(IBID_VERSION)};
    char why[CONFIG_TEXT_MAX + 256] = "";
    bool generated;

    if (serve_files_secret(c->secret_file, c->data_dir, "secret", &p->secret, &generated, why,
                           sizeof(why)) != ST_OK ||
        setup_open(p->loop, c, on_setup_gone, p, &p->setup) != ST_OK ||
        upstreams_open(p->loop, p->connector, p->setup->config, NULL, &p->setup->upstreams, why,
                       sizeof(why)) != ST_OK)
        return complain(why);
    if (!open_encoder(p))
        return false;
    ledger_init(&p->ledger, c->account.rows_max, clock_wall_ms());
    parts.ledger = &p->ledger;
    parts.setup = p->setup;
    parts.embedder = p->embedder;
    parts.encoder_id = span_of(p->encoder_id);
    parts.encoder_name = SPAN("");
    parts.secret = buf_span(&p->secret);
    return proxy_open(&parts, &p->proxy) == ST_OK ? true : complain("out of memory");
}

static void on_proxy_closed(void *owner)
{
    struct cache_parts *p = owner;

    p->proxy = NULL;
    ledger_release(&p->ledger);
    if (p->setup != NULL)
        setup_unref(p->setup);
    else
        on_setup_gone(p);
}

void cache_parts_close(struct cache_parts *p)
{
    if (p->loop != NULL) {
        if (p->proxy != NULL)
            proxy_close(p->proxy, on_proxy_closed, p);
        else
            on_proxy_closed(p);
        loop_run(p->loop);
        if (loop_close(p->loop) != ST_OK)
            (void)complain("a part did not close");
    }
    if (p->send != NULL)
        cache_send_close(p->send);
    free(p->send);
    if (p->embedder != NULL)
        embedder_close(p->embedder);
    if (p->session != NULL)
        encoder_session_close(p->session);
    if (p->encoder != NULL)
        encoder_close(p->encoder);
    buf_release(&p->secret);
    digest_wipe(&p->seal, sizeof(p->seal));
}

/* --- storing ------------------------------------------------------------------------------ */

static uint64_t settled(const struct cache_parts *p)
{
    struct store_stats s = stats_of(p);

    return s.puts_total + s.errors_total + s.dropped_total;
}

static bool is_settled(const struct cache_parts *p)
{
    return settled(p) >= p->submitted;
}

bool cache_parts_settle(struct cache_parts *p)
{
    if (p->send != NULL)
        return cache_send_settle(p->send);
    return turn_until(p, is_settled);
}

uint64_t cache_parts_lost(const struct cache_parts *p)
{
    uint64_t kept = p->send != NULL ? p->submitted - p->send->lost : stats_of(p).puts_total;

    return p->submitted > kept ? p->submitted - kept : 0;
}

/* A text that the encoder does not take stays without a vector. */
static struct entry *with_vector(struct cache_parts *p, struct entry *e)
{
    const struct engine_stop never = {NULL, NULL};
    float vector[ENTRY_DIMENSIONS_MAX];
    struct entry copy = *e, *whole;
    struct model_info info;
    enum status each = ST_OK;

    if (p->session == NULL || e->vector != NULL || e->question.len == 0)
        return e;
    encoder_info(p->encoder, &info);
    if (info.dimensions > ENTRY_DIMENSIONS_MAX ||
        encoder_embed(p->session, &e->question, 1, vector, &each, never) != ST_OK ||
        each != ST_OK)
        return e;
    copy.vector = vector;
    copy.dimensions = info.dimensions;
    if (entry_new(&copy, &whole) != ST_OK)
        return e;
    entry_unref(e);
    return whole;
}

bool cache_parts_put(struct cache_parts *p, struct entry *e)
{
    bool sent = true;

    e = with_vector(p, e);
    if (p->send != NULL)
        sent = cache_send_put(p->send, e);
    else
        p->store->ops->put(p->store, e);
    entry_unref(e);
    p->submitted++;
    if (p->send != NULL)
        return sent;
    return p->submitted % BATCH != 0 || cache_parts_settle(p);
}
