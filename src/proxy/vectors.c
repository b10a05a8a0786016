/* The inputs of a request go to the encoder's pool a few at a time, so that one request
 * takes no more than its share of the queue; when the last has come back the vectors are
 * written in the order of their inputs. */
#include "proxy/vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/head.h"
#include "http/server.h"
#include "protocol/answer.h"
#include "protocol/protocol.h"
#include "proxy/mark.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "proxy/respond.h"
#include "proxy/steps.h"

/* Of one request, with the pool at a time. */
#define IN_FLIGHT_MAX 8

/* A job's owner is this while it is with the pool. */
struct vectors {
    struct request *request; /* borrowed: held until nothing is in flight */
    struct embed_job *jobs;  /* owned, one of each input */
    size_t count, next;      /* the next that is to be submitted */
    size_t in_flight;
    size_t failed; /* the first input that has no vector */
    enum status st;
};

static void release(struct vectors *v)
{
    for (size_t i = 0; i < v->next; i++)
        embedder_job_release(&v->jobs[i]);
    free(v->jobs);
    free(v);
}

bool vectors_named(const struct request *r)
{
    const struct proxy_parts *parts = &r->proxy->parts;

    return r->protocol->write_vectors != NULL && parts->embedder != NULL &&
           parts->encoder_name.len > 0 && http_name_eq(r->chat.model, parts->encoder_name);
}

static const char *other_model(struct request *r)
{
    struct span name = r->proxy->parts.encoder_name;
    char *text = arena_alloc(&r->arena, name.len + 64, 1);

    if (text == NULL)
        return "the built-in encoder has another name";
    snprintf(text, name.len + 64, "the built-in encoder is '%.*s'; 'model' names another",
             (int)name.len, name.ptr);
    return text;
}

const char *vectors_unsupported(struct request *r)
{
    const struct chat_request *q = &r->chat;
    uint32_t dimensions = embedder_dimensions(r->proxy->parts.embedder);

    if (!vectors_named(r))
        return other_model(r);
    if (q->unsupported != NULL)
        return q->unsupported;
    if (q->has_dimensions && q->dimensions != dimensions)
        return "the built-in encoder's vectors have one length; 'dimensions' asks for another";
    return NULL;
}

/* --- the answer ------------------------------------------------------------------------- */

static enum status write_answer(struct request *r, const struct vectors *v, struct buf *out)
{
    struct embedder *e = r->proxy->parts.embedder;
    const float **list = arena_alloc(&r->arena, v->count * sizeof(*list), _Alignof(float *));
    struct protocol_vectors p = {.model = r->proxy->parts.encoder_name,
                                 .count = v->count,
                                 .dimensions = embedder_dimensions(e),
                                 .base64 = r->chat.base64};

    if (list == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < v->count; i++) {
        list[i] = v->jobs[i].vector;
        p.prompt_tokens += embedder_tokens(e, v->jobs[i].text);
    }
    p.list = list;
    return r->protocol->write_vectors(out, &p);
}

static void keep(struct request *r, struct span body)
{
    struct answer a;

    if (answer_read(r->protocol, &r->arena, body, &a) == ST_OK) {
        charge_answer(r, &a);
        record_answer(r, &a);
    } else {
        record_nothing(r, "no_memory");
    }
}

static void succeed(struct request *r, const struct vectors *v)
{
    struct buf out;

    buf_init(&out, SIZE_MAX / 4);
    if (write_answer(r, v, &out) == ST_OK) {
        keep(r, buf_span(&out));
        if (mark_wanted(r) && mark_whole(r, &out, 0) != ST_OK)
            http_abort(r->stream);
        else
            respond_whole(r, 200, SPAN("application/json"), buf_span(&out));
    } else {
        record_nothing(r, "no_memory");
        respond_error(r, 500, "server_error", "local_failed", "", "out of memory");
    }
    buf_release(&out);
}

