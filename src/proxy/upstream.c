#include "proxy/upstream.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "proxy/controls.h"
#include "proxy/credential.h"
#include "rt/connect.h"
#include "rt/io_tls.h"

#define CREDENTIAL_MAX_BYTES 8192

static void pool_options(const struct config *c, const struct upstream *u,
                         const struct upstream_place *at, struct http_pool_options *o)
{
    const struct url *url = &at->url;

    *o = (struct http_pool_options){
        .to = {.host = url->host,
               .port = url->port,
               .tls = url->tls ? u->tls : NULL,
               .via = at->egress.used ? &at->egress.via : NULL},
        .connections_max = (uint32_t)c->upstream.connections_max,
        .waiting_max = (uint32_t)c->upstream.waiting_max,
        .head_max_bytes = (uint32_t)c->limits.head_max_bytes,
        .connect_timeout_us = c->upstream.connect_timeout_ms * 1000,
        .first_byte_timeout_us = c->upstream.first_byte_timeout_ms * 1000,
        .idle_timeout_us = c->upstream.idle_timeout_ms * 1000,
        .total_timeout_us = c->upstream.total_timeout_ms * 1000,
        .keep_us = c->upstream.keep_ms * 1000,
        .out_high_bytes = c->limits.buffer_bytes,
        .out_low_bytes = c->limits.buffer_bytes / 2,
    };
}

/* --- what it is sent instead of the client's credential --------------------------------- */

static enum status read_file(const char *path, struct buf *out)
{
    enum status st = ST_OK;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return ST_NOTFOUND;
    while (st == ST_OK && n > 0) {
        st = buf_reserve(out, 1024);
        if (st == ST_OK)
            n = read(fd, out->ptr + out->len, 1024);
        if (st == ST_OK && n > 0)
            out->len += (size_t)n;
    }
    close(fd);
    return st == ST_OK && n < 0 ? ST_UNAVAILABLE : st;
}

/* "env:NAME" or "file:PATH", without the white space at its end. */
static enum status read_secret(const char *source, struct buf *out)
{
    const char *value = NULL;
    enum status st;

    if (strncmp(source, "file:", 5) == 0) {
        st = read_file(source + 5, out);
    } else {
        value = getenv(source + 4);
        st = value != NULL ? buf_append(out, span_of(value)) : ST_NOTFOUND;
    }
    while (st == ST_OK && out->len > 0 && strchr(" \t\r\n", out->ptr[out->len - 1]) != NULL)
        out->len--;
    return st;
}

static enum status open_credential(struct upstream *u, char *why, size_t why_cap)
{
    const struct config_upstream *own = u->own;
    struct span name = span_of(own->credential_header);
    enum status st = ST_OK;
    size_t before;

    buf_init(&u->secret, CREDENTIAL_MAX_BYTES);
    if (own->credential[0] == '\0')
        return ST_OK;
    if (http_name_eq(name, SPAN("authorization")))
        st = buf_append(&u->secret, SPAN("Bearer "));
    before = u->secret.len;
    if (st == ST_OK)
        st = read_secret(own->credential, &u->secret);
    u->credential = (struct http_field){name, buf_span(&u->secret)};
    if (st == ST_OK && (u->secret.len <= before || !http_is_value(u->credential.value)))
        st = ST_INVALID;
    if (st != ST_OK)
        snprintf(why, why_cap, "credential: '%.96s' has none: %s", own->credential,
                 st == ST_INVALID ? "it is empty or holds a control character"
                                  : status_text(st));
    return st;
}

/* --- what it is made of ------------------------------------------------------------------- */

/* Each with its NUL: no two lists of texts read the same. */
static void add_text(struct digest_ctx *ctx, const char *text)
{
    digest_update(ctx, (struct span){text, strlen(text) + 1});
}

static void add_numbers(struct digest_ctx *ctx, const uint64_t *list, size_t n)
{
    digest_update(ctx, (struct span){(const char *)list, n * sizeof(*list)});
}

