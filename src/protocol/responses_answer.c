#include "protocol/responses_answer.h"

#include "base/json.h"
#include "protocol/event_writer.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

/* An id that the upstream keeps may be named by the next request (previous_response_id), so
 * a replay must not make one up. Only what was sent with "store": false is nobody's. */
static bool names_state(const struct json *root)
{
    bool store = true;

    return !json_bool(json_get(root, SPAN("store")), &store) || store;
}

const struct answer_shape responses_answer_shape = {
    .object = {"response", 8},
    .id = {"id", 2},
    .id_prefix = {RESPONSES_ID_PREFIX, sizeof(RESPONSES_ID_PREFIX) - 1},
    .id_letters = ANSWER_ID_LETTERS,
    .time = {"created_at", 10},
    .time_form = ANSWER_TIME_UNIX,
    .names_state = names_state,
};

/* --- judging a whole answer ----------------------------------------------------------- */

static void read_usage(const struct json *usage, struct answer *a)
{
    a->has_usage = json_u64(json_get(usage, SPAN("input_tokens")), &a->prompt_tokens) &&
                   json_u64(json_get(usage, SPAN("output_tokens")), &a->completion_tokens);
    if (!json_u64(json_get(usage, SPAN("total_tokens")), &a->total_tokens))
        a->total_tokens = a->prompt_tokens + a->completion_tokens;
    answer_set_cached(
        a, json_get(json_get(usage, SPAN("input_tokens_details")), SPAN("cached_tokens")));
}

/* Items that are no action for the client to take: what was said, and what the upstream's
 * own tools did. */
static bool is_passive(struct span type)
{
    static const struct span passive[] = {
        {"message", 7},          {"reasoning", 9},
        {"web_search_call", 15}, {"file_search_call", 16},
        {"mcp_list_tools", 14},  {"code_interpreter_call", 21},
        {"mcp_call", 8},         {"image_generation_call", 21},
        {"compaction", 10},
    };

    for (size_t i = 0; i < ARRAY_LEN(passive); i++) {
        if (span_eq(type, passive[i]))
            return true;
    }
    return false;
}

struct seen {
    bool action, refusal;
};

static void look_at(const struct json *item, struct answer *a, struct seen *seen)
{
    const struct json *content = json_get(item, SPAN("content"));

    seen->action |= !is_passive(json_str(json_get(item, SPAN("type"))));
    if (!span_eq(json_str(json_get(item, SPAN("type"))), SPAN("message")) || content == NULL)
        return;
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        seen->refusal |= span_eq(json_str(json_get(part, SPAN("type"))), SPAN("refusal"));
        if (a->text.len == 0)
            a->text = json_str(json_get(part, SPAN("text")));
    }
}

