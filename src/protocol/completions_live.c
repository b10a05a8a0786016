#include "protocol/completions_live.h"

#include "protocol/answer.h"
#include "protocol/event_writer.h"

static void put_usage(struct event_writer *w, uint64_t prompt, uint64_t completion)
{
    event_writer_put(w, SPAN(",\"usage\":{\"prompt_tokens\":"));
    event_writer_u64(w, prompt);
    event_writer_put(w, SPAN(",\"completion_tokens\":"));
    event_writer_u64(w, completion);
    event_writer_put(w, SPAN(",\"total_tokens\":"));
    event_writer_u64(w, prompt + completion);
    event_writer_put(w, SPAN("}"));
}

/* finish: empty is null. */
static void put_choice(struct event_writer *w, struct span text, struct span finish)
{
    event_writer_put(w, SPAN(",\"choices\":[{\"index\":0,\"text\":"));
    event_writer_text(w, text);
    event_writer_put(w, SPAN(",\"logprobs\":null,\"finish_reason\":"));
    if (finish.len > 0)
        event_writer_text(w, finish);
    else
        event_writer_put(w, SPAN("null"));
    event_writer_put(w, SPAN("}]"));
}

enum status completions_live_render(struct buf *out, const struct protocol_text *t)
{
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"id\":\"\",\"object\":\"text_completion\",\"created\":0,"
                              "\"model\":"));
    event_writer_text(&w, t->model);
    put_choice(&w, t->text, t->finish);
    put_usage(&w, t->prompt_tokens, t->completion_tokens);
    event_writer_put(&w, SPAN("}"));
    return w.st;
}

/* --- a stream ----------------------------------------------------------------------------- */

static struct event_writer begin(struct buf *out, struct span model,
                                 const struct answer_stamp *stamp)
{
    struct event_writer w = event_writer_begin_data(out);

    event_writer_put(&w, SPAN("\"id\":\"cmpl-"));
    event_writer_put(&w, (struct span){stamp->letters, ANSWER_ID_LETTERS});
    event_writer_put(&w, SPAN("\",\"object\":\"text_completion\",\"created\":"));
    event_writer_u64(&w, stamp->created_s);
    event_writer_put(&w, SPAN(",\"model\":"));
    event_writer_text(&w, model);
    return w;
}

/* There is nothing before the text. */
static enum status write_begin(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, uint64_t *next)
{
    (void)out;
    (void)model;
    (void)stamp;
    (void)next;
    return ST_OK;
}

static enum status write_delta(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text,
                               uint64_t *next)
{
    struct event_writer w = begin(out, model, stamp);

    (void)next;
    put_choice(&w, text, (struct span){NULL, 0});
    return event_writer_end(&w);
}

static enum status write_finish(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage,
                                uint64_t *next)
{
    struct event_writer w = begin(out, a->model, stamp);
    enum status st;

    (void)next;
    put_choice(&w, SPAN(""), a->finish_reason);
    st = event_writer_end(&w);
    if (st == ST_OK && include_usage) {
        w = begin(out, a->model, stamp);
        event_writer_put(&w, SPAN(",\"choices\":[]"));
        put_usage(&w, a->prompt_tokens, a->completion_tokens);
        st = event_writer_end(&w);
    }
    return st == ST_OK ? buf_append(out, SPAN("data: [DONE]\n\n")) : st;
}

const struct protocol_live completions_live = {write_begin, write_delta, write_finish};
