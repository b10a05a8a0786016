/* Defaults, environment, and what must hold between settings. */
#include "config/config.h"
#include "config/config_models.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/access_fields.h"
#include "config/listen.h"
#include "config/options.h"
#include "config/value.h"

#define ENV_PREFIX "IBID_"

static enum status fail(struct config_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum status fail(struct config_error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    err->line = 0;
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return ST_INVALID;
}

void config_defaults(struct config *c)
{
    char why[256];

    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < options_table_count; i++) {
        const struct option *o = &options_table[i];

        if (o->type == OPTION_RECORDS)
            continue;
        if (options_set(c, o, span_of(o->preset), why, sizeof(why)) != ST_OK) {
            /* A bad table is a bug, not an input. */
            fprintf(stderr, "default of %s: %s\n", o->name, why);
            abort();
        }
    }
}

/* --- environment ------------------------------------------------------------------- */

static bool is_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
    }
    return n > 0;
}

/* Kubernetes puts IBID_SERVICE_HOST, IBID_PORT, IBID_PORT_8080_TCP_ADDR and the like
 * into every container beside a Service called "ibid". */
static bool is_service_link(struct span name)
{
    char text[OPTIONS_ENV_MAX * 2];
    const char *port;
    size_t n;

    if (name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (strstr(text, "_SERVICE_HOST") != NULL || strstr(text, "_SERVICE_PORT") != NULL)
        return true;
    port = strstr(text, "_PORT");
    if (port == NULL)
        return false;
    port += strlen("_PORT");
    if (*port == '\0')
        return true;
    n = *port == '_' ? strspn(port + 1, "0123456789") : 0;
    return n > 0 && is_digits(port + 1, n) && port[1 + n] == '_';
}

static bool is_no_setting(struct span name)
{
    /* Of the tests and benches; the kernels are forced before there are settings. */
    static const char *const starts[] = {"IBID_EVAL", "IBID_KERNELS", "IBID_BIN", "IBID_TEST_",
                                         "IBID_BENCH_"};

    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct span start = span_of(starts[i]);

        if (start.ptr[start.len - 1] == '_'
                ? name.len > start.len && memcmp(name.ptr, start.ptr, start.len) == 0
                : span_eq(start, name))
            return true;
    }
    return is_service_link(name);
}

static const struct option *find_env(struct span name)
{
    char env[OPTIONS_ENV_MAX];

    for (size_t i = 0; i < options_table_count; i++) {
        options_env_name(&options_table[i], env);
        if (options_table[i].type != OPTION_RECORDS && span_eq(span_of(env), name))
            return &options_table[i];
    }
    return NULL;
}

/* IBID_CACHE_TRESHOLD -> cache.treshold -> cache.threshold -> IBID_CACHE_THRESHOLD.
 * Which '_' was a dot is not known: the first, if what is before it is a section. */
static enum status fail_unknown(struct span name, struct config_error *err)
{
    char key[OPTIONS_ENV_MAX], near_name[OPTIONS_ENV_MAX];
    size_t n = name.len - strlen(ENV_PREFIX);
    const char *underscore, *near = NULL;
    struct span section = {"", 0}, rest;