static void add_record(struct digest_ctx *ctx, const struct config_upstream *own)
{
    const char *const texts[] = {own->name,
                                 own->url,
                                 own->fallback_urls,
                                 own->ca_file,
                                 own->path,
                                 own->strip_path ? "strip" : "",
                                 own->models,
                                 own->header,
                                 own->aliases,
                                 own->credential,
                                 own->credential_header,
                                 own->trusted ? "trusted" : "",
                                 own->gateway ? "gateway" : "",
                                 own->stale_while_revalidate_s,
                                 own->stale_if_error_s};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        add_text(ctx, texts[i]);
}

static void add_settings(struct digest_ctx *ctx, const struct config *c)
{
    const uint64_t numbers[] = {c->upstream.connections_max,
                                c->upstream.waiting_max,
                                c->upstream.connect_timeout_ms,
                                c->upstream.first_byte_timeout_ms,
                                c->upstream.idle_timeout_ms,
                                c->upstream.total_timeout_ms,
                                c->upstream.keep_ms,
                                c->upstream.retry_ms,
                                c->limits.head_max_bytes,
                                c->limits.buffer_bytes,
                                c->cache.stale_while_revalidate_s,
                                c->cache.stale_if_error_s};

    add_text(ctx, c->upstream.proxy_url);
    add_numbers(ctx, numbers, ARRAY_LEN(numbers));
}

/* A file that was written anew, or that a link leads to now, has another date or another
 * number. One that can not be seen is found out when it is read. */
static void add_file(struct digest_ctx *ctx, const char *path)
{
    struct stat info;

    if (path[0] == '\0' || stat(path, &info) != 0)
        return;
    add_numbers(ctx,
                (const uint64_t[]){info.st_dev, info.st_ino, (uint64_t)info.st_size,
                                   (uint64_t)info.st_mtim.tv_sec,
                                   (uint64_t)info.st_mtim.tv_nsec},
                5);
}

enum status upstream_made_of(const struct config *config, const struct config_upstream *own,
                             struct digest *out)
{
    struct digest_ctx ctx;
    struct buf secret;
    enum status st = digest_init(&ctx);

    if (st != ST_OK)
        return st;
    buf_init(&secret, CREDENTIAL_MAX_BYTES);
    digest_start(&ctx);
    add_record(&ctx, own);
    add_settings(&ctx, config);
    add_file(&ctx, own->ca_file);
    if (own->credential[0] != '\0' && read_secret(own->credential, &secret) == ST_OK)
        digest_update(&ctx, buf_span(&secret));
    digest_final(&ctx, out);
    digest_release(&ctx);
    if (secret.ptr != NULL)
        digest_wipe(secret.ptr, secret.cap);
    buf_release(&secret);
    return ST_OK;
}

/* --- opening and closing ------------------------------------------------------------------ */

static bool wants_tls(const struct config_upstream *own)
{
    return strstr(own->url, "https://") != NULL ||
           strstr(own->fallback_urls, "https://") != NULL;
}

static enum status open_place(struct upstream *u, struct loop *loop,
                              struct connector *connector, const struct config *config,
                              struct span url, char *why, size_t why_cap)
{
    struct upstream_place *at = &u->places[u->place_count];
    struct http_pool_options o;
    enum status st = url_parse(url, &at->url, why, why_cap);

    if (st != ST_OK)
        return st;
    st = egress_open(config, &at->url, &at->egress, why, why_cap);
    if (st != ST_OK)
        return st;
    at->upstream = u;
    pool_options(config, u, at, &o);
    st = http_pool_open(loop, connector, &o, &at->pool);
    if (st != ST_OK)
        snprintf(why, why_cap, "%s", status_text(st));
    else
        u->place_count++;
    return st;
}

