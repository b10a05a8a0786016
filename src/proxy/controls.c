/* One table: a header, how it is read, what it may say. Other gateways' headers are
 * read as what their users mean by them, but only ever tighten: what would widen (a
 * cache key of the caller's own, say) narrows here. They go no further, unless the
 * upstream is said to be such a gateway itself (upstream.gateway). */
#include "proxy/controls.h"

#include <stdio.h>

#include "http/head.h"
#include "proxy/controls_read.h"

#define CONTROL_SECONDS_MAX (10ull * 365 * 86400)
#define NAME_MAX_BYTES      48

static struct span trim(struct span s)
{
    while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes what stands before the next comma off the front of *list. */
static struct span next_item(struct span *list)
{
    const char *comma = list->len > 0 ? memchr(list->ptr, ',', list->len) : NULL;
    size_t n = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
    struct span item = {list->ptr, n};

    if (comma != NULL)
        n++;
    list->ptr += n;
    list->len -= n;
    return trim(item);
}

/* "300"; other gateways also take "300s", "5m", "1h", "1d". */
static bool parse_seconds(struct span s, uint64_t *out)
{
    uint64_t n = 0, unit = 1;

    if (s.len > 1) {
        switch (s.ptr[s.len - 1]) {
        case 'd':
            unit *= 24;
            /* fall through */
        case 'h':
            unit *= 60;
            /* fall through */
        case 'm':
            unit *= 60;
            /* fall through */
        case 's':
            s.len--;
            break;
        default:
            break;
        }
    }
    if (s.len == 0 || s.len > 12)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = n > CONTROL_SECONDS_MAX / unit ? CONTROL_SECONDS_MAX : n * unit;
    return true;
}

/* "0.93": digits and one point, nothing else; strtod would take "nan" and "0x1". */
static bool parse_probability(struct span s, double *out)
{
    double value = 0, unit = 1;
    bool point = false, digit = false;

    if (s.len == 0 || s.len > 18)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digit = true;
            if (point)
                unit /= 10;
            value = point ? value + unit * (c - '0') : value * 10 + (c - '0');
        } else {
            return false;
        }
    }
    if (!digit || value > 1)
        return false;
    *out = value;
    return true;
}

bool controls_read_switch(struct span s, bool *out)
{
    static const struct span yes[] = {{"true", 4}, {"on", 2}, {"1", 1}, {"yes", 3}};
    static const struct span no[] = {{"false", 5}, {"off", 3}, {"0", 1}, {"no", 2}};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (http_name_eq(s, yes[i]) || http_name_eq(s, no[i])) {
            *out = http_name_eq(s, yes[i]);
            return true;
        }
    }
    return false;
}

/* --- what a header may say. Said twice, the stricter counts. -------------------------- */

bool controls_read_max_age(struct span value, struct controls *c)
{
    uint64_t s;

    if (!parse_seconds(value, &s))
        return false;
    c->max_age_s = c->has_max_age && c->max_age_s < s ? c->max_age_s : s;
    c->has_max_age = true;
    return true;
}

bool controls_read_ttl(struct span value, struct controls *c)
{
    uint64_t s;

    if (!parse_seconds(value, &s))
        return false;
    c->ttl_s = c->has_ttl && c->ttl_s < s ? c->ttl_s : s;
    c->has_ttl = true;
    return true;
}

bool controls_read_threshold(struct span value, struct controls *c)
{
    double p;

    if (!parse_probability(value, &p))
        return false;
    c->threshold = c->has_threshold && c->threshold > p ? c->threshold : p;
    c->has_threshold = true;
    return true;
}

bool controls_read_namespace(struct span value, struct controls *c)
{
    if (c->name_space.ptr != NULL || value.len == 0 || value.len > CONTROLS_NAMESPACE_MAX)
        return false;
    c->name_space = value;
    return true;
}

static bool read_session(struct span value, struct controls *c)
{
    if (c->session.ptr != NULL || value.len == 0 || value.len > CONTROLS_NAMESPACE_MAX)
        return false;
    c->session = value;
    return true;
}

static bool read_route(struct span value, struct controls *c)
{
    enum route_wish wish = http_name_eq(value, SPAN("local"))      ? ROUTE_LOCAL
                           : http_name_eq(value, SPAN("upstream")) ? ROUTE_UPSTREAM
                                                                   : ROUTE_ANY;

    /* Two that contradict: which one counts would be a guess. */
    if (wish == ROUTE_ANY || (c->route != ROUTE_ANY && c->route != wish))
        return false;
    c->route = wish;
    return true;
}

