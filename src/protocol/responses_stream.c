/* The events of a response (platform.openai.com/docs/api-reference/responses-streaming). The
 * last one has the whole response, so collecting is keeping that; a replay writes all of
 * them. */
#include "base/json.h"
#include "protocol/collector.h"
#include "protocol/event_run.h"
#include "protocol/event_writer.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"
#include "protocol/responses_answer.h"

/* --- collecting -------------------------------------------------------------------------- */

static void init(void *state, size_t limit)
{
    buf_init(state, limit);
}

static void release(void *state)
{
    buf_release(state);
}

static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct span type = json_str(json_get(root, SPAN("type")));
    const struct json *response = json_get(root, SPAN("response"));

    (void)name; /* the type says the same */
    if (span_eq(type, SPAN("error")) || openai_answer_has_error(root))
        return ANSWER_ERROR;
    if (!span_eq(type, SPAN("response.completed")) &&
        !span_eq(type, SPAN("response.incomplete")) && !span_eq(type, SPAN("response.failed")))
        return ANSWER_STORABLE;
    *terminal = true;
    if (response == NULL)
        return ANSWER_MALFORMED;
    return json_write(state, response) == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

static enum answer_verdict render(void *state, struct buf *out)
{
    return buf_append(out, buf_span(state)) == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold responses_stream_fold = {
    .state_bytes = sizeof(struct buf),
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};

/* --- events ------------------------------------------------------------------------------ */

/* Where an event belongs; SIZE_MAX: it has no such index. */
struct place {
    struct span item_id; /* ptr NULL: none */
    size_t output, part;
    struct span part_name; /* "content_index" or "summary_index" */
};

static struct event_writer begin(struct buf *out, struct span type, uint64_t number,
                                 const struct place *at)
{
    struct event_writer w = event_writer_begin(out, type);

    event_writer_name(&w, SPAN("sequence_number"));
    event_writer_u64(&w, number);
    if (at == NULL)
        return w;
    if (at->item_id.ptr != NULL) {
        event_writer_name(&w, SPAN("item_id"));
        event_writer_text(&w, at->item_id);
    }
    event_writer_name(&w, SPAN("output_index"));
    event_writer_u64(&w, at->output);
    if (at->part != SIZE_MAX) {
        event_writer_name(&w, at->part_name);
        event_writer_u64(&w, at->part);
    }
    return w;
}

static enum status text_event(struct buf *out, struct span type, uint64_t number,
                              const struct place *at, struct span name, struct span text)
{
    struct event_writer w = begin(out, type, number, at);

    event_writer_name(&w, name);
    event_writer_text(&w, text);
    if (span_eq(type, SPAN("response.output_text.delta")))
        event_writer_put(&w, SPAN(",\"logprobs\":[]"));
    return event_writer_end(&w);
}

static enum status json_event(struct buf *out, struct span type, uint64_t number,
                              const struct place *at, struct span name, const struct json *v)
{
    struct event_writer w = begin(out, type, number, at);

    event_writer_name(&w, name);
    event_writer_json(&w, v);
    return event_writer_end(&w);
}

/* --- replay ----------------------------------------------------------------------------- */

/* An object with some members in the state they begin in: each "name":value. */
struct opening {
    struct span name, value;
};

static void put_opening(struct event_writer *w, const struct json *v,
                        const struct opening *list, size_t n)
{
    bool comma = false;

    event_writer_put(w, SPAN("{"));
    for (const struct json *m = v->child; m != NULL; m = m->next) {
        const struct opening *o = NULL;

        for (size_t i = 0; i < n; i++) {
            if (span_eq(m->key, list[i].name))
                o = &list[i];
        }
        if (comma)
            event_writer_put(w, SPAN(","));
        comma = true;
        event_writer_text(w, m->key);
        event_writer_put(w, SPAN(":"));
        if (o != NULL)
            event_writer_put(w, o->value);
        else
            event_writer_json(w, m);
    }
    event_writer_put(w, SPAN("}"));
}

static const struct opening of_response[] = {
    {{"status", 6}, {"\"in_progress\"", 13}},
    {{"output", 6}, {"[]", 2}},
    {{"usage", 5}, {"null", 4}},
    {{"completed_at", 12}, {"null", 4}},
};
static const struct opening of_message[] = {{{"status", 6}, {"\"in_progress\"", 13}},
                                            {{"content", 7}, {"[]", 2}}};
static const struct opening of_call[] = {{{"status", 6}, {"\"in_progress\"", 13}},
                                         {{"arguments", 9}, {"\"\"", 2}},
                                         {{"input", 5}, {"\"\"", 2}}};
static const struct opening of_reasoning[] = {{{"summary", 7}, {"[]", 2}},
                                              {{"content", 7}, {"[]", 2}},
                                              {{"status", 6}, {"\"in_progress\"", 13}}};
static const struct opening of_part[] = {{{"text", 4}, {"\"\"", 2}},
                                         {{"refusal", 7}, {"\"\"", 2}},
                                         {{"annotations", 11}, {"[]", 2}},
                                         {{"logprobs", 8}, {"[]", 2}}};

static void opening_event(struct event_run *r, struct span type, const struct place *at,
                          struct span name, const struct json *v, const struct opening *list,
                          size_t n)
{
    struct event_writer w;

    if (!event_run_due(r))
        return;
    w = begin(r->out, type, r->next - 1, at);
    event_writer_name(&w, name);
    put_opening(&w, v, list, n);
    r->st = event_writer_end(&w);
}

static void whole_event(struct event_run *r, struct span type, const struct place *at,
                        struct span name, const struct json *v)
{
    if (event_run_due(r))
        r->st = json_event(r->out, type, r->next - 1, at, name, v);
}

static void replay_pieces(struct event_run *r, struct span delta, const struct place *at,
                          struct span text)
{
    while (text.len > 0 && r->st == ST_OK && !r->full) {
        struct span piece = event_run_piece(&text);

        if (event_run_due(r))
            r->st = text_event(r->out, delta, r->next - 1, at, SPAN("delta"), piece);
    }
}

/* A text in pieces, and at last whole. */
static void replay_text(struct event_run *r, struct span delta, struct span done,
                        const struct place *at, struct span name, struct span text)
{
    replay_pieces(r, delta, at, text);
    if (event_run_due(r))
        r->st = text_event(r->out, done, r->next - 1, at, name, text);
}

static void replay_annotations(struct event_run *r, const struct place *at,
                               const struct json *part)
{
    const struct json *list = json_get(part, SPAN("annotations"));
    size_t i = 0;

    if (list == NULL || list->type != JSON_ARRAY)
        return;
    for (const struct json *a = list->child; a != NULL; a = a->next, i++) {
        struct event_writer w;

        if (!event_run_due(r))
            continue;
        w = begin(r->out, SPAN("response.output_text.annotation.added"), r->next - 1, at);
        event_writer_name(&w, SPAN("annotation_index"));
        event_writer_u64(&w, i);
        event_writer_name(&w, SPAN("annotation"));
        event_writer_json(&w, a);
        r->st = event_writer_end(&w);
    }
}

static void output_text_done(struct event_run *r, const struct place *at,
                             const struct json *part)
{
    const struct json *logprobs = json_get(part, SPAN("logprobs"));
    struct event_writer w;

    if (!event_run_due(r))
        return;
    w = begin(r->out, SPAN("response.output_text.done"), r->next - 1, at);
    event_writer_name(&w, SPAN("text"));
    event_writer_json(&w, json_get(part, SPAN("text")));
    event_writer_put(&w, SPAN(",\"logprobs\":"));
    if (logprobs != NULL)
        event_writer_json(&w, logprobs);
    else
        event_writer_put(&w, SPAN("[]"));
    r->st = event_writer_end(&w);
}

static void replay_output_text(struct event_run *r, const struct place *at,
                               const struct json *part)
{
    replay_pieces(r, SPAN("response.output_text.delta"), at,
                  json_str(json_get(part, SPAN("text"))));
    replay_annotations(r, at, part);
    output_text_done(r, at, part);
}

/* What a part is made of: its kind says which events its text comes in. */
static void replay_part(struct event_run *r, const struct place *at, const struct json *part)
{
    struct span type = json_str(json_get(part, SPAN("type")));

    opening_event(r, SPAN("response.content_part.added"), at, SPAN("part"), part, of_part,
                  ARRAY_LEN(of_part));
    if (span_eq(type, SPAN("output_text")))
        replay_output_text(r, at, part);
    else if (span_eq(type, SPAN("refusal")))
        replay_text(r, SPAN("response.refusal.delta"), SPAN("response.refusal.done"), at,
                    SPAN("refusal"), json_str(json_get(part, SPAN("refusal"))));
    else if (span_eq(type, SPAN("reasoning_text")))
        replay_text(r, SPAN("response.reasoning_text.delta"),
                    SPAN("response.reasoning_text.done"), at, SPAN("text"),
                    json_str(json_get(part, SPAN("text"))));
    whole_event(r, SPAN("response.content_part.done"), at, SPAN("part"), part);
}

static void replay_content(struct event_run *r, struct place at, const struct json *item)
{
    const struct json *content = json_get(item, SPAN("content"));

    at.part_name = SPAN("content_index");
    at.part = 0;
    if (content == NULL || content->type != JSON_ARRAY)
        return;
    for (const struct json *part = content->child; part != NULL; part = part->next, at.part++)
        replay_part(r, &at, part);
}

static void replay_summary(struct event_run *r, struct place at, const struct json *item)
{
    const struct json *summary = json_get(item, SPAN("summary"));

    at.part_name = SPAN("summary_index");
    at.part = 0;
    if (summary == NULL || summary->type != JSON_ARRAY)
        return;
    for (const struct json *part = summary->child; part != NULL; part = part->next, at.part++) {
        opening_event(r, SPAN("response.reasoning_summary_part.added"), &at, SPAN("part"), part,
                      of_part, ARRAY_LEN(of_part));
        replay_text(r, SPAN("response.reasoning_summary_text.delta"),
                    SPAN("response.reasoning_summary_text.done"), &at, SPAN("text"),
                    json_str(json_get(part, SPAN("text"))));
        whole_event(r, SPAN("response.reasoning_summary_part.done"), &at, SPAN("part"), part);
    }
}

static void item_added(struct event_run *r, const struct place *at, const struct json *item,
                       const struct opening *list, size_t n)
{
    opening_event(r, SPAN("response.output_item.added"), at, SPAN("item"), item, list, n);
}

/* Items that come in pieces; any other comes whole, as it is. */
static void replay_item(struct event_run *r, size_t index, const struct json *item)
{
    struct span type = json_str(json_get(item, SPAN("type")));
    const struct place of_item = {{NULL, 0}, index, SIZE_MAX, {NULL, 0}};
    const struct place within = {
        json_str(json_get(item, SPAN("id"))), index, SIZE_MAX, {NULL, 0}};

    if (span_eq(type, SPAN("message"))) {
        item_added(r, &of_item, item, of_message, ARRAY_LEN(of_message));
        replay_content(r, within, item);
    } else if (span_eq(type, SPAN("function_call"))) {
        item_added(r, &of_item, item, of_call, ARRAY_LEN(of_call));
        replay_text(r, SPAN("response.function_call_arguments.delta"),
                    SPAN("response.function_call_arguments.done"), &within, SPAN("arguments"),
                    json_str(json_get(item, SPAN("arguments"))));
    } else if (span_eq(type, SPAN("custom_tool_call"))) {
        item_added(r, &of_item, item, of_call, ARRAY_LEN(of_call));
        replay_text(r, SPAN("response.custom_tool_call_input.delta"),
                    SPAN("response.custom_tool_call_input.done"), &within, SPAN("input"),
                    json_str(json_get(item, SPAN("input"))));
    } else if (span_eq(type, SPAN("reasoning"))) {
        item_added(r, &of_item, item, of_reasoning, ARRAY_LEN(of_reasoning));
        replay_summary(r, within, item);
        replay_content(r, within, item);
    } else {
        item_added(r, &of_item, item, NULL, 0);
    }
    whole_event(r, SPAN("response.output_item.done"), &of_item, SPAN("item"), item);
}

void responses_stream_replay(struct event_run *r, const struct json *root)
{
    const struct json *output = json_get(root, SPAN("output"));
    size_t index = 0;

    opening_event(r, SPAN("response.created"), NULL, SPAN("response"), root, of_response,
                  ARRAY_LEN(of_response));
    opening_event(r, SPAN("response.in_progress"), NULL, SPAN("response"), root, of_response,
                  ARRAY_LEN(of_response));
    for (const struct json *item = output->child; item != NULL; item = item->next)
        replay_item(r, index++, item);
    whole_event(r, SPAN("response.completed"), NULL, SPAN("response"), root);
}

/* --- the built-in model's stream ---------------------------------------------------------- */

static const struct place the_item = {{NULL, 0}, 0, SIZE_MAX, {NULL, 0}};
static const struct place the_part = {
    {RESPONSES_ITEM_ID, sizeof(RESPONSES_ITEM_ID) - 1}, 0, 0, {"content_index", 13}};

static enum status begun_event(struct buf *out, struct span type, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    struct event_writer w = begin(out, type, (*next)++, NULL);

    event_writer_name(&w, SPAN("response"));
    responses_answer_begun(&w, model, stamp);
    return event_writer_end(&w);
}

static enum status item_event(struct buf *out, struct span type, struct span status,
                              struct span text, uint64_t *next)
{
    struct event_writer w = begin(out, type, (*next)++, &the_item);

