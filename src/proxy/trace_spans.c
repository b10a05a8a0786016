#include "proxy/trace_spans.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/json_writer.h"
#include "http/server.h"
#include "proxy/otlp.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/trace.h"
#include "proxy/upstream.h"

/* Shorter steps are in the request's own time; the metrics have them all. */
#define STEP_MIN_US 10

enum span_kind { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CLIENT = 3 };

struct spans {
    struct json_writer *w;
    const struct request *r;
    const struct trace *t;
    struct otlp *x;
    bool has_model; /* the span whose id the upstream was given */
};

static void put_id(struct json_writer *w, const char *name, const uint8_t *id, size_t n)
{
    char hex[2 * TRACE_ID_BYTES + 1];

    digest_hex(id, n, hex);
    json_writer_text(w, name, span_of(hex));
}

static void put_time(struct spans *s, const char *name, uint64_t at_us)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64 "000", otlp_wall_us(s->x, at_us));

    json_writer_text(s->w, name, (struct span){text, (size_t)n});
}

static void open_attribute(struct spans *s, const char *key)
{
    json_writer_open(s->w, NULL, '{');
    json_writer_text(s->w, "key", span_of(key));
    json_writer_open(s->w, "value", '{');
}

static void close_attribute(struct spans *s)
{
    json_writer_close(s->w, '}');
    json_writer_close(s->w, '}');
}

static void put_text(struct spans *s, const char *key, struct span value)
{
    if (value.len == 0)
        return;
    open_attribute(s, key);
    json_writer_text(s->w, "stringValue", value);
    close_attribute(s);
}

static void put_number(struct spans *s, const char *key, uint64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, n);

    open_attribute(s, key);
    json_writer_text(s->w, "intValue", (struct span){text, (size_t)len});
    close_attribute(s);
}

static void open_span(struct spans *s, const uint8_t id[SPAN_ID_BYTES], const uint8_t *parent,
                      enum span_kind kind, struct span name)
{
    json_writer_open(s->w, NULL, '{');
    put_id(s->w, "traceId", s->t->trace_id, TRACE_ID_BYTES);
    put_id(s->w, "spanId", id, SPAN_ID_BYTES);
    if (parent != NULL)
        put_id(s->w, "parentSpanId", parent, SPAN_ID_BYTES);
    json_writer_text(s->w, "name", name);
    json_writer_u64(s->w, "kind", (uint64_t)kind);
}

static void put_times(struct spans *s, uint64_t start_us, uint64_t end_us)
{
    put_time(s, "startTimeUnixNano", start_us);
    put_time(s, "endTimeUnixNano", end_us > start_us ? end_us : start_us);
}

static void close_span(struct spans *s, bool failed)
{
    json_writer_close(s->w, ']'); /* of the attributes */
    if (failed) {
        json_writer_open(s->w, "status", '{');
        json_writer_u64(s->w, "code", 2); /* STATUS_CODE_ERROR */
        json_writer_close(s->w, '}');
    }
    json_writer_close(s->w, '}');
}

/* --- generative AI: https://opentelemetry.io/docs/specs/semconv/gen-ai/
 * ----------------------- */

/* "openai.chat" -> "openai" */
static struct span family_of(const struct protocol *p)
{
    const char *dot = strchr(p->name, '.');

    return dot != NULL ? (struct span){p->name, (size_t)(dot - p->name)} : span_of(p->name);
}

static const char *provider_of(const struct request *r)
{
    struct span family = family_of(r->protocol);

    if (r->source == SOURCE_LOCAL)
        return "ibid";
    if (span_eq(family, SPAN("gemini")))
        return "gcp.gemini";
    if (span_eq(family, SPAN("anthropic")))
        return "anthropic";
    return span_eq(family, SPAN("ollama")) ? "ollama" : "openai";
}

static const char *operation_of(const struct protocol *p)
{
    if (p->write_vectors != NULL || strstr(p->name, "embed") != NULL)
        return "embeddings";
    if (strcmp(p->name, "openai.completions") == 0 || strcmp(p->name, "ollama.generate") == 0)
        return "text_completion";
    return strncmp(p->name, "gemini.", 7) == 0 ? "generate_content" : "chat";
}

static void put_question(struct spans *s)
{
    const struct request *r = s->r;

    put_text(s, "gen_ai.operation.name", span_of(operation_of(r->protocol)));
    put_text(s, "gen_ai.provider.name", span_of(provider_of(r)));
    put_text(s, "gen_ai.request.model", r->chat.model);
}

static void put_usage(struct spans *s)
{
    const struct charge *c = &s->r->charge;

    put_text(s, "gen_ai.response.model", c->model);
    if (c->state != CHARGE_KNOWN)
        return;
    put_number(s, "gen_ai.usage.input_tokens", c->prompt_tokens);
    put_number(s, "gen_ai.usage.output_tokens", c->completion_tokens);
}

/* The step that a request ended in, when its span stands for the question to a model. */
static bool asks_model(const struct request *r, const char *step)
{
    if (strcmp(step, "local") == 0)
        return r->source == SOURCE_LOCAL;
    return r->place != NULL && (strcmp(step, "forward") == 0 || strcmp(step, "gather") == 0);
}