    if (n < sizeof(key)) {
        for (size_t i = 0; i < n; i++) {
            char c = name.ptr[strlen(ENV_PREFIX) + i];

            key[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
        key[n] = '\0';
        rest = (struct span){key, n};
        underscore = strchr(key, '_');
        if (underscore != NULL)
            section = (struct span){key, (size_t)(underscore - key)};
        if (options_has_section(section))
            rest = span_of(underscore + 1);
        else
            section.len = 0;
        near = options_nearest(section, rest);
    }
    if (near == NULL)
        return fail(err, "%.*s is not a setting", (int)name.len, name.ptr);
    for (size_t i = 0; i < options_table_count; i++) {
        if (strcmp(options_table[i].name, near) == 0)
            options_env_name(&options_table[i], near_name);
    }
    return fail(err, "%.*s is not a setting; did you mean %s?", (int)name.len, name.ptr,
                near_name);
}

static struct span trim(struct span s)
{
    while (s.len > 0 && s.ptr[0] == ' ') {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

static enum status set_listen(struct config *c, struct span list, char *why, size_t why_cap)
{
    enum status st = ST_OK;

    c->listen_count = 0;
    while (st == ST_OK) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma != NULL ? (size_t)(comma - list.ptr) : list.len;

        st = listen_add(c, trim((struct span){list.ptr, n}), why, why_cap);
        if (comma == NULL)
            break;
        list = (struct span){comma + 1, list.len - n - 1};
    }
    return st;
}

static enum status set_env(struct config *c, const char *variable, struct config_error *err)
{
    const char *equals = strchr(variable, '=');
    const struct option *o;
    struct span name;
    char why[200];
    enum status st;

    if (strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 || equals == NULL)
        return ST_OK;
    name = (struct span){variable, (size_t)(equals - variable)};
    o = find_env(name);
    if (o == NULL)
        return is_no_setting(name) ? ST_OK : fail_unknown(name, err);
    if (o->type == OPTION_LISTEN)
        st = set_listen(c, span_of(equals + 1), why, sizeof(why));
    else
        st = options_set(c, o, span_of(equals + 1), why, sizeof(why));
    if (st != ST_OK)
        (void)fail(err, "%.*s: %s", (int)name.len, name.ptr, why);
    return st;
}

enum status config_environment(struct config *c, char *const *env, struct config_error *err)
{
    struct config *next = malloc(sizeof(*next));
    enum status st = ST_OK;

    if (next == NULL)
        return ST_NOMEM;
    *next = *c; /* all or nothing */
    for (size_t i = 0; st == ST_OK && env[i] != NULL; i++)
        st = set_env(next, env[i], err);
    if (st == ST_OK)
        *c = *next;
    free(next);
    return st;
}

/* --- what must hold between settings ----------------------------------------------- */

static bool has_scheme(const char *url, const char *const *schemes)
{
    for (; *schemes != NULL; schemes++) {
        if (strncmp(url, *schemes, strlen(*schemes)) == 0)
            return true;
    }
    return false;
}

static enum status check_upstream_url(const char *what, struct span url,
                                      struct config_error *err)
{
    static const char *const http[] = {"http://", "https://", NULL};
    char text[CONFIG_TEXT_MAX];

    snprintf(text, sizeof(text), "%.*s", (int)url.len, url.ptr);
    if (!has_scheme(text, http) || strchr("/?#", strchr(text, ':')[3]) != NULL)
        return fail(err,
                    "%s: expected http://HOST[:PORT] or https://HOST[:PORT], with /v1 or "
                    "without",
                    what);
    if (strpbrk(text, "?#@ ") != NULL)
        return fail(err,
                    "%s: no query, fragment, user or blank; callers bring their own "
                    "credentials",
                    what);
    return ST_OK;
}

/* `what` is how the user calls it: "upstream." or "upstreams: NAME: ". */
static enum status check_places(const char *what, const struct config_upstream *u,
                                struct config_error *err)
{
    struct span list = span_of(u->fallback_urls), url;
    char name[128];
    size_t n = 1;
    enum status st;

    snprintf(name, sizeof(name), "%surl", what);
    st = check_upstream_url(name, span_of(u->url), err);
    if (st == ST_OK && u->ca_file[0] != '\0' && strncmp(u->url, "https:", 6) != 0)
        return fail(err, "%sca_file: only an https:// upstream has certificates", what);
    snprintf(name, sizeof(name), "%sfallback_urls", what);
    while (st == ST_OK && (url = config_word(&list)).len > 0) {
        if (++n > CONFIG_PLACES_MAX)
            return fail(err, "%s: more than %d", name, CONFIG_PLACES_MAX - 1);
        st = check_upstream_url(name, url, err);
    }
    return st;
}

static bool is_header_name(const char *name, size_t len)
{
    return len > 0 && strcspn(name, " :\t\"(),/;<=>?@[\\]{}") >= len;
}

static enum status check_aliases(const char *what, const struct config_upstream *u,
                                 struct config_error *err)
{
    struct span list = span_of(u->aliases), pair;

    while ((pair = config_word(&list)).len > 0) {
        const char *equals = memchr(pair.ptr, '=', pair.len);

        if (equals == NULL || equals == pair.ptr || equals == pair.ptr + pair.len - 1)
            return fail(err, "%saliases: '%.*s' is not NAME=MODEL", what, (int)pair.len,
                        pair.ptr);
    }
    return ST_OK;
}

static enum status check_stale(const char *what, const char *field, const char *text,
                               struct config_error *err)
{
    uint64_t s;

    if (text[0] != '\0' && (value_uint(span_of(text), &s) != ST_OK || s > CONFIG_STALE_MAX_S))
        return fail(err, "%s%s: '%s' is not within 0..%d", what, field, text,
                    CONFIG_STALE_MAX_S);
    return ST_OK;
}

static enum status check_upstream(const struct config *c, const struct config_upstream *u,
                                  struct config_error *err)
{
    const char *colon = strchr(u->header, ':');
    char what[96];
    enum status st;

    snprintf(what, sizeof(what), "upstreams: %s: ", u->name);
    if (c->upstream.url[0] != '\0' && strcmp(u->name, c->upstream.name) == 0)
        return fail(err, "%sis the name of upstream.url too; set upstream.name", what);
    if (u->path[0] != '\0' && (u->path[0] != '/' || u->path[strlen(u->path) - 1] == '/'))
        return fail(err, "%spath: begins with '/' and does not end with one", what);
    if (u->strip_path && u->path[0] == '\0')
        return fail(err, "%sstrip_path: there is no path", what);
    if (u->header[0] != '\0' &&
        (colon == NULL || !is_header_name(u->header, (size_t)(colon - u->header))))
        return fail(err, "%sheader: expected 'NAME: VALUE'", what);
    if (u->credential[0] != '\0' && strncmp(u->credential, "env:", 4) != 0 &&
        strncmp(u->credential, "file:", 5) != 0)
        return fail(err,
                    "%scredential: expected env:VARIABLE or file:PATH, never the key itself",
                    what);
    if (!is_header_name(u->credential_header, strlen(u->credential_header)))
        return fail(err, "%scredential_header: is no header name", what);
    st = check_stale(what, "stale_while_revalidate_s", u->stale_while_revalidate_s, err);
    if (st == ST_OK)
        st = check_stale(what, "stale_if_error_s", u->stale_if_error_s, err);
    if (st == ST_OK)
        st = check_aliases(what, u, err);
    return st == ST_OK ? check_places(what, u, err) : st;
}

static enum status check_route(const struct config_route *u, struct config_error *err)
{
    const char *colon = strchr(u->header, ':');

    if (u->path[0] != '\0' && (u->path[0] != '/' || u->path[strlen(u->path) - 1] == '/'))
        return fail(err, "routes: %s: path: begins with '/' and does not end with one",
                    u->name);
    if (u->header[0] != '\0' &&
        (colon == NULL || !is_header_name(u->header, (size_t)(colon - u->header))))
        return fail(err, "routes: %s: header: expected 'NAME: VALUE'", u->name);
    if (u->bytes_max != 0 && u->bytes_max < u->bytes_min)
        return fail(err, "routes: %s: bytes_max: is less than bytes_min", u->name);
    return ST_OK;
}

static enum status check_routes(const struct config *c, struct config_error *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < c->route_count; i++)
        st = check_route(&c->routes[i], err);
    return st;
}

static enum status check_upstreams(const struct config *c, struct config_error *err)
{
    struct config_upstream one = {.name = ""};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < c->upstream_count; i++)
        st = check_upstream(c, &c->upstreams[i], err);
    if (st != ST_OK)
        return st;
    if (c->upstream.url[0] == '\0') {
        if (c->upstream.fallback_urls[0] != '\0')
            return fail(err, "upstream.fallback_urls: there is no upstream.url");
        if (c->upstream.ca_file[0] != '\0')
            return fail(err, "upstream.ca_file: only an https:// upstream has certificates");
        return ST_OK;
    }
    snprintf(one.url, sizeof(one.url), "%s", c->upstream.url);
    snprintf(one.fallback_urls, sizeof(one.fallback_urls), "%s", c->upstream.fallback_urls);
    snprintf(one.ca_file, sizeof(one.ca_file), "%s", c->upstream.ca_file);
    return check_places("upstream.", &one, err);
}

/* What only some kinds of store have. */
static enum status check_store_access(const struct config *c, struct config_error *err)
{
    bool tls = strncmp(c->store.url, "rediss:", 7) == 0;
    bool redis = strncmp(c->store.url, "redis", 5) == 0;

