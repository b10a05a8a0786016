#include "cli/log_lines.h"

#include <stdlib.h>

#include "protocol/protocol.h"

#define LINE_DEPTH         JSON_DEPTH_MAX
#define REQUESTS_BYTES_MAX ((size_t)1 << 30)

/* --- the requests of a batch -------------------------------------------------------------- */

void log_lines_requests_init(struct log_requests *r)
{
    *r = (struct log_requests){.list = NULL};
    arena_init(&r->texts, 1 << 20, REQUESTS_BYTES_MAX);
}

void log_lines_requests_release(struct log_requests *r)
{
    arena_release(&r->texts);
    free(r->list);
}

static enum status keep(struct log_requests *r, struct span id, struct span path,
                        const struct json *body)
{
    struct log_request *x;
    struct buf text;
    enum status st;

    if (r->count == r->room) {
        size_t room = r->room * 2 + 256;
        struct log_request *grown = realloc(r->list, room * sizeof(*grown));

        if (grown == NULL)
            return ST_NOMEM;
        r->list = grown;
        r->room = room;
    }
    x = &r->list[r->count];
    buf_init(&text, REQUESTS_BYTES_MAX);
    st = json_write(&text, body);
    if (st == ST_OK)
        st = arena_copy(&r->texts, id, &x->id);
    if (st == ST_OK)
        st = arena_copy(&r->texts, path, &x->path);
    if (st == ST_OK)
        st = arena_copy(&r->texts, buf_span(&text), &x->body);
    buf_release(&text);
    if (st == ST_OK)
        r->count++;
    return st;
}

const char *log_lines_request_add(struct log_requests *r, struct arena *scratch,
                                  struct span line)
{
    struct json_error err;
    struct json *root;
    struct span id, path;
    const struct json *body;

    if (json_parse(scratch, line, LINE_DEPTH, &root, &err) != ST_OK)
        return "it is no JSON";
    id = json_str(json_get(root, SPAN("custom_id")));
    path = json_str(json_get(root, SPAN("url")));
    body = json_get(root, SPAN("body"));
    if (id.ptr == NULL || path.ptr == NULL || body == NULL || body->type != JSON_OBJECT)
        return "it is no request of a batch: custom_id, url and body";
    return keep(r, id, path, body) == ST_OK ? NULL : "the requests are too large for memory";
}

static int by_id(const void *a, const void *b)
{
    return span_order(((const struct log_request *)a)->id, ((const struct log_request *)b)->id);
}

const char *log_lines_requests_sort(struct log_requests *r)
{
    if (r->count > 1)
        qsort(r->list, r->count, sizeof(*r->list), by_id);
    for (size_t i = 1; i < r->count; i++) {
        if (span_eq(r->list[i].id, r->list[i - 1].id))
            return "two requests have one custom_id";
    }
    return NULL;
}

static const struct log_request *find_request(const struct log_requests *r, struct span id)
{
    struct log_request key = {.id = id};

    return r != NULL && r->count > 0 ? bsearch(&key, r->list, r->count, sizeof(*r->list), by_id)
                                     : NULL;
}

/* --- lines -------------------------------------------------------------------------------- */

void log_lines_init(struct log_line *l, size_t bytes_max)
{
    *l = (struct log_line){.frame = {NULL, 0}};
    buf_init(&l->body, bytes_max);
    buf_init(&l->answer, bytes_max);
}

void log_lines_release(struct log_line *l)
{
    buf_release(&l->body);
    buf_release(&l->answer);
}

static bool is_object(const struct json *v)
{
    return v != NULL && v->type == JSON_OBJECT;
}

/* OpenAI's answers say their second. */
static uint64_t created_ms(const struct json *answer)
{
    uint64_t s = 0;

    if (!json_u64(json_get(answer, SPAN("created")), &s) &&
        !json_u64(json_get(answer, SPAN("created_at")), &s))
        return 0;
    return s < UINT64_MAX / 1000 ? s * 1000 : 0;
}

static const char *put_answer(struct log_line *l, const struct json *answer)
{
    l->created_ms = created_ms(answer);
    return json_write(&l->answer, answer) == ST_OK ? NULL : "its answer is too large";
}

static const char *put_exchange(struct log_line *l, const struct json *body,
                                const struct json *answer)
{
    if (json_write(&l->body, body) != ST_OK)
        return "its request is too large";
    return put_answer(l, answer);
}

static const char *read_batch(struct log_line *l, const struct log_requests *requests,
                              const struct json *root, struct span id)
{
    const struct json *response = json_get(root, SPAN("response"));
    const struct json *answer = json_get(response, SPAN("body"));
    const struct log_request *q = find_request(requests, id);
    uint64_t status = 0;

    if (response == NULL)
        return "it is a request without its answer: give the file of answers, and this one by "
               "--requests";
    if (!json_u64(json_get(response, SPAN("status_code")), &status) || status != 200 ||
        !is_object(answer)) {
        l->kind = LOG_LINE_FAILED;
        return NULL;
    }
    if (q == NULL)
        return "there is no request of its custom_id: give their file by --requests";
    l->path = q->path;
    if (buf_append(&l->body, q->body) != ST_OK)
        return "its request is too large";
    return put_answer(l, answer);
}

static enum status put_members(struct buf *out, const struct json *object, bool *comma)
{
    enum status st = ST_OK;

