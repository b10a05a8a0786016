/* Gemini's POST .../models/NAME:generateContent and :streamGenerateContent. Which of the two
 * is in the path, which is part of the identity, so each replays in its own form only; a
 * stream is a list in JSON, or events with ?alt=sse. Same requests only. */
#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/fields.h"
#include "protocol/form.h"
#include "protocol/gemini_answer.h"
#include "protocol/protocol.h"

static const struct form_rules form = {.asked = {"", 0}};

static bool ends_in(struct span s, struct span tail)
{
    return s.len >= tail.len && memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0;
}

/* /v1beta/models/NAME:VERB; Vertex has more before "models". */
static struct span model_of(struct span path)
{
    size_t end = path.len, start;

    while (end > 0 && path.ptr[end - 1] != ':')
        end--;
    start = end;
    while (start > 0 && path.ptr[start - 1] != '/')
        start--;
    return end > start ? (struct span){path.ptr + start, end - start - 1}
                       : (struct span){"", 0};
}

/* One of "a=b&c=d"; it needs no decoding. */
static bool has_parameter(struct span query, struct span parameter)
{
    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t n = end != NULL ? (size_t)(end - query.ptr) : query.len;

        if (span_eq((struct span){query.ptr, n}, parameter))
            return true;
        n += end != NULL ? 1 : 0;
        query.ptr += n;
        query.len -= n;
    }
    return false;
}

static void read_contents(const struct json *body, struct chat_request *q)
{
    const struct json *contents = json_get(body, SPAN("contents"));

    for (const struct json *c = contents != NULL ? contents->child : NULL; c != NULL;
         c = c->next) {
        const struct json *parts = json_get(c, SPAN("parts"));

        q->ends_in_tool_result = false;
        for (const struct json *p = parts != NULL ? parts->child : NULL; p != NULL; p = p->next)
            q->ends_in_tool_result |= json_get(p, SPAN("functionResponse")) != NULL;
    }
}

static enum status decode(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err)
{
    struct chat_request q = {.choices = 1, .include_usage = true};
    const struct json *config;
    struct json *body;
    bool has_count = false;
    enum status st = fields_parse(arena, in, &body, err);

    if (st != ST_OK)
        return st;
    q.body = body;
    q.model = model_of(in->path);
    q.stream = ends_in(in->path, SPAN(":streamGenerateContent")) &&
               has_parameter(in->query, SPAN("alt=sse"));
    config = fields_get(body, SPAN("generationConfig"));
    if ((st = fields_count(config, "candidateCount", &has_count, &q.choices, err)) != ST_OK ||
        (st = fields_number(config, "temperature", &q.has_temperature, &q.temperature, err)) !=
            ST_OK ||
        (st = form_exact(arena, body, &form, &q.exact_form)) != ST_OK)
        return st;
    read_contents(body, &q);
    *out = q;
    return ST_OK;
}

static bool is_versioned(struct span path)
{
    return path.len > 3 && memcmp(path.ptr, "/v1", 3) == 0;
}

static bool serves_whole(struct span path)
{
    return is_versioned(path) && ends_in(path, SPAN(":generateContent"));
}

static bool serves_stream(struct span path)
{
    return is_versioned(path) && ends_in(path, SPAN(":streamGenerateContent"));
}

const struct protocol gemini_content_protocol = {
    .name = "gemini.generate",
    .method = "POST",
    .serves = serves_whole,
    .decode = decode,
    .judge = gemini_answer_judge,
    .shape = &gemini_answer_shape,
    .write_error = gemini_answer_error,
    .write_stream_error = gemini_answer_error_event,
};

const struct protocol gemini_content_stream_protocol = {
    .name = "gemini.stream",
    .method = "POST",
    .serves = serves_stream,
    .decode = decode,
    .judge = gemini_answer_judge_list,
    .shape = &gemini_answer_list,
    .fold = &gemini_answer_fold,
    .replay = gemini_answer_replay,
    .write_error = gemini_answer_error,
    .write_stream_error = gemini_answer_error_event,
};