    if (c->store.ca_file[0] != '\0' && !tls)
        return fail(err, "store.ca_file: only rediss:// has certificates");
    if (c->store.sentinel[0] != '\0' && (!redis || strncmp(c->store.url, "redis+", 6) == 0))
        return fail(err, "store.sentinel: store.url must name Sentinels, redis://HOST:26379");
    if (c->store.sentinel[0] != '\0' && c->offline)
        return fail(err, "store.sentinel: Sentinels tell where the store is, and offline goes "
                         "nowhere but to what store.url names; name the server itself");
    if (c->store.cert_file[0] != '\0' && !tls)
        return fail(err, "store.cert_file: only rediss:// has certificates");
    if (c->store.key_file[0] != '\0' && c->store.cert_file[0] == '\0')
        return fail(err, "store.key_file: has no effect without store.cert_file");
    if (c->store.user[0] != '\0' && c->store.password_file[0] == '\0')
        return fail(err, "store.user: its password is missing; set store.password_file");
    if (c->store.password_file[0] != '\0' && !redis)
        return fail(err, "store.password_file: only a Redis has a password");
    if (c->store.password_file[0] != '\0' && strchr(c->store.url, '@') != NULL)
        return fail(err, "store.password_file: store.url has a user or password too; "
                         "take one of them away");
    return ST_OK;
}

/* Of an index that Redis keeps. */
static enum status check_index(const struct config *c, struct config_error *err)
{
    if (strcmp(c->cache.index, "redis") != 0)
        return ST_OK;
    if (strncmp(c->store.url, "redis", 5) != 0)
        return fail(err,
                    "cache.index: redis is an index in the Redis that stores; set store.url: "
                    "redis://HOST (version 8.0 or later), or cache.index: local");
    if (c->store.seal_key_file[0] != '\0')
        return fail(err, "cache.index: redis searches vectors, which it can not when they are "
                         "sealed, and a vector tells much of its question; set cache.index: "
                         "local, or take store.seal_key_file away");
    return ST_OK;
}

static enum status check_store(const struct config *c, struct config_error *err)
{
    static const char *const remote[] = {"redis://", "rediss://", NULL};
    static const char *const stores[] = {"redis://", "rediss://", "redis+unix://",
                                         "lmdb:", NULL};
    const char *store = c->store.url;