static enum status open_places(struct upstream *u, struct loop *loop,
                               struct connector *connector, const struct config *config,
                               char *why, size_t why_cap)
{
    struct span list = span_of(u->own->fallback_urls), url = span_of(u->own->url);
    const char *setting = "url";
    char reason[192] = "";
    enum status st = ST_OK;

    while (st == ST_OK && url.len > 0) {
        st = u->place_count < CONFIG_PLACES_MAX
                 ? open_place(u, loop, connector, config, url, reason, sizeof(reason))
                 : ST_LIMIT;
        if (st != ST_OK)
            snprintf(why, why_cap, "%s: %s", setting, reason);
        setting = "fallback_urls";
        url = config_word(&list);
    }
    return st;
}

/* Only now is its first place known. */
static enum status identify(struct upstream *u)
{
    const struct url *url = &u->places[0].url;
    struct digest_ctx ctx;
    enum status st = digest_init(&ctx);

    if (st != ST_OK)
        return st;
    snprintf(u->identity, sizeof(u->identity), "upstream:%s %s://%s%s", u->own->name,
             url->tls ? "https" : "http", url->authority, url->prefix);
    digest_start(&ctx);
    digest_update(&ctx, span_of(u->identity));
    digest_final(&ctx, &u->id);
    digest_release(&ctx);
    return ST_OK;
}

static void destroy(struct upstream *u)
{
    if (u->tls != NULL)
        io_tls_ctx_close(u->tls);
    if (u->secret.ptr != NULL)
        digest_wipe(u->secret.ptr, u->secret.cap);
    buf_release(&u->secret);
    free(u);
}

/* The last place first, one after the other. */
static void close_next(void *owner)
{
    struct upstream *u = owner;
    void (*closed)(void *) = u->closed;
    void *whose = u->owner;

    if (u->place_count > 0) {
        http_pool_close(u->places[--u->place_count].pool, close_next, u);
        return;
    }
    destroy(u);
    closed(whose);
}

struct upstream *upstream_ref(struct upstream *u)
{
    u->refs++;
    return u;
}

void upstream_close(struct upstream *u, void (*closed)(void *owner), void *owner)
{
    if (--u->refs > 0) {
        closed(owner);
        return;
    }
    u->closed = closed;
    u->owner = owner;
    close_next(u);
}

static void on_given_up(void *owner)
{
    (void)owner;
}

/* Checked with the settings. */
static uint64_t own_or(const char *text, uint64_t other)
{
    return text[0] != '\0' ? strtoull(text, NULL, 10) : other;
}

enum status upstream_open(struct loop *loop, struct connector *connector,
                          const struct config *config, const struct config_upstream *own,
                          struct upstream **out, char *why, size_t why_cap)
{
    struct upstream *u = calloc(1, sizeof(*u));
    char reason[192] = "";
    enum status st;

    if (u == NULL)
        return ST_NOMEM;
    u->refs = 1;
    u->record = *own;
    u->own = &u->record;
    u->retry_us = config->upstream.retry_ms * 1000;
    u->stale_while_revalidate_s =
        own_or(own->stale_while_revalidate_s, config->cache.stale_while_revalidate_s);
    u->stale_if_error_s = own_or(own->stale_if_error_s, config->cache.stale_if_error_s);
    st = open_credential(u, why, why_cap);
    if (st == ST_OK)
        st = upstream_made_of(config, own, &u->made_of);
    if (st == ST_OK && wants_tls(own)) {
        st = io_tls_ctx_open(loop, own->ca_file[0] != '\0' ? own->ca_file : NULL, &u->tls,
                             reason, sizeof(reason));
        if (st != ST_OK)
            snprintf(why, why_cap, "url: %s", reason);
    }
    if (st == ST_OK)
        st = open_places(u, loop, connector, config, why, why_cap);
    if (st == ST_OK)
        st = identify(u);
    if (st == ST_OK)
        *out = u;
    else
        upstream_close(u, on_given_up, NULL);
    return st;
}

struct span upstream_identity(const struct upstream *u)
{
    return span_of(u->identity);
}

