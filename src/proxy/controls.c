#include "proxy/controls.h"

#include <stdio.h>

#include "http/head.h"

#define CONTROL_SECONDS_MAX (10ull * 365 * 86400)

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

static bool parse_seconds(struct span s, uint64_t *out)
{
    uint64_t n = 0;

    if (s.len == 0 || s.len > 12)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = n > CONTROL_SECONDS_MAX ? CONTROL_SECONDS_MAX : n;
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

static enum status refuse(struct protocol_error *err, const char *header, const char *expected)
{
    snprintf(err->param, sizeof(err->param), "%s", header);
    snprintf(err->message, sizeof(err->message), "the header '%s' must be %s", header,
             expected);
    return ST_INVALID;
}

static bool parse_directive(struct span item, struct controls *c)
{
    const char *eq = memchr(item.ptr, '=', item.len);
    struct span name = item, value = {NULL, 0};

    if (eq != NULL) {
        name = trim((struct span){item.ptr, (size_t)(eq - item.ptr)});
        value = trim((struct span){eq + 1, (size_t)(item.ptr + item.len - eq - 1)});
        if (http_name_eq(name, SPAN("max-age")))
            return (c->has_max_age = parse_seconds(value, &c->max_age_s));
        if (http_name_eq(name, SPAN("ttl")))
            return (c->has_ttl = parse_seconds(value, &c->ttl_s));
        return false;
    }
    if (http_name_eq(name, SPAN("no-cache")))
        return (c->no_cache = true);
    if (http_name_eq(name, SPAN("no-store")))
        return (c->no_store = true);
    if (http_name_eq(name, SPAN("only-if-cached")))
        return (c->only_if_cached = true);
    return false;
}

static enum status parse_cache(struct span list, struct controls *c, struct protocol_error *err)
{
    while (list.len > 0) {
        struct span item = next_item(&list);

        if (item.len > 0 && !parse_directive(item, c))
            return refuse(err, "x-ibid-cache",
                          "a list of no-cache, no-store, only-if-cached, max-age=SECONDS, "
                          "ttl=SECONDS");
    }
    return ST_OK;
}

static enum status parse_route(struct span value, struct controls *c,
                               struct protocol_error *err)
{
    if (http_name_eq(value, SPAN("local")))
        c->route = ROUTE_LOCAL;
    else if (http_name_eq(value, SPAN("upstream")))
        c->route = ROUTE_UPSTREAM;
    else
        return refuse(err, "x-ibid-route", "local or upstream");
    return ST_OK;
}

static enum status parse_field(const struct http_field *f, struct controls *c,
                               struct protocol_error *err)
{
    struct span value = trim(f->value);

    if (http_name_eq(f->name, SPAN("x-ibid-cache")))
        return parse_cache(value, c, err);
    if (http_name_eq(f->name, SPAN("x-ibid-route")))
        return parse_route(value, c, err);
    if (http_name_eq(f->name, SPAN("x-ibid-threshold"))) {
        double threshold;

        if (!parse_probability(value, &threshold))
            return refuse(err, "x-ibid-threshold", "a number within 0..1");
        /* Repeated: the strictest counts. */
        if (!c->has_threshold || threshold > c->threshold)
            c->threshold = threshold;
        c->has_threshold = true;
    }
    if (http_name_eq(f->name, SPAN("x-ibid-namespace"))) {
        if (c->name_space.ptr != NULL || value.len == 0 || value.len > CONTROLS_NAMESPACE_MAX)
            return refuse(err, "x-ibid-namespace", "given once, with 1 to 128 bytes");
        c->name_space = value;
    }
    return ST_OK;
}

enum status controls_parse(const struct http_head *h, struct controls *out,
                           struct protocol_error *err)
{
    struct controls c = {0};

    for (size_t i = 0; i < h->field_count; i++) {
        enum status st;

        if (!controls_is_ours(h->fields[i].name))
            continue;
        st = parse_field(&h->fields[i], &c, err);
        if (st != ST_OK)
            return st;
    }
    *out = c;
    return ST_OK;
}

bool controls_is_ours(struct span name)
{
    return name.len > 7 && http_name_eq((struct span){name.ptr, 7}, SPAN("x-ibid-"));
}