static void name_question(const struct request *r, char *out, size_t cap)
{
    struct span m = r->chat.model;

    snprintf(out, cap, "%s%s%.*s", operation_of(r->protocol), m.len > 0 ? " " : "",
             (int)(m.len < 128 ? m.len : 128), m.len > 0 ? m.ptr : "");
}

static void put_model_span(struct spans *s, const char *step, uint64_t start_us,
                           uint64_t end_us, bool failed)
{
    const struct request *r = s->r;
    bool up = strcmp(step, "local") != 0;
    char name[192];

    s->has_model = true;

    if (r->protocol != NULL)
        name_question(r, name, sizeof(name));
    else
        snprintf(name, sizeof(name), "%s", step);
    open_span(s, s->t->model_id, s->t->span_id, up ? KIND_CLIENT : KIND_INTERNAL,
              span_of(name));
    put_times(s, start_us, end_us);
    json_writer_open(s->w, "attributes", '[');
    put_text(s, "ibid.step", span_of(step));
    if (r->protocol != NULL) {
        put_question(s);
        put_usage(s);
    }
    if (up) {
        put_text(s, "server.address", span_of(r->place->url.host));
        put_number(s, "server.port", r->place->url.port);
        put_text(s, "ibid.upstream", span_of(r->place->upstream->own->name));
    }
    close_span(s, failed);
}

/* --- steps, and the request ------------------------------------------------------------------
 */

static void put_step(struct spans *s, size_t i, uint64_t start_us, uint64_t end_us, bool failed)
{
    const char *name = pipeline_step_name(i);
    uint8_t id[SPAN_ID_BYTES];

    if (name == NULL)
        return;
    if (i == pipeline_step_index(s->r) && asks_model(s->r, name)) {
        put_model_span(s, name, start_us, end_us, failed);
        return;
    }
    if (end_us - start_us < STEP_MIN_US)
        return;
    trace_id_make(otlp_ids(s->x), id, sizeof(id));
    open_span(s, id, s->t->span_id, KIND_INTERNAL, span_of(name));
    put_times(s, start_us, end_us);
    json_writer_open(s->w, "attributes", '[');
    put_text(s, "ibid.step", span_of(name));
    close_span(s, false);
}

static void put_steps(struct spans *s, uint64_t now_us, bool failed)
{
    size_t last = pipeline_step_index(s->r);

    for (size_t i = 0; i < ACCOUNT_STEPS; i++) {
        uint64_t start_us = s->t->steps[i].start_us;

        if (start_us != 0)
            put_step(s, i, start_us, start_us + s->t->steps[i].took_us, failed);
        else if (i == last && s->r->step_us != 0) /* the one that answered, or was left */
            put_step(s, i, s->r->step_us, now_us, failed);
    }
    /* What is asked outside of the steps: a list of models. */
    if (!s->has_model && s->r->place != NULL)
        put_model_span(s, "forward", s->r->started_us, now_us, failed);
}

static void put_request(struct spans *s, uint64_t now_us, bool failed)
{
    const struct request *r = s->r;
    unsigned status = http_stream_status(r->stream);
    char name[192];

    /* Of a path that is no API's we do not know what it tells about whom. */
    snprintf(name, sizeof(name), "%.*s%s%.*s",
             (int)(r->head->method.len < 16 ? r->head->method.len : 16), r->head->method.ptr,
             r->protocol != NULL ? " " : "",
             (int)(r->protocol != NULL && r->head->path.len < 128 ? r->head->path.len : 0),
             r->head->path.ptr);
    open_span(s, s->t->span_id, s->t->has_parent ? s->t->parent_id : NULL, KIND_SERVER,
              span_of(name));
    put_times(s, r->started_us, now_us);
    json_writer_open(s->w, "attributes", '[');
    put_text(s, "http.request.method", r->head->method);
    if (status != 0)
        put_number(s, "http.response.status_code", status);
    put_text(s, "ibid.source", span_of(source_name(r->source)));
    if (r->protocol != NULL) {
        put_text(s, "url.path", r->head->path);
        put_text(s, "ibid.dialect", span_of(r->protocol->name));
        put_text(s, "gen_ai.request.model", r->chat.model);
    }
    if (r->miss_reason != NULL)
        put_text(s, "ibid.miss_reason", span_of(r->miss_reason));
    close_span(s, failed || status >= 500);
}

void trace_spans_write(const struct request *r, bool whole, uint64_t now_us, struct otlp *x)
{
    struct json_writer w = {otlp_spans(x), ST_OK, otlp_spans(x)->len > 0};
    struct spans s = {.w = &w, .r = r, .t = r->trace, .x = x};
    size_t before = w.out->len;

    put_request(&s, now_us, !whole);
    put_steps(&s, now_us, !whole);
    if (w.st != ST_OK)
        w.out->len = before; /* all or nothing */
    otlp_spans_added(x, w.st == ST_OK);
}
