#include "protocol/ollama_answer.h"

#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/event_run.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
#include "protocol/protocol.h"

const struct answer_shape ollama_answer_shape = {.time = {"created_at", 10},
                                                 .time_form = ANSWER_TIME_RFC3339};

struct span ollama_answer_model(struct span name)
{
    static const struct span tag = {":latest", 7};

    if (name.len > tag.len && memcmp(name.ptr + name.len - tag.len, tag.ptr, tag.len) == 0)
        name.len -= tag.len;
    return name;
}

/* --- judging a whole answer ----------------------------------------------------------- */

static bool is_done(const struct json *root)
{
    bool done = false;

    return json_bool(json_get(root, SPAN("done")), &done) && done;
}

/* Early versions gave no reason for "stop". */
static enum answer_verdict verdict_of(const struct json *root, const struct answer *a)
{
    if (fields_get(root, SPAN("error")) != NULL)
        return ANSWER_ERROR;
    if (!is_done(root))
        return ANSWER_INCOMPLETE;
    if (span_eq(a->finish_reason, SPAN("length")))
        return ANSWER_TRUNCATED;
    if (a->finish_reason.len > 0 && !span_eq(a->finish_reason, SPAN("stop")))
        return ANSWER_EMPTY; /* load, unload */
    if (fields_filled(json_get(json_get(root, SPAN("message")), SPAN("tool_calls"))))
        return ANSWER_TOOL_CALL;
    return a->text.len == 0 ? ANSWER_EMPTY : ANSWER_STORABLE;
}

void ollama_answer_judge(const struct json *root, struct answer *a)
{
    a->model = json_str(json_get(root, SPAN("model")));
    a->text = json_str(json_get(json_get(root, SPAN("message")), SPAN("content")));
    if (a->text.ptr == NULL)
        a->text = json_str(json_get(root, SPAN("response")));
    a->finish_reason = json_str(json_get(root, SPAN("done_reason")));
    a->has_usage = json_u64(json_get(root, SPAN("eval_count")), &a->completion_tokens);
    /* A prompt that was still in memory has no count. */
    if (!json_u64(json_get(root, SPAN("prompt_eval_count")), &a->prompt_tokens))
        a->prompt_tokens = 0;
    a->total_tokens = a->prompt_tokens + a->completion_tokens;
    a->verdict = verdict_of(root, a);
}

/* --- lines -------------------------------------------------------------------------------- */

static struct event_writer begin_line(struct buf *out, struct span model,
                                      const struct answer_stamp *stamp)
{
    struct event_writer w = {out, ST_OK};
    char time[ANSWER_RFC3339_BYTES];

    event_writer_put(&w, SPAN("{\"model\":"));
    event_writer_text(&w, model);
    event_writer_put(&w, SPAN(",\"created_at\":"));
    event_writer_text(&w, (struct span){time, answer_time_write(ANSWER_TIME_RFC3339,
                                                                stamp->created_s, time)});
    return w;
}

/* "message":{..., NAME: text} or, without a message, NAME: text. */
static void put_text(struct event_writer *w, bool chat, struct span name, struct span text)
{
    if (chat)
        event_writer_put(w, SPAN(",\"message\":{\"role\":\"assistant\""));
    if (chat && !span_eq(name, SPAN("content")))
        event_writer_put(w, SPAN(",\"content\":\"\""));
    if (!chat && !span_eq(name, SPAN("response")))
        event_writer_put(w, SPAN(",\"response\":\"\""));
    event_writer_name(w, name);
    event_writer_text(w, text);
    if (chat)
        event_writer_put(w, SPAN("}"));
}

static struct span text_name(bool chat)
{
    return chat ? SPAN("content") : SPAN("response");
}

static enum status text_line(struct buf *out, struct span model,
                             const struct answer_stamp *stamp, bool chat, struct span name,
                             struct span text)
{
    struct event_writer w = begin_line(out, model, stamp);

    put_text(&w, chat, name, text);
    event_writer_put(&w, SPAN(",\"done\":false}\n"));
    return w.st;
}

/* --- the built-in model's text ---------------------------------------------------------- */

static void put_end(struct event_writer *w, struct span finish, uint64_t prompt,
                    uint64_t completion)
{
    event_writer_put(w, SPAN(",\"done\":true,\"done_reason\":"));
    event_writer_text(w, finish);
    event_writer_put(w, SPAN(",\"prompt_eval_count\":"));
    event_writer_u64(w, prompt);
    event_writer_put(w, SPAN(",\"eval_count\":"));
    event_writer_u64(w, completion);
    event_writer_put(w, SPAN("}"));
}

static enum status render(struct buf *out, const struct protocol_text *t, bool chat)
{
    static const struct answer_stamp none = {.created_s = 0};
    struct event_writer w = begin_line(out, t->model, &none);

    put_text(&w, chat, text_name(chat), t->text);
    put_end(&w, t->finish, t->prompt_tokens, t->completion_tokens);
    return w.st;
}

