/* What clients of other gateways say of caching in the body: a table of members, as that of
 * headers in controls.c. */
#include "proxy/controls_body.h"

#include <stdio.h>

#include "base/json.h"
#include "proxy/controls.h"
#include "proxy/controls_read.h"

static bool on_of(const struct json *v, bool *out)
{
    return v->type == JSON_STRING ? controls_read_switch(v->text, out) : json_bool(v, out);
}

static bool off_skips(const struct json *v, struct controls *c)
{
    bool on;

    return on_of(v, &on) && (on || controls_skip(c));
}

static bool on_skips(const struct json *v, struct controls *c)
{
    bool on;

    return json_bool(v, &on) && (!on || controls_skip(c));
}

static bool on_refreshes(const struct json *v, struct controls *c)
{
    bool on = false;

    if (!on_of(v, &on))
        return false;
    c->no_cache |= on;
    return true;
}

static bool on_keeps_out(const struct json *v, struct controls *c)
{
    bool on = false;

    if (!on_of(v, &on))
        return false;
    c->no_store |= on;
    return true;
}

/* A number and its text are read like a header's. */
static bool is_scalar(const struct json *v)
{
    return v->type == JSON_NUMBER || v->type == JSON_STRING;
}

static bool life(const struct json *v, struct controls *c)
{
    return is_scalar(v) && controls_read_ttl(v->text, c);
}

static bool age(const struct json *v, struct controls *c)
{
    return is_scalar(v) && controls_read_max_age(v->text, c);
}

static bool similarity(const struct json *v, struct controls *c)
{
    return is_scalar(v) && controls_read_threshold(v->text, c);
}

static bool space(const struct json *v, struct controls *c)
{
    return v->type == JSON_STRING && controls_read_namespace(v->text, c);
}

static bool kind(const struct json *v, struct controls *c)
{
    if (!span_eq(json_str(v), SPAN("exact_match")))
        return false;
    return (c->exact_only = true);
}

static bool mode(const struct json *v, struct controls *c)
{
    struct span m = json_str(v);

    c->no_cache |= span_eq(m, SPAN("off")) || span_eq(m, SPAN("write_only"));
    c->no_store |= span_eq(m, SPAN("off")) || span_eq(m, SPAN("read_only"));
    return span_eq(m, SPAN("on")) || span_eq(m, SPAN("off")) ||
           span_eq(m, SPAN("write_only")) || span_eq(m, SPAN("read_only"));
}

/* `of`: the member that is an object with these; empty: they stand in the body itself. */
static const struct wish {
    struct span of, name;
    bool (*read)(const struct json *v, struct controls *c);
} wishes[] = {
    /* LiteLLM; orq's has type and ttl */
    {{"cache", 5}, {"no-cache", 8}, on_refreshes},
    {{"cache", 5}, {"no-store", 8}, on_keeps_out},
    {{"cache", 5}, {"ttl", 3}, life},
    {{"cache", 5}, {"s-maxage", 8}, age},
    {{"cache", 5}, {"s-max-age", 9}, age},
    {{"cache", 5}, {"namespace", 9}, space},
    {{"cache", 5}, {"use-cache", 9}, off_skips},
    {{"cache", 5}, {"type", 4}, kind},
    /* TensorZero */
    {{"tensorzero::cache_options", 25}, {"enabled", 7}, mode},
    {{"tensorzero::cache_options", 25}, {"max_age_s", 9}, age},
    /* GPTCache, production-stack */
    {{"", 0}, {"cache_skip", 10}, on_skips},
    {{"", 0}, {"skip_cache", 10}, on_skips},
    {{"", 0}, {"cache_similarity_threshold", 26}, similarity},
};

static const struct wish *wish_named(struct span of, struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        if (span_eq(wishes[i].of, of) && span_eq(wishes[i].name, name))
            return &wishes[i];
    }
    return NULL;
}

/* false: something of it is not understood; what is counts all the same. */
static bool read_wish(struct span of, const struct json *v, struct controls *c)
{
    const struct wish *w = wish_named(of, v->key);

    return v->type == JSON_NULL ? w != NULL : w != NULL && w->read(v, c);
}

static bool read_member(const struct json *v, struct controls *c)
{
    bool all = true;

    if (v->type != JSON_OBJECT)
        return read_wish((struct span){"", 0}, v, c);
    for (const struct json *m = v->child; m != NULL; m = m->next)
        all &= read_wish(v->key, m, c);
    return all && (v->child != NULL || span_eq(v->key, SPAN("cache")));
}

static bool names_space(const struct json *body)
{
    return json_str(json_get(json_get(body, SPAN("cache")), SPAN("namespace"))).ptr != NULL;
}

enum status controls_body_read(const struct json *body, struct controls *c,
                               struct protocol_error *err)
{
    if (c->name_space.ptr != NULL && names_space(body)) {
        snprintf(err->param, sizeof(err->param), "cache.namespace");
        snprintf(err->message, sizeof(err->message),
                 "'cache.namespace' must be the only one that names a space, and a header "
                 "does, too");
        return ST_INVALID;
    }
    for (const struct json *v = body != NULL ? body->child : NULL; v != NULL; v = v->next)
        (void)read_member(v, c);
    return ST_OK;
}

bool controls_body_takes(const struct json *member)
{
    struct controls c = {0};

    return member->type != JSON_NULL && read_member(member, &c);
}
