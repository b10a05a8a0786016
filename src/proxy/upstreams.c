#include "proxy/upstreams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "http/head.h"
#include "proxy/conditions.h"
#include "proxy/upstream.h"

/* --- opening and closing ------------------------------------------------------------------ */

static void close_next(void *owner)
{
    struct upstreams *u = owner;
    void (*closed)(void *) = u->closed;
    void *whose = u->owner;

    if (u->count > 0) {
        upstream_close(u->list[--u->count], close_next, u);
        return;
    }
    free(u);
    closed(whose);
}

void upstreams_close(struct upstreams *u, void (*closed)(void *owner), void *owner)
{
    u->closed = closed;
    u->owner = owner;
    close_next(u);
}

static void on_given_up(void *owner)
{
    (void)owner;
}

/* The short way is a record without conditions. */
static void write_plain(const struct config *c, struct config_upstream *out)
{
    memset(out, 0, sizeof(*out));
    snprintf(out->name, sizeof(out->name), "%s", c->upstream.name);
    snprintf(out->url, sizeof(out->url), "%s", c->upstream.url);
    out->trusted = c->upstream.trusted;
    out->gateway = c->upstream.gateway;
    snprintf(out->fallback_urls, sizeof(out->fallback_urls), "%s", c->upstream.fallback_urls);
    snprintf(out->ca_file, sizeof(out->ca_file), "%s", c->upstream.ca_file);
}

static struct upstream *find_same(const struct upstreams *before, const struct digest *made_of)
{
    for (size_t i = 0; before != NULL && i < before->count; i++) {
        if (digest_eq(&before->list[i]->made_of, made_of))
            return before->list[i];
    }
    return NULL;
}

static enum status open_or_keep(struct loop *loop, struct connector *connector,
                                const struct config *config, const struct config_upstream *own,
                                const struct upstreams *before, struct upstream **out,
                                char *why, size_t why_cap)
{
    struct digest made_of;
    enum status st = upstream_made_of(config, own, &made_of);
    struct upstream *same = st == ST_OK ? find_same(before, &made_of) : NULL;

    if (same == NULL)
        return upstream_open(loop, connector, config, own, out, why, why_cap);
    *out = upstream_ref(same);
    return ST_OK;
}

enum status upstreams_open(struct loop *loop, struct connector *connector,
                           const struct config *config, const struct upstreams *before,
                           struct upstreams **out, char *why, size_t why_cap)
{
    struct config_upstream short_way;
    size_t n = config->upstream_count + (config->upstream.url[0] != '\0');
    struct upstreams *u = calloc(1, sizeof(*u));
    enum status st = u != NULL ? ST_OK : ST_NOMEM;
    char reason[224] = "";

    for (size_t i = 0; st == ST_OK && i < n; i++) {
        bool plain = i == config->upstream_count;
        const struct config_upstream *own = plain ? &short_way : &config->upstreams[i];

        if (plain)
            write_plain(config, &short_way);
        st = open_or_keep(loop, connector, config, own, before, &u->list[i], reason,
                          sizeof(reason));
        if (st == ST_OK)
            u->count++;
        else if (plain)
            snprintf(why, why_cap, "upstream.%s", reason);
        else
            snprintf(why, why_cap, "upstreams: %s: %s", own->name, reason);
    }
    if (st == ST_OK && n > 0) {
        *out = u;
        return ST_OK;
    }
    if (u != NULL)
        upstreams_close(u, on_given_up, NULL);
    return st;
}

/* --- conditions ----------------------------------------------------------------------------
 */

static bool has_path(const struct config_upstream *own, const struct upstreams_wish *w)
{
    struct span path = span_of(own->path);

    if (own->strip_path)
        return span_eq(w->stripped, path);
    /* What named another upstream names this one no more. */
    return w->stripped.len == 0 && (path.len == 0 || conditions_begins(w->head->path, path));
}

/* What `model` stands for in the list; empty: it is none of its names. */
static struct span find_alias(const struct config_upstream *own, struct span model)
{
    struct span list = span_of(own->aliases), pair;

    while ((pair = config_word(&list)).len > 0) {
        if (pair.len > model.len && pair.ptr[model.len] == '=' &&
            memcmp(pair.ptr, model.ptr, model.len) == 0)
            return (struct span){pair.ptr + model.len + 1, pair.len - model.len - 1};
    }
    return (struct span){"", 0};
}

static bool takes_model(const struct config_upstream *own, const struct upstreams_wish *w)
{
    if (own->models[0] == '\0' || w->any_model)
        return true;
    return w->model.len > 0 &&
           (conditions_model(own->models, w->model) || find_alias(own, w->model).len > 0);
}

bool upstreams_takes(const struct upstream *u, const struct upstreams_wish *w)
{
    return has_path(u->own, w) && conditions_header(u->own->header, w->head) &&
           takes_model(u->own, w);
}

struct upstream *upstreams_pick(const struct upstreams *u, const struct upstreams_wish *w)
{
    for (size_t i = 0; u != NULL && i < u->count; i++) {
        if (upstreams_takes(u->list[i], w))
            return u->list[i];
    }
    return NULL;
}

struct span upstreams_strip(const struct upstreams *u, struct span path)
{
    struct span longest = {"", 0};

    for (size_t i = 0; u != NULL && i < u->count; i++) {
        struct span start = span_of(u->list[i]->own->path);

        if (u->list[i]->own->strip_path && start.len > longest.len && path.len > start.len &&
            conditions_begins(path, start))
            longest = start;
    }
    return longest;
}

struct span upstreams_alias(const struct upstream *u, struct span model)
{
    struct span name = model.len > 0 ? find_alias(u->own, model) : (struct span){"", 0};

    return name.len > 0 ? name : model;
}