enum status ollama_answer_render_chat(struct buf *out, const struct protocol_text *t)
{
    return render(out, t, true);
}

enum status ollama_answer_render_generate(struct buf *out, const struct protocol_text *t)
{
    return render(out, t, false);
}

/* Their streams begin with the text. */
static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    (void)out;
    (void)model;
    (void)stamp;
    (void)next;
    return ST_OK;
}

static enum status chat_delta(struct buf *out, struct span model,
                              const struct answer_stamp *stamp, struct span text,
                              uint64_t *next)
{
    (void)next;
    return text_line(out, model, stamp, true, text_name(true), text);
}

static enum status generate_delta(struct buf *out, struct span model,
                                  const struct answer_stamp *stamp, struct span text,
                                  uint64_t *next)
{
    (void)next;
    return text_line(out, model, stamp, false, text_name(false), text);
}

static enum status finish_line(struct buf *out, const struct answer *a,
                               const struct answer_stamp *stamp, bool chat)
{
    struct event_writer w = begin_line(out, a->model, stamp);

    put_text(&w, chat, text_name(chat), (struct span){"", 0});
    put_end(&w, a->finish_reason, a->prompt_tokens, a->completion_tokens);
    event_writer_put(&w, SPAN("\n"));
    return w.st;
}

static enum status chat_finish(struct buf *out, const struct answer *a,
                               const struct answer_stamp *stamp, bool include_usage,
                               uint64_t *next)
{
    (void)include_usage;
    (void)next;
    return finish_line(out, a, stamp, true);
}

static enum status generate_finish(struct buf *out, const struct answer *a,
                                   const struct answer_stamp *stamp, bool include_usage,
                                   uint64_t *next)
{
    (void)include_usage;
    (void)next;
    return finish_line(out, a, stamp, false);
}

const struct protocol_live ollama_answer_live_chat = {write_begin, chat_delta, chat_finish};
const struct protocol_live ollama_answer_live_generate = {write_begin, generate_delta,
                                                          generate_finish};

/* --- replay ----------------------------------------------------------------------------- */

static void replay_text(struct event_run *r, bool chat, struct span name, struct span text)
{
    while (text.len > 0 && r->st == ST_OK && !r->full) {
        struct span piece = event_run_piece(&text);

        if (event_run_due(r))
            r->st = text_line(r->out, r->answer->model, r->stamp, chat, name, piece);
    }
}

/* What a message has beyond texts comes whole, in a line of its own. */
static void replay_rest(struct event_run *r, const struct json *message)
{
    static const struct span apart[] = {{"role", 4}, {"content", 7}, {"thinking", 8}};
    struct event_writer w;
    bool more = false;

    for (const struct json *m = message->child; m != NULL; m = m->next) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_LEN(apart); i++)
            known |= span_eq(m->key, apart[i]);
        more |= !known;
    }
    if (!more || !event_run_due(r))
        return;
    w = begin_line(r->out, r->answer->model, r->stamp);
    event_writer_put(&w, SPAN(",\"message\":{\"role\":\"assistant\",\"content\":\"\""));
    event_writer_others(&w, message, apart, ARRAY_LEN(apart));
    event_writer_put(&w, SPAN("},\"done\":false}\n"));
    r->st = w.st;
}

/* All that is not text, with the counts. */
static void replay_end(struct event_run *r, const struct json *root, bool chat)
{
    static const struct span apart[] = {
        {"model", 5}, {"created_at", 10}, {"message", 7}, {"response", 8}, {"thinking", 8}};
    struct event_writer w;

    if (!event_run_due(r))
        return;
    w = begin_line(r->out, r->answer->model, r->stamp);
    put_text(&w, chat, text_name(chat), (struct span){"", 0});
    event_writer_others(&w, root, apart, ARRAY_LEN(apart));
    event_writer_put(&w, SPAN("}\n"));
    r->st = w.st;
}

void ollama_answer_replay(struct event_run *r, const struct json *root)
{
    const struct json *message = json_get(root, SPAN("message"));
    bool chat = message != NULL;
    const struct json *said = chat ? message : root;

    replay_text(r, chat, SPAN("thinking"), json_str(json_get(said, SPAN("thinking"))));
    replay_text(r, chat, text_name(chat), r->answer->text);
    if (chat)
        replay_rest(r, message);
    replay_end(r, root, chat);
}

/* --- errors ------------------------------------------------------------------------------ */

enum status ollama_answer_error(struct buf *out, const struct protocol_failure *f)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"error\":"));
    event_writer_text(&w, f->message);
    event_writer_put(&w, SPAN("}"));
    return w.st;
}

enum status ollama_answer_error_line(struct buf *out, const struct protocol_failure *f)
{
    enum status st = ollama_answer_error(out, f);

    return st == ST_OK ? buf_append(out, SPAN("\n")) : st;
}