    if (!has_scheme(store, stores) && strcmp(store, "memory:") != 0)
        return fail(err, "store.url: expected lmdb:, lmdb:/path, redis://HOST[:PORT][/DB], "
                         "rediss://…, redis+unix:///path or memory:");
    if (has_scheme(store, remote) && strchr("/?#", strchr(store, ':')[3]) != NULL)
        return fail(err, "store.url: names no host");
    if (check_index(c, err) != ST_OK)
        return ST_INVALID;
    return check_store_access(c, err);
}

static enum status check_listeners(const struct config *c, struct config_error *err)
{
    char why[200];

    if (c->listen_count == 0)
        return fail(err, "listen: at least one address is needed");
    if (!listen_is_address(c->admin.listen, why, sizeof(why)))
        return fail(err, "admin.listen: %s", why);
    for (size_t i = 0; i < c->listen_count; i++) {
        if (strcmp(listen_place(c->listen[i]), listen_place(c->admin.listen)) == 0 &&
            !listen_is_any_port(c->listen[i]))
            return fail(err, "admin.listen: '%s' is the clients' address", c->listen[i]);
    }
    return ST_OK;
}

/* A setting that looks like protection but has no effect is worse than an error. */
static enum status check_tls(const struct config *c, struct config_error *err)
{
    bool clients = config_listens_tls(c), admin = listen_is_tls(c->admin.listen);

    if ((clients || admin) && c->tls.cert_file[0] == '\0')
        return fail(err, "tls.cert_file: an address that begins with tls: needs a certificate");
    if (!clients && !admin && (c->tls.cert_file[0] != '\0' || c->tls.key_file[0] != '\0'))
        return fail(err, "tls.cert_file: has no effect unless an address of listen or "
                         "admin.listen begins with tls:");
    if (!clients && c->tls.client_ca_file[0] != '\0')
        return fail(err, "tls.client_ca_file: has no effect unless an address of listen begins "
                         "with tls:");
    if (c->tls.cert_file[0] == '\0' && c->tls.more_cert_files[0] != '\0')
        return fail(err, "tls.more_cert_files: has no effect without tls.cert_file");
    if (c->tls.client_crl_file[0] != '\0' && c->tls.client_ca_file[0] == '\0' &&
        c->admin.client_ca_file[0] == '\0')
        return fail(err, "tls.client_crl_file: has no effect without tls.client_ca_file or "
                         "admin.client_ca_file");
    if (c->admin.own_key_file[0] != '\0' && c->admin.own_cert_file[0] == '\0')
        return fail(err, "admin.own_key_file: has no effect without admin.own_cert_file");
    if (!admin && c->admin.client_ca_file[0] != '\0')
        return fail(err, "admin.client_ca_file: has no effect unless admin.listen begins with "
                         "tls:");
    return ST_OK;
}

bool config_listens_tls(const struct config *c)
{
    for (size_t i = 0; i < c->listen_count; i++) {
        if (listen_is_tls(c->listen[i]))
            return true;
    }
    return false;
}

static enum status check_proxy(const struct config *c, struct config_error *err)
{
    const char *url = c->upstream.proxy_url;