    event_writer_name(&w, SPAN("item"));
    responses_answer_item(&w, status, text);
    return event_writer_end(&w);
}

static enum status part_event(struct buf *out, struct span type, struct span text,
                              uint64_t *next)
{
    struct event_writer w = begin(out, type, (*next)++, &the_part);

    event_writer_name(&w, SPAN("part"));
    responses_answer_part(&w, text);
    return event_writer_end(&w);
}

static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    struct span none = {NULL, 0}, empty = {"", 0};
    enum status st = begun_event(out, SPAN("response.created"), model, stamp, next);

    if (st == ST_OK)
        st = begun_event(out, SPAN("response.in_progress"), model, stamp, next);
    if (st == ST_OK)
        st = item_event(out, SPAN("response.output_item.added"), SPAN("in_progress"), none,
                        next);
    return st == ST_OK ? part_event(out, SPAN("response.content_part.added"), empty, next) : st;
}

static enum status write_delta(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text,
                               uint64_t *next)
{
    (void)model;
    (void)stamp;
    return text_event(out, SPAN("response.output_text.delta"), (*next)++, &the_part,
                      SPAN("delta"), text);
}

/* The whole answer has placeholders where the stamp belongs. */
static enum status last_event(struct buf *out, const struct answer *a,
                              const struct answer_stamp *stamp, uint64_t *next)
{
    bool cut = span_eq(a->finish_reason, SPAN("incomplete"));
    struct event_writer w = begin(
        out, cut ? SPAN("response.incomplete") : SPAN("response.completed"), (*next)++, NULL);

    event_writer_name(&w, SPAN("response"));
    if (w.st == ST_OK)
        w.st = answer_write(out, a, stamp);
    return event_writer_end(&w);
}