static enum answer_verdict verdict_of(const struct json *root, const struct answer *a,
                                      const struct seen *seen)
{
    struct span why =
        json_str(json_get(json_get(root, SPAN("incomplete_details")), SPAN("reason")));

    if (span_eq(a->finish_reason, SPAN("failed")))
        return ANSWER_ERROR;
    if (span_eq(a->finish_reason, SPAN("incomplete")))
        return span_eq(why, SPAN("content_filter")) ? ANSWER_FILTERED : ANSWER_TRUNCATED;
    if (!span_eq(a->finish_reason, SPAN("completed")))
        return ANSWER_INCOMPLETE; /* queued, in_progress, cancelled */
    if (seen->action)
        return ANSWER_TOOL_CALL;
    if (seen->refusal)
        return ANSWER_REFUSED;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

void responses_answer_judge(const struct json *root, struct answer *a)
{
    const struct json *output = json_get(root, SPAN("output"));
    struct seen seen = {false, false};

    if (openai_answer_has_error(root)) {
        a->verdict = ANSWER_ERROR;
        return;
    }
    if (output == NULL || output->type != JSON_ARRAY) {
        a->verdict = ANSWER_MALFORMED;
        return;
    }
    for (const struct json *item = output->child; item != NULL; item = item->next)
        look_at(item, a, &seen);
    a->model = json_str(json_get(root, SPAN("model")));
    a->finish_reason = json_str(json_get(root, SPAN("status")));
    read_usage(json_get(root, SPAN("usage")), a);
    a->verdict = verdict_of(root, a, &seen);
}

/* --- the built-in model's text ---------------------------------------------------------- */

void responses_answer_part(struct event_writer *w, struct span text)
{
    event_writer_put(w, SPAN("{\"type\":\"output_text\",\"text\":"));
    event_writer_text(w, text);
    event_writer_put(w, SPAN(",\"annotations\":[],\"logprobs\":[]}"));
}

void responses_answer_item(struct event_writer *w, struct span status, struct span text)
{
    event_writer_put(w, SPAN("{\"id\":\"" RESPONSES_ITEM_ID "\",\"type\":\"message\",\"role\":"
                             "\"assistant\",\"status\":"));
    event_writer_text(w, status);
    event_writer_put(w, SPAN(",\"content\":["));
    if (text.ptr != NULL)
        responses_answer_part(w, text);
    event_writer_put(w, SPAN("]}"));
}

static void put_call(struct event_writer *w, struct span status, const struct protocol_call *c)
{
    event_writer_put(w, SPAN("{\"id\":\"fc_"));
    event_writer_put(w, c->id);
    event_writer_put(w, SPAN("\",\"type\":\"function_call\",\"status\":"));
    event_writer_text(w, status);
    event_writer_put(w, SPAN(",\"call_id\":\"call_"));
    event_writer_put(w, c->id);
    event_writer_put(w, SPAN("\",\"name\":"));
    event_writer_text(w, c->name);
    event_writer_put(w, SPAN(",\"arguments\":"));
    event_writer_text(w, c->arguments);
    event_writer_put(w, SPAN("}"));
}

/* What its SDKs read of a response and we do not set. */
#define REST                                                                                   \
    ",\"instructions\":null,\"metadata\":{},\"parallel_tool_calls\":true,\"temperature\":null" \
    ",\"top_p\":null,\"tool_choice\":\"auto\",\"tools\":[],\"store\":false"

void responses_answer_begun(struct event_writer *w, struct span model,
                            const struct answer_stamp *stamp)
{
    event_writer_put(w, SPAN("{\"id\":\"" RESPONSES_ID_PREFIX));
    event_writer_put(w, (struct span){stamp->letters, ANSWER_ID_LETTERS});
    event_writer_put(w, SPAN("\",\"object\":\"response\",\"created_at\":"));
    event_writer_u64(w, stamp->created_s);
    event_writer_put(w, SPAN(",\"status\":\"in_progress\",\"model\":"));
    event_writer_text(w, model);
    event_writer_put(w, SPAN(",\"error\":null,\"incomplete_details\":null" REST
                             ",\"output\":[],\"usage\":null}"));
}

static void put_usage(struct event_writer *w, const struct protocol_text *t)
{
    event_writer_put(w, SPAN(",\"usage\":{\"input_tokens\":"));
    event_writer_u64(w, t->prompt_tokens);
    event_writer_put(w, SPAN(",\"input_tokens_details\":{\"cached_tokens\":0}"));
    event_writer_put(w, SPAN(",\"output_tokens\":"));
    event_writer_u64(w, t->completion_tokens);
    event_writer_put(w, SPAN(",\"output_tokens_details\":{\"reasoning_tokens\":0}"));
    event_writer_put(w, SPAN(",\"total_tokens\":"));
    event_writer_u64(w, t->prompt_tokens + t->completion_tokens);
    event_writer_put(w, SPAN("}"));
}

enum status responses_answer_render(struct buf *out, const struct protocol_text *t)
{
    struct event_writer w = {out, ST_OK};
    bool cut = span_eq(t->finish, SPAN("length"));

    event_writer_put(&w,
                     SPAN("{\"id\":\"\",\"object\":\"response\",\"created_at\":0,\"status\":"));
    event_writer_put(&w, cut ? SPAN("\"incomplete\"") : SPAN("\"completed\""));
    event_writer_put(&w, SPAN(",\"model\":"));
    event_writer_text(&w, t->model);
    event_writer_put(&w, SPAN(",\"error\":null,\"incomplete_details\":"));
    event_writer_put(&w, cut ? SPAN("{\"reason\":\"max_output_tokens\"}") : SPAN("null"));
    event_writer_put(&w, SPAN(REST));
    event_writer_put(&w, SPAN(",\"output\":["));
    if (t->call != NULL)
        put_call(&w, cut ? SPAN("incomplete") : SPAN("completed"), t->call);
    else
        responses_answer_item(&w, cut ? SPAN("incomplete") : SPAN("completed"), t->text);
    event_writer_put(&w, SPAN("]"));
    put_usage(&w, t);
    event_writer_put(&w, SPAN("}"));
    return w.st;
}