    if (url[0] == '\0' || strcmp(url, "env") == 0)
        return ST_OK;
    if (strncmp(url, "http://", 7) != 0 || url[7] == '\0')
        return fail(err,
                    "upstream.proxy_url: expected http://[USER:PASSWORD@]HOST:PORT, or env");
    return ST_OK;
}

static enum status check_cors(const struct config *c, struct config_error *err)
{
    struct span list = span_of(c->cors.origins), word;

    while ((word = config_word(&list)).len > 0) {
        char text[CONFIG_TEXT_MAX];
        const char *host;

        snprintf(text, sizeof(text), "%.*s", (int)word.len, word.ptr);
        host = strstr(text, "://");
        if (strcmp(text, "*") != 0 && (host == NULL || strchr(host + 3, '/') != NULL))
            return fail(err, "cors.origins: '%.80s' is no origin: SCHEME://HOST[:PORT], or *",
                        text);
    }
    return ST_OK;
}

/* A setting that looks like isolation but has no effect is worse than an error. */
static enum status check_cache(const struct config *c, struct config_error *err)
{
    bool header = c->cache.scope == SCOPE_HEADER, shared = c->cache.scope == SCOPE_SHARED;

    if (header && c->cache.scope_header[0] == '\0')
        return fail(err, "cache.scope_header: scope 'header' needs the name of one");
    if (!header && c->cache.scope_header[0] != '\0')
        return fail(err, "cache.scope_header: has no effect unless cache.scope is 'header'");
    if (c->cache.scope == SCOPE_CERTIFICATE && c->tls.client_ca_file[0] == '\0')
        return fail(err,
                    "cache.scope: 'certificate' needs tls.client_ca_file, without which no "
                    "client is asked for one");
    if (shared && c->cache.scope_name[0] == '\0')
        return fail(err, "cache.scope_name: scope 'shared' needs a name, so that it is "
                         "never shared by accident");
    if (!shared && c->cache.scope_name[0] != '\0')
        return fail(err, "cache.scope_name: has no effect unless cache.scope is 'shared'");
    if (c->cache.lease_ms > 0 && c->cache.lease_ms < CONFIG_LEASE_MIN_MS)
        return fail(err,
                    "cache.lease_ms: 0 (none), or %d at least: it is renewed three times "
                    "in its time",
                    CONFIG_LEASE_MIN_MS);
    if (strpbrk(c->cache.scope_header, " :\t") != NULL)
        return fail(err, "cache.scope_header: '%s' is no header name", c->cache.scope_header);
    return ST_OK;
}

static enum status check_limits(const struct config *c, struct config_error *err)
{
    if (c->upstream.first_byte_timeout_ms > c->upstream.total_timeout_ms)
        return fail(err, "upstream.first_byte_timeout_ms: is longer than total_timeout_ms");
    if (c->upstream.idle_timeout_ms > c->upstream.total_timeout_ms)
        return fail(err, "upstream.idle_timeout_ms: is longer than total_timeout_ms");
    if (c->cache.answer_max_bytes > c->store.bytes_max)
        return fail(err, "cache.answer_max_bytes: is more than store.bytes_max");
    if (c->local.max_tokens >= c->local.context_max)
        return fail(err, "local.max_tokens: leaves no room for a question in "
                         "local.context_max");
    if (c->store.prefix[0] == '\0')
        return fail(err, "store.prefix: must not be empty; others may use the same Redis");
    if (c->upstream.name[0] == '\0')
        return fail(err, "upstream.name: must not be empty");
    if (c->data_dir[0] == '\0' || c->model_dir[0] == '\0')
        return fail(err, "%s: must not be empty", c->data_dir[0] ? "model_dir" : "data_dir");
    return ST_OK;
}

static enum status check_prices(const struct config *c, struct config_error *err)
{
    for (size_t i = 0; i < c->price_count; i++) {
        const struct config_price *p = &c->prices[i];

        if ((p->request_wh > 0 || p->mtok_wh > 0) && p->energy_source[0] == '\0') {
            *err = (struct config_error){.line = 0};
            snprintf(err->text, sizeof(err->text),
                     "prices: '%.60s' has request_wh or mtok_wh without energy_source; say "
                     "where the figure was read",
                     p->model);
            return ST_INVALID;
        }
    }
    return ST_OK;
}

static const char *const rule_words[] = {"off", "count", "replace", "local", "refuse"};

enum config_rule config_rule_of(const struct config *c, enum config_rule own)
{
    return own == RULE_DEFAULT ? c->privacy.action : own;
}

enum config_rule config_pattern_rule(const struct config *c, const struct config_pattern *p)
{
    for (size_t i = 0; i < ARRAY_LEN(rule_words); i++) {
        if (strcmp(p->action, rule_words[i]) == 0)
            return (enum config_rule)i;
    }
    return c->privacy.action;
}

static enum status check_offline(const struct config *c, struct config_error *err)
{
    if (!c->offline)
        return ST_OK;
    if (c->upstream.url[0] != '\0')
        return fail(err, "upstream.url: offline: on allows no upstream; take one of them out");
    if (c->upstream_count > 0)
        return fail(err,
                    "upstreams: '%s': offline: on allows no upstream; take one of them out",
                    c->upstreams[0].name);
    if (c->telemetry.otlp_url[0] != '\0')
        return fail(err,
                    "telemetry.otlp_url: offline: on allows no collector; take one of them "
                    "out");
    return ST_OK;
}

static enum status check_telemetry(const struct config *c, struct config_error *err)
{
    if (c->telemetry.otlp_url[0] == '\0')
        return ST_OK;
    if (c->telemetry.service_name[0] == '\0')
        return fail(err, "telemetry.service_name: a collector needs a name");
    return check_upstream_url("telemetry.otlp_url", span_of(c->telemetry.otlp_url), err);
}

static enum status check_access_log(const struct config *c, struct config_error *err)
{
    static const char *const known[] = {
#define X(name, text) text,
        ACCESS_FIELD_MAP(X)
#undef X
    };
    struct span list = span_of(c->access_log.fields), word;