static void fail(struct request *r, const struct vectors *v)
{
    enum status st = v->st;
    char param[32], text[160];

    record_nothing(r, "local_failed");
    if (st == ST_OVERLOAD || st == ST_CANCELED) {
        r->proxy->account.refused_total++;
        respond_error(r, 503, "server_error", "overloaded", "",
                      "the encoder's queue is full; see encoder.queue_max");
        return;
    }
    snprintf(param, sizeof(param), "input[%zu]", v->failed);
    snprintf(text, sizeof(text), "'%s' %s", param,
             st == ST_LIMIT      ? "is longer than the encoder's window, and nothing is cut off"
             : st == ST_INVALID  ? "is not UTF-8"
             : st == ST_NOTFOUND ? "has no word that the encoder knows"
                                 : "could not be embedded; see the log");
    if (st == ST_LIMIT || st == ST_INVALID || st == ST_NOTFOUND)
        respond_error(r, 400, "invalid_request_error", "", param, text);
    else
        respond_error(r, 500, "server_error", "local_failed", param, text);
}

/* --- the jobs ----------------------------------------------------------------------------- */

static void on_embedded(struct embed_job *job, enum status st);

static void submit_more(struct vectors *v)
{
    const struct proxy_parts *parts = &v->request->proxy->parts;

    while (v->st == ST_OK && v->next < v->count && v->in_flight < IN_FLIGHT_MAX) {
        struct embed_job *job = &v->jobs[v->next];
        enum status st;

        job->text = v->request->chat.inputs[v->next];
        job->tenant = v->request->credential;
        job->owner = v;
        st = embedder_submit(parts->embedder, job, parts->loop, on_embedded);
        /* With others of ours still out, one of them makes room. */
        if (st == ST_OVERLOAD && v->in_flight > 0)
            return;
        if (st != ST_OK) {
            v->st = st;
            return;
        }
        v->next++;
        v->in_flight++;
    }
}

static void on_embedded(struct embed_job *job, enum status st)
{
    struct vectors *v = job->owner;
    struct request *r = v->request;

    job->owner = NULL;
    v->in_flight--;
    r->charge.cpu_us += job->embed_cpu_us;
    r->proxy->account.cost_encoder_s += (double)job->embed_cpu_us / 1e6;
    if (st == ST_OK)
        st = job->status;
    if (st != ST_OK && v->st == ST_OK) {
        v->st = st;
        v->failed = (size_t)(job - v->jobs);
    }
    if (!r->closed)
        submit_more(v);
    if (v->in_flight > 0)
        return;
    r->vectors = NULL;
    if (request_drop(r)) {
        request_finish(r);
        if (v->st == ST_OK)
            succeed(r, v);
        else
            fail(r, v);
    }
    release(v);
}

/* Embeddings by the built-in encoder, when it is the one that is asked. */
enum step_result vectors_enter(struct request *r)
{
    struct vectors *v;
    const char *why;

    if (r->protocol == NULL || !r->to_local || r->protocol->write_vectors == NULL)
        return STEP_NEXT;
    r->source = SOURCE_LOCAL;
    why = vectors_unsupported(r);
    if (why != NULL) {
        record_nothing(r, "local_failed");
        respond_error(r, 400, "invalid_request_error", "unsupported_by_local_model", "", why);
        return STEP_DONE;
    }
    v = calloc(1, sizeof(*v));
    if (v != NULL)
        v->jobs = calloc(r->chat.input_count, sizeof(*v->jobs));
    if (v == NULL || v->jobs == NULL) {
        free(v);
        record_nothing(r, "no_memory");
        respond_error(r, 500, "server_error", "local_failed", "", "out of memory");
        return STEP_DONE;
    }
    v->request = r;
    v->count = r->chat.input_count;
    submit_more(v);
    if (v->in_flight == 0) {
        fail(r, v);
        release(v);
        return STEP_DONE;
    }
    r->vectors = v;
    request_hold(r);
    return STEP_WAIT;
}

void vectors_cancel(struct request *r)
{
    struct vectors *v = r->vectors;

    v->st = ST_CANCELED;
    for (size_t i = 0; i < v->next; i++) {
        if (v->jobs[i].owner != NULL) /* not back yet */
            embedder_cancel(&v->jobs[i]);
    }
}
