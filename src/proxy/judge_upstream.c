/* The judge upstream: a request without a client, asked in OpenAI's chat dialect where a
 * request for judge.model would go, with the upstream's own credential, if it has one, and
 * nobody else's. What it costs is a line of the ledger, of the tenant whose answer it is about.
 */
#include "config/config.h"
#include "http/client.h"
#include "http/head.h"
#include "protocol/answer.h"
#include "protocol/protocol.h"
#include "proxy/charge.h"
#include "proxy/judge_desk.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"
#include "rt/loop.h"

#define ANSWER_BYTES_MAX (64u * 1024)

/* NULL once the judge has given it up; the request lives on until its call has ended. */
static struct judge *judge_of(const struct request *r)
{
    struct judge *j = r->proxy->judge;

    return j->request == r ? j : NULL;
}

static void on_head(void *owner, struct http_call *call, const struct http_head *h)
{
    struct request *r = owner;

    upstream_reached(r->place);
    if (h->status == 200) {
        r->recording = true;
        return;
    }
    charge_nothing(r);
    http_call_cancel(call);
}

static void on_body(void *owner, struct http_call *call, struct span data)
{
    struct request *r = owner;

    if (r->recording && buf_append(&r->recorded, data) != ST_OK)
        http_call_cancel(call);
}

static void on_drained(void *owner, struct http_call *call)
{
    (void)owner;
    (void)call;
}

static double read_verdict(struct request *r)
{
    struct answer a;

    if (!r->recording ||
        answer_read(r->protocol, &r->arena, buf_span(&r->recorded), &a) != ST_OK)
        return JUDGE_FAILED;
    charge_answer(r, &a);
    return judge_case_said(a.text);
}

static void on_end(void *owner, struct http_call *call, enum status st, const char *why)
{
    struct request *r = owner;
    struct judge *j = judge_of(r);
    double yes = JUDGE_FAILED;

    (void)why;
    r->call = NULL;
    if (http_call_unreached(call)) {
        (void)upstream_unreached(r->place, loop_now_us(r->proxy->parts.loop));
        charge_nothing(r);
    }
    if (st == ST_OK)
        yes = read_verdict(r);
    charge_background(r);
    if (j != NULL) {
        j->request = NULL;
        j->counts.usd += r->charge.state == CHARGE_KNOWN ? charge_usd(&r->charge) : 0;
        judge_verdict(j, yes);
    }
    (void)!request_drop(r);
}

static const struct http_call_events events = {on_head, on_body, on_drained, on_end};

/* --- the request -------------------------------------------------------------------------- */

static struct http_head *make_head(struct arena *arena)
{
    static struct http_field fields[] = {
        {.name = {"content-type", 12}, .value = {"application/json", 16}}};
    struct http_head *h = arena_alloc(arena, sizeof(*h), _Alignof(struct http_head));

    if (h != NULL)
        *h = (struct http_head){.method = SPAN("POST"),
                                .target = SPAN("/v1/chat/completions"),
                                .path = SPAN("/v1/chat/completions"),
                                .query = SPAN(""),
                                .fields = fields,
                                .field_count = ARRAY_LEN(fields)};
    return h;
}

static enum status fill(struct request *r, const struct judge_job *job)
{
    struct upstreams_wish w = {.model = span_of(r->setup->config->judge.model)};
    enum status st;

    r->head = w.head = make_head(&r->arena);
    if (w.head == NULL)
        return ST_NOMEM;
    r->upstream = upstreams_pick(r->setup->upstreams, &w);
    if (r->upstream == NULL)
        return ST_UNAVAILABLE;
    r->protocol = r->dialect = &openai_chat_protocol;
    r->scope = job->scope;
    r->source = SOURCE_UPSTREAM;
    r->body_complete = true;
    r->recorded.limit = ANSWER_BYTES_MAX;
    st = arena_copy(&r->arena, upstreams_alias(r->upstream, w.model), &r->chat.model);
    return st == ST_OK ? judge_case_write(&job->what, r->chat.model, &r->body) : st;
}

bool judge_upstream_ask(struct judge *j)
{
    struct proxy *p = j->proxy;
    struct request *r = request_open_detached(p, p->parts.setup);
    struct http_request q = {.method = SPAN("POST")};
    enum status st;

    if (r == NULL)
        return false;
    st = fill(r, j->job);
    if (st == ST_OK) {
        q.body = buf_span(&r->body);
        r->place = upstream_choose(r->upstream, loop_now_us(p->parts.loop));
        st = upstream_start(r->place, r->head, true, &q, &r->arena, &events, r, &r->call);
    }
    if (st == ST_OK)
        j->request = r;
    else
        (void)!request_drop(r);
    return st == ST_OK;
}

/* Its end is nobody's business any more but the ledger's. */
bool judge_upstream_cancel(struct judge *j)
{
    struct request *r = j->request;

    j->request = NULL;
    if (r != NULL && r->call != NULL)
        http_call_cancel(r->call);
    return false;
}