    while ((word = config_word(&list)).len > 0) {
        bool found = false;

        for (size_t i = 0; i < ARRAY_LEN(known) && !found; i++)
            found = span_eq(word, span_of(known[i]));
        if (!found)
            return fail(err, "access_log.fields: there is no '%.*s'",
                        (int)(word.len < 64 ? word.len : 64), word.ptr);
    }
    return ST_OK;
}

static bool has_rule(const struct config *c, struct span name)
{
    for (size_t i = 0; i < c->route_count; i++) {
        if (span_eq(span_of(c->routes[i].name), name))
            return true;
    }
    return memchr(name.ptr, '*', name.len) != NULL;
}

/* A profile for requests of a rule that is not there would never hold. */
static enum status check_prompts(const struct config *c, struct config_error *err)
{
    for (size_t i = 0; i < c->prompt_count; i++) {
        struct span list = span_of(c->prompts[i].routes), word;

        while ((word = config_word(&list)).len > 0) {
            if (!has_rule(c, word))
                return fail(err, "prompts: %s: routes: there is no rule '%.*s'",
                            c->prompts[i].name, (int)(word.len < 60 ? word.len : 60), word.ptr);
        }
    }
    return ST_OK;
}

/* A judge that can not be asked would judge nothing, and nobody would know. */
static enum status check_judge(const struct config *c, struct config_error *err)
{
    bool local =
        strcmp(c->judge.grey, "local") == 0 || strcmp(c->judge.admission, "local") == 0;
    bool upstream =
        strcmp(c->judge.grey, "upstream") == 0 || strcmp(c->judge.admission, "upstream") == 0;

