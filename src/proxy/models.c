#include "proxy/models.h"

#include <stdio.h>

#include "base/json.h"
#include "config/config.h"
#include "http/client.h"
#include "http/server.h"
#include "proxy/forwarded.h"
#include "proxy/local_models.h"
#include "proxy/models_list.h"
#include "proxy/models_merge.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"
#include "rt/loop.h"

#define MODELS_PATH "/v1/models"

/* The upstream's list (NULL: none) and ours, in one. */
static void respond_list(struct request *r, const struct json *upstream)
{
    struct buf *out = &r->proxy->scratch;
    struct models_list_part part = {r->upstream, upstream};

    buf_clear(out);
    if (models_list_write(out, r, &part, r->upstream != NULL, true) != ST_OK) {
        respond_error(r, 500, "server_error", "", "", "the list of models is too large");
        return;
    }
    respond_whole(r, 200, SPAN("application/json"), buf_span(out));
}

/* An upstream that refuses keeps its own words, status and fields (Retry-After). */
static void relay_refusal(struct request *r, const struct http_head *h)
{
    struct respond_fields f = {.count = 0};
    struct digest id;

    if ((h->status == 401 || h->status == 403) &&
        credential_of(&r->proxy->credentials, r->head, &id) == ST_OK)
        credential_revoke(&r->proxy->credentials, &id, &r->upstream->id);
    upstream_answer_fields(h, &f);
    respond_add_facts(r, &f);
    r->flow.head_sent = true;
    if (http_respond(r->stream, h->status, f.list, f.count,
                     h->framing == HTTP_LENGTH    ? h->content_length
                     : h->framing == HTTP_NO_BODY ? 0
                                                  : HTTP_BODY_CHUNKED) != ST_OK)
        http_abort(r->stream);
}

static void on_head(void *owner, struct http_call *c, const struct http_head *h)
{
    struct request *r = owner;

    (void)c;
    r->source = SOURCE_UPSTREAM;
    upstream_reached(r->place);
    if (h->status != 200 && !r->closed)
        relay_refusal(r, h);
}

static void on_body(void *owner, struct http_call *c, struct span data)
{
    struct request *r = owner;
    bool wait = false;

    if (r->closed)
        return;
    if (!r->flow.head_sent) {
        if (buf_append(&r->recorded, data) != ST_OK)
            http_call_cancel(c);
    } else if (http_write(r->stream, data, &wait) != ST_OK) {
        http_abort(r->stream);
    } else if (wait) {
        http_call_pause(c);
    }
}

static void on_drained(void *owner, struct http_call *c)
{
    (void)owner;
    (void)c;
}

static bool ask_upstream(struct request *r);

static void on_end(void *owner, struct http_call *c, enum status st, const char *why)
{
    struct request *r = owner;
    struct json_error err;
    struct json *list;
    char text[192];

    r->call = NULL;
    if (!request_drop(r))
        return;
    if (http_call_unreached(c)) {
        r->place = upstream_unreached(r->place, loop_now_us(r->proxy->parts.loop));
        if (r->place != NULL && ask_upstream(r)) {
            r->proxy->account.upstream_failovers_total++;
            return;
        }
    }
    if (r->flow.head_sent) {
        if (st == ST_OK)
            http_end(r->stream);
        else
            http_abort(r->stream);
        return;
    }
    if (st != ST_OK) {
        snprintf(text, sizeof(text), "the upstream did not answer: %s", why);
        respond_error(r, st == ST_TIMEOUT ? 504 : 502, "server_error", "upstream_failed", "",
                      text);
        return;
    }
    if (json_parse(&r->arena, buf_span(&r->recorded), JSON_DEPTH_MAX, &list, &err) == ST_OK &&
        json_get(list, SPAN("data")) != NULL)
        respond_list(r, list);
    else
        respond_whole(r, 200, SPAN("application/json"), buf_span(&r->recorded));
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

static bool ask_upstream(struct request *r)
{
    struct http_request q = {.method = SPAN("GET")};
    const struct http_head *h = forwarded_head(r);

    buf_clear(&r->recorded);
    if (h == NULL ||
        upstream_start(r->place, h, true, &q, &r->arena, &events, r, &r->call) != ST_OK)
        return false;
    request_hold(r);
    return true;
}

/* What is one of ours alone, or a name that only we know. */
static enum status write_own(struct request *r, struct span name, struct buf *out)
{
    struct local_models *m = r->proxy->parts.local;
    struct upstreams_wish w = {.head = r->head, .stripped = r->stripped, .model = name};
    const struct upstream *u = upstreams_pick(r->setup->upstreams, &w);
    size_t voice;

    if (m != NULL && local_models_find(m, name, &voice))
        return models_list_write_local(out, m, voice);
    if (u != NULL && !span_eq(upstreams_alias(u, name), name))
        return models_list_write_alias(out, u, name);
    return ST_NOTFOUND;
}

static bool serve_one(struct request *r, struct span name)
{
    buf_clear(&r->proxy->scratch);
    if (name.len == 0 || write_own(r, name, &r->proxy->scratch) != ST_OK)
        return false;
    r->source = SOURCE_LOCAL;
    respond_whole(r, 200, SPAN("application/json"), buf_span(&r->proxy->scratch));
    return true;
}

static bool serve_list(struct request *r)
{
    struct upstream *list[CONFIG_UPSTREAMS_MAX + 1];
    size_t n = models_merge_whom(r, list, ARRAY_LEN(list));

    if (r->setup->upstreams == NULL) {
        r->source = SOURCE_LOCAL;
        respond_list(r, NULL);
        return true;
    }
    if (n > 1) {
        models_merge_start(r, list, n);
        return true;
    }
    /* Where there is nothing to add it is relayed untouched. */
    if (n == 0 || (r->proxy->parts.local == NULL && list[0]->own->aliases[0] == '\0'))
        return false;
    r->upstream = list[0];
    r->place = upstream_choose(r->upstream, loop_now_us(r->proxy->parts.loop));
    return ask_upstream(r);
}

bool models_serve(struct request *r)
{
    struct span path = r->head->path;
    const size_t n = sizeof(MODELS_PATH) - 1;

    if (!span_eq(r->head->method, SPAN("GET")) || path.len < n ||
        memcmp(path.ptr, MODELS_PATH, n) != 0)
        return false;
    if (path.len == n)
        return serve_list(r);
    return path.ptr[n] == '/' &&
           serve_one(r, (struct span){path.ptr + n + 1, path.len - n - 1});
}