/* --- which place -------------------------------------------------------------------------- */

/* One that could not be reached is tried by one request in a while; the others wait for its
 * word. */
static bool may_ask(struct upstream_place *at, uint64_t now_us)
{
    if (at->next_try_us == 0)
        return true;
    if (now_us < at->next_try_us)
        return false;
    at->next_try_us = now_us + at->upstream->retry_us;
    return true;
}

static struct upstream_place *first_from(struct upstream *u, size_t i, uint64_t now_us)
{
    for (; i < u->place_count; i++) {
        if (may_ask(&u->places[i], now_us))
            return &u->places[i];
    }
    return NULL;
}

struct upstream_place *upstream_choose(struct upstream *u, uint64_t now_us)
{
    struct upstream_place *at = first_from(u, 0, now_us);

    return at != NULL ? at : &u->places[0];
}

void upstream_reached(struct upstream_place *at)
{
    at->next_try_us = 0;
}

struct upstream_place *upstream_unreached(struct upstream_place *at, uint64_t now_us)
{
    struct upstream *u = at->upstream;

    at->next_try_us = now_us + u->retry_us;
    return first_from(u, (size_t)(at - u->places) + 1, now_us);
}

/* --- what is sent ------------------------------------------------------------------------- */

/* Fields that the client side of our HTTP writes itself. */
static bool is_framing(struct span name)
{
    return http_name_eq(name, SPAN("host")) || http_name_eq(name, SPAN("content-length")) ||
           http_name_eq(name, SPAN("expect"));
}

enum status upstream_request_fields(const struct upstream *u, const struct http_head *h,
                                    bool plain, struct arena *arena, struct http_field **out,
                                    size_t *n)
{
    struct http_field *list =
        arena_alloc(arena, (h->field_count + 2) * sizeof(*list), _Alignof(struct http_field));
    bool ours = u->credential.name.ptr != NULL;
    size_t count = 0;

    if (list == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < h->field_count; i++) {
        struct span name = h->fields[i].name;

        if (is_framing(name) || controls_is_ours(name) ||
            (!u->own->gateway && controls_is_foreign(name)) ||
            http_head_is_hop_by_hop(h, name) ||
            (plain && http_name_eq(name, SPAN("accept-encoding"))) ||
            (ours && (credential_is_one(name) || http_name_eq(name, u->credential.name))))
            continue;
        list[count++] = h->fields[i];
    }
    if (plain)
        list[count++] = (struct http_field){SPAN("Accept-Encoding"), SPAN("identity")};
    if (ours)
        list[count++] = u->credential;
    *out = list;
    *n = count;
    return ST_OK;
}

enum status upstream_start(struct upstream_place *at, const struct http_head *h, bool plain,
                           struct http_request *q, struct arena *arena,
                           const struct http_call_events *events, void *owner,
                           struct http_call **out)
{
    size_t n = strlen(at->url.prefix) + h->target.len + 1;
    char *target = arena_alloc(arena, n, 1);
    struct http_field *fields;
    enum status st;

    if (target == NULL)
        return ST_NOMEM;
    st = url_target(&at->url, h->target, target, n, &n);
    if (st == ST_OK)
        st = upstream_request_fields(at->upstream, h, plain, arena, &fields, &q->field_count);
    if (st != ST_OK)
        return st;
    q->target = (struct span){target, n};
    q->host = span_of(at->url.authority);
    q->fields = fields;
    return http_call_start(at->pool, q, arena, events, owner, out);
}

void upstream_answer_fields(const struct http_head *h, struct respond_fields *f)
{
    for (size_t i = 0; i < h->field_count; i++) {
        struct span name = h->fields[i].name;

        if (http_name_eq(name, SPAN("content-length")) || controls_is_ours(name) ||
            http_head_is_hop_by_hop(h, name) || http_name_eq(name, SPAN("date")))
            continue;
        respond_add(f, name, h->fields[i].value);
    }
}