    if (local && config_models_count(c) == 0)
        return fail(err, "judge: local needs a model on this machine; set local.model");
    if (upstream && c->judge.model[0] == '\0')
        return fail(err, "judge.model: an upstream that judges is asked for a model by its "
                         "name");
    if (upstream && c->upstream.url[0] == '\0' && c->upstream_count == 0)
        return fail(err, "judge: there is no upstream to ask; set upstream.url");
    if (strcmp(c->judge.grey, "off") != 0 && c->explain.bytes_max == 0)
        return fail(err, "judge.grey: needs the decisions that explain.bytes_max keeps");
    return ST_OK;
}

enum status config_validate(const struct config *c, struct config_error *err)
{
    enum status st = check_listeners(c, err);

    if (st == ST_OK)
        st = check_tls(c, err);
    if (st == ST_OK)
        st = check_upstreams(c, err);
    if (st == ST_OK)
        st = check_routes(c, err);
    if (st == ST_OK)
        st = config_models_check(c, err);
    if (st == ST_OK)
        st = check_offline(c, err);
    if (st == ST_OK)
        st = check_store(c, err);
    if (st == ST_OK)
        st = check_cors(c, err);
    if (st == ST_OK)
        st = check_proxy(c, err);
    if (st == ST_OK)
        st = check_cache(c, err);
    if (st == ST_OK)
        st = check_limits(c, err);
    if (st == ST_OK)
        st = check_prompts(c, err);
    if (st == ST_OK)
        st = check_judge(c, err);
    if (st == ST_OK)
        st = check_prices(c, err);
    if (st == ST_OK)
        st = check_telemetry(c, err);
    if (st == ST_OK)
        st = check_access_log(c, err);
    return st;
}

struct span config_word(struct span *list)
{
    struct span word;

    while (list->len > 0 && list->ptr[0] == ' ') {
        list->ptr++;
        list->len--;
    }
    word = (struct span){list->ptr, 0};
    while (word.len < list->len && word.ptr[word.len] != ' ')
        word.len++;
    list->ptr += word.len;
    list->len -= word.len;
    return word;
}

/* --- prices ------------------------------------------------------------------------ */

const struct config_price *config_price_find(const struct config *c, struct span model)
{
    const struct config_price *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < c->price_count; i++) {
        const struct config_price *p = &c->prices[i];
        struct span name = span_of(p->model);

        if (span_eq(name, model))
            return p;
        if (name.len == 0 || name.ptr[name.len - 1] != '*')
            continue;
        name.len--;
        if (model.len < name.len || memcmp(model.ptr, name.ptr, name.len) != 0)
            continue;
        if (best == NULL || name.len > best_len) {
            best = p;
            best_len = name.len;
        }
    }
    return best;
}

static bool has_price(const struct config *c, const char *model)
{
    for (size_t i = 0; i < c->price_count; i++) {
        if (strcmp(c->prices[i].model, model) == 0)
            return true;
    }
    return false;
}

enum status config_add_prices(struct config *c, struct span text, struct config_error *err)
{
    struct config *file = calloc(1, sizeof(*file)), *plain = calloc(1, sizeof(*plain));
    enum status st = file != NULL && plain != NULL ? ST_OK : ST_NOMEM;

    *err = (struct config_error){.text = "out of memory"};
    if (st == ST_OK) {
        config_defaults(file);
        config_defaults(plain);
        st = config_parse(file, text, err);
    }
    for (size_t i = 0; st == ST_OK && i < file->price_count; i++) {
        if (has_price(c, file->prices[i].model))
            continue;
        if (c->price_count == CONFIG_PRICES_MAX) {
            *err = (struct config_error){.line = 0};
            snprintf(err->text, sizeof(err->text),
                     "there are more than %d prices together; leave out what is not used",
                     CONFIG_PRICES_MAX);
            st = ST_LIMIT;
        } else {
            c->prices[c->price_count++] = file->prices[i];
        }
    }
    /* A setting in a file of prices would be taken for one that counts. */
    if (st == ST_OK) {
        memset(file->prices, 0, sizeof(file->prices));
        file->price_count = 0;
        if (memcmp(file, plain, sizeof(*file)) != 0) {
            *err = (struct config_error){.text = "only a list 'prices:' may stand here"};
            st = ST_INVALID;
        }
    }
    free(file);
    free(plain);
    return st;
}

bool config_has_strangers(const struct config *c)
{
    if (strcmp(c->cache.strangers, "auto") == 0)
        return c->cache.scope == SCOPE_SHARED;
    return strcmp(c->cache.strangers, "yes") == 0;
}