    for (const struct json *v = is_object(object) ? object->child : NULL;
         st == ST_OK && v != NULL; v = v->next) {
        st = *comma ? buf_append(out, SPAN(",")) : ST_OK;
        if (st == ST_OK)
            st = json_write_string(out, v->key);
        if (st == ST_OK)
            st = buf_append(out, SPAN(":"));
        if (st == ST_OK)
            st = json_write(out, v);
        *comma = true;
    }
    return st;
}

/* {model, messages, …parameters}. */
static enum status put_chat(struct buf *out, struct span model, const struct json *messages,
                            const struct json *parameters)
{
    bool comma = true;
    enum status st = buf_append(out, SPAN("{\"model\":"));

    if (st == ST_OK)
        st = json_write_string(out, model);
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"messages\":"));
    if (st == ST_OK)
        st = json_write(out, messages);
    if (st == ST_OK)
        st = put_members(out, parameters, &comma);
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

/* LiteLLM's StandardLoggingPayload. */
static const char *read_litellm(struct log_line *l, const struct json *root,
                                const struct json *messages)
{
    const struct json *answer = json_get(root, SPAN("response"));
    struct span status = json_str(json_get(root, SPAN("status")));

    if ((status.ptr != NULL && !span_eq(status, SPAN("success"))) || !is_object(answer)) {
        l->kind = LOG_LINE_FAILED;
        return NULL;
    }
    if (put_chat(&l->body, json_str(json_get(root, SPAN("model"))), messages,
                 json_get(root, SPAN("model_parameters"))) != ST_OK)
        return "its request is too large";
    return put_answer(l, answer);
}

static uint64_t usage_of(const struct json *root, const char *name)
{
    uint64_t n = 0;

    (void)!json_u64(json_get(json_get(root, SPAN("usage")), span_of(name)), &n);
    return n;
}

/* Only what was said is in the log: the rest of the answer is made as for a text of our own. */
static const char *put_text(struct log_line *l, const struct json *root, struct span model,
                            struct span text, struct span path)
{
    const struct protocol *p = protocol_find(SPAN("POST"), path);
    const struct protocol_text t = {.model = model,
                                    .text = text,
                                    .finish = SPAN("stop"),
                                    .prompt_tokens = usage_of(root, "input"),
                                    .completion_tokens = usage_of(root, "output")};

    if (text.ptr == NULL)
        return "its output is neither a text, a message with one, nor a whole answer";
    if (p == NULL || p->render == NULL)
        return "of this path only whole answers can be imported";
    return p->render(&l->answer, &t) == ST_OK ? NULL : "its answer is too large";
}

/* Langfuse's observation of a generation. */
static const char *read_langfuse(struct log_line *l, const struct json *root,
                                 const struct json *input, struct span path)
{
    const struct json *output = json_get(root, SPAN("output"));
    const struct json *messages =
        input->type == JSON_ARRAY ? input : json_get(input, SPAN("messages"));
    struct span model = json_str(json_get(root, SPAN("model")));

    if (output == NULL || output->type == JSON_NULL) {
        l->kind = LOG_LINE_FAILED;
        return NULL;
    }
    if (messages == NULL || messages->type != JSON_ARRAY || model.ptr == NULL)
        return "its input has no messages, or it names no model";
    if (put_chat(&l->body, model, messages, json_get(root, SPAN("modelParameters"))) != ST_OK)
        return "its request is too large";
    if (json_get(output, SPAN("choices")) != NULL)
        return put_answer(l, output);
    return put_text(l, root, model,
                    output->type == JSON_STRING ? output->text
                                                : json_str(json_get(output, SPAN("content"))),
                    path);
}

static struct span path_of(const struct json *root)
{
    struct span path = json_str(json_get(root, SPAN("path")));

    return path.ptr != NULL ? path : json_str(json_get(root, SPAN("url")));
}

const char *log_lines_read(struct log_line *l, const struct log_requests *requests,
                           struct span path, struct arena *scratch, struct span line)
{
    struct json_error err;
    struct json *root;
    struct span id;

    l->kind = LOG_LINE_EXCHANGE;
    l->created_ms = 0;
    buf_clear(&l->body);
    buf_clear(&l->answer);
    if (json_parse(scratch, line, LINE_DEPTH, &root, &err) != ST_OK || !is_object(root))
        return "it is no JSON object";
    l->path = path;
    if (json_get(root, SPAN("ibid_entry")) != NULL) {
        l->kind = LOG_LINE_ENTRY;
        l->frame = json_str(json_get(root, SPAN("frame")));
        return l->frame.ptr != NULL ? NULL : "it is an entry without its frame";
    }
    id = json_str(json_get(root, SPAN("custom_id")));
    if (id.ptr != NULL)
        return read_batch(l, requests, root, id);
    if (path_of(root).ptr != NULL)
        l->path = path_of(root);
    if (is_object(json_get(root, SPAN("request"))) &&
        is_object(json_get(root, SPAN("response"))))
        return put_exchange(l, json_get(root, SPAN("request")),
                            json_get(root, SPAN("response")));
    if (json_get(root, SPAN("messages")) != NULL && json_get(root, SPAN("response")) != NULL)
        return read_litellm(l, root, json_get(root, SPAN("messages")));
    if (json_get(root, SPAN("input")) != NULL)
        return read_langfuse(l, root, json_get(root, SPAN("input")), l->path);
    return "it is of no kind that ibid knows; see ibid cache import --help";
}