bool controls_skip(struct controls *c)
{
    return c->no_cache = c->no_store = true;
}

static bool read_directive(struct span item, struct controls *c)
{
    const char *eq = memchr(item.ptr, '=', item.len);
    struct span name = item, value = {NULL, 0};

    if (eq != NULL) {
        name = trim((struct span){item.ptr, (size_t)(eq - item.ptr)});
        value = trim((struct span){eq + 1, (size_t)(item.ptr + item.len - eq - 1)});
        if (http_name_eq(name, SPAN("max-age")))
            return controls_read_max_age(value, c);
        return http_name_eq(name, SPAN("ttl")) && controls_read_ttl(value, c);
    }
    if (http_name_eq(name, SPAN("no-cache")))
        return (c->no_cache = true);
    if (http_name_eq(name, SPAN("no-store")))
        return (c->no_store = true);
    if (http_name_eq(name, SPAN("only-if-cached")))
        return (c->only_if_cached = true);
    return http_name_eq(name, SPAN("bypass")) && controls_skip(c);
}

static bool read_directives(struct span list, struct controls *c)
{
    while (list.len > 0) {
        struct span item = next_item(&list);

        if (item.len > 0 && !read_directive(item, c))
            return false;
    }
    return true;
}

/* HTTP's own (RFC 9111 5.2.1): directives that we do not know are to be ignored; an age
 * that can not be read is one that nothing stored is young enough for. */
static bool read_cache_control(struct span list, struct controls *c)
{
    while (list.len > 0) {
        struct span item = next_item(&list);

        if (item.len >= 7 && http_name_eq((struct span){item.ptr, 7}, SPAN("max-age"))) {
            if (!read_directive(item, c))
                c->no_cache = true;
        } else if (http_name_eq(item, SPAN("no-cache")) ||
                   http_name_eq(item, SPAN("no-store")) ||
                   http_name_eq(item, SPAN("only-if-cached"))) {
            (void)read_directive(item, c);
        }
    }
    return true;
}

static bool read_refresh(struct span value, struct controls *c)
{
    bool on;

    if (!controls_read_switch(value, &on))
        return false;
    c->no_cache |= on;
    return true;
}

static bool read_no_store(struct span value, struct controls *c)
{
    bool on;

    if (!controls_read_switch(value, &on))
        return false;
    c->no_store |= on;
    return true;
}

static bool read_skip(struct span value, struct controls *c)
{
    bool on;

    if (!controls_read_switch(value, &on))
        return false;
    return !on || controls_skip(c);
}

/* "On" asks for no more than there is. */
static bool read_enabled(struct span value, struct controls *c)
{
    bool on;

    if (!controls_read_switch(value, &on))
        return false;
    return on || controls_skip(c);
}

static bool read_kind(struct span value, struct controls *c)
{
    if (http_name_eq(value, SPAN("direct")))
        return (c->exact_only = true);
    return http_name_eq(value, SPAN("semantic"));
}

static bool read_mode(struct span value, struct controls *c)
{
    if (http_name_eq(value, SPAN("readOnly")))
        return (c->no_store = true);
    if (http_name_eq(value, SPAN("writeOnly")))
        return (c->no_cache = true);
    return http_name_eq(value, SPAN("readWrite"));
}

static bool read_metadata(struct span value, struct controls *c)
{
    bool on;

    if (!controls_read_switch(value, &on))
        return false;
    c->metadata = c->metadata || on;
    return true;
}

/* --- the table ------------------------------------------------------------------------- */

#define DIRECTIVES "a list of no-cache, no-store, only-if-cached, max-age=SECONDS, ttl=SECONDS"
#define SWITCH     "true or false"
#define NAME       "given once, with 1 to 128 bytes, and be the only one that names a space"