static enum status write_finish(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage,
                                uint64_t *next)
{
    bool cut = span_eq(a->finish_reason, SPAN("incomplete"));
    enum status st = text_event(out, SPAN("response.output_text.done"), (*next)++, &the_part,
                                SPAN("text"), a->text);

    (void)include_usage;
    if (st == ST_OK)
        st = part_event(out, SPAN("response.content_part.done"), a->text, next);
    if (st == ST_OK)
        st = item_event(out, SPAN("response.output_item.done"),
                        cut ? SPAN("incomplete") : SPAN("completed"), a->text, next);
    return st == ST_OK ? last_event(out, a, stamp, next) : st;
}

const struct protocol_live responses_stream_live = {write_begin, write_delta, write_finish};

/* --- errors ------------------------------------------------------------------------------ */

/* An event of its own kind, flat. How many events came before is not known. */
enum status responses_stream_error(struct buf *out, const struct protocol_failure *f)
{
    struct event_writer w = event_writer_begin(out, SPAN("error"));

    event_writer_name(&w, SPAN("code"));
    event_writer_text(&w, f->code.len > 0 ? f->code : f->type);
    event_writer_name(&w, SPAN("message"));
    event_writer_text(&w, f->message);
    event_writer_put(&w, SPAN(",\"param\":null,\"sequence_number\":0"));
    return event_writer_end(&w);
}