/* In lower case. */
#define CONTROLS(X)                                                                            \
    X("x-ibid-cache", read_directives, DIRECTIVES)                                             \
    X("x-ibid-threshold", controls_read_threshold, "a number within 0..1")                     \
    X("x-ibid-namespace", controls_read_namespace, NAME)                                       \
    X("x-ibid-route", read_route, "local or upstream")                                         \
    X("x-ibid-metadata", read_metadata, SWITCH)                                                \
    X("x-ibid-session", read_session, "given once, with 1 to 128 bytes")                       \
    X("cache-control", read_cache_control, "")                                                 \
    /* Portkey */                                                                              \
    X("x-portkey-cache-force-refresh", read_refresh, SWITCH)                                   \
    X("x-portkey-cache-namespace", controls_read_namespace, NAME)                              \
    /* Helicone */                                                                             \
    X("helicone-cache-enabled", read_enabled, SWITCH)                                          \
    X("helicone-cache-seed", controls_read_namespace, NAME)                                    \
    /* Cloudflare */                                                                           \
    X("cf-aig-skip-cache", read_skip, SWITCH)                                                  \
    X("cf-aig-cache-ttl", controls_read_ttl, "seconds")                                        \
    X("cf-aig-cache-key", controls_read_namespace, NAME)                                       \
    X("cf-skip-cache", read_skip, SWITCH)                                                      \
    X("cf-cache-ttl", controls_read_ttl, "seconds")                                            \
    /* Bifrost */                                                                              \
    X("x-bf-cache-key", controls_read_namespace, NAME)                                         \
    X("x-bf-cache-ttl", controls_read_ttl, "seconds, or a number with s, m, h or d")           \
    X("x-bf-cache-threshold", controls_read_threshold, "a number within 0..1")                 \
    X("x-bf-cache-type", read_kind, "direct or semantic")                                      \
    X("x-bf-cache-no-store", read_no_store, SWITCH)                                            \
    /* vLLM semantic router */                                                                 \
    X("x-vsr-cache-control", read_directives, DIRECTIVES)                                      \
    /* OpenRouter */                                                                           \
    X("x-openrouter-cache", read_enabled, SWITCH)                                              \
    X("x-openrouter-cache-ttl", controls_read_ttl, "seconds")                                  \
    X("x-openrouter-cache-clear", read_refresh, SWITCH)                                        \
    /* Higress, OmniRoute, OpenPipe */                                                         \
    X("x-higress-skip-ai-cache", read_skip, "on or off")                                       \
    X("x-omniroute-no-cache", read_refresh, SWITCH)                                            \
    X("op-cache", read_mode, "readWrite, readOnly or writeOnly")

static const struct control {
    struct span name;
    bool (*read)(struct span value, struct controls *c);
    const char *expected;
} table[] = {
#define ROW(lit, read, expected) {{"" lit, sizeof(lit) - 1}, read, expected},
    CONTROLS(ROW)
#undef ROW
};

static const struct control *find(struct span name)
{
#define BIT(lit, read, expected) HTTP_NAME_BIT(lit)
    const uint64_t bits = 0 CONTROLS(BIT); /* of constants: one itself */
#undef BIT

    for (size_t i = 0; (http_name_bit(name) & bits) != 0 && i < ARRAY_LEN(table); i++) {
        if (http_name_eq(name, table[i].name))
            return &table[i];
    }
    return NULL;
}

static enum status refuse(struct protocol_error *err, struct span name, const char *expected)
{
    int n = (int)(name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES);

    snprintf(err->param, sizeof(err->param), "%.*s", n, name.ptr);
    snprintf(err->message, sizeof(err->message), "the header '%.*s' must be %s", n, name.ptr,
             expected);
    return ST_INVALID;
}

enum status controls_parse(const struct http_head *h, struct controls *out,
                           struct protocol_error *err)
{
    struct controls c = {0};

    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        const struct control *known = find(f->name);

        if (known != NULL && !known->read(trim(f->value), &c))
            return refuse(err, known->name, known->expected);
        if (known == NULL && controls_is_ours(f->name))
            return refuse(err, f->name,
                          "one that ibid knows: x-ibid-cache, x-ibid-threshold, "
                          "x-ibid-namespace, x-ibid-route, x-ibid-metadata, x-ibid-session");
    }
    *out = c;
    return ST_OK;
}

bool controls_is_ours(struct span name)
{
    return name.len > 7 && http_name_eq((struct span){name.ptr, 7}, SPAN("x-ibid-"));
}

bool controls_is_foreign(struct span name)
{
    return !controls_is_ours(name) && !http_name_eq(name, SPAN("cache-control")) &&
           find(name) != NULL;
}
