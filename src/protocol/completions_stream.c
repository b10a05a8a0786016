#include "protocol/completions_stream.h"

#include <stdlib.h>

#include "base/json.h"
#include "protocol/collector.h"
#include "protocol/event_run.h"
#include "protocol/event_writer.h"
#include "protocol/fields.h"
#include "protocol/members.h"
#include "protocol/openai_answer.h"

/* Of one request: prompts, as n above 1 is not kept. */
#define CHOICES_MAX 128

/* --- collecting -------------------------------------------------------------------------- */

struct choice {
    struct members members; /* text, finish_reason, and what else there is */
    struct members logprobs;
};

struct state {
    size_t limit;
    struct members top;
    struct choice *choices[CHOICES_MAX]; /* owned; by index, NULL where none came */
};

static void init(void *state, size_t limit)
{
    struct state *s = state;

    s->limit = limit;
    members_init(&s->top, limit);
}

static void release(void *state)
{
    struct state *s = state;

    members_release(&s->top);
    for (size_t i = 0; i < CHOICES_MAX; i++) {
        if (s->choices[i] == NULL)
            continue;
        members_release(&s->choices[i]->members);
        members_release(&s->choices[i]->logprobs);
        free(s->choices[i]);
    }
}

static struct choice *choice_at(struct state *s, uint64_t index)
{
    struct choice *c;

    if (index >= CHOICES_MAX)
        return NULL;
    if (s->choices[index] != NULL)
        return s->choices[index];
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    members_init(&c->members, s->limit);
    members_init(&c->logprobs, s->limit);
    s->choices[index] = c;
    return c;
}

static enum status read_member(struct choice *c, const struct json *m)
{
    enum status st = ST_OK;

    if (span_eq(m->key, SPAN("index")))
        return ST_OK;
    if (!span_eq(m->key, SPAN("logprobs")) || m->type != JSON_OBJECT)
        return span_eq(m->key, SPAN("text")) || members_find(&c->members, m->key) == NULL ||
                       m->type != JSON_NULL
                   ? members_merge(&c->members, m->key, m)
                   : ST_OK;
    for (const struct json *x = m->child; st == ST_OK && x != NULL; x = x->next)
        st = members_merge(&c->logprobs, x->key, x);
    return st;
}

static enum answer_verdict read_choice(struct state *s, const struct json *choice)
{
    uint64_t index = 0;
    struct choice *c;

    if (!json_u64(json_get(choice, SPAN("index")), &index))
        index = 0;
    c = choice_at(s, index);
    if (c == NULL)
        return ANSWER_TOO_LARGE;
    for (const struct json *m = choice->child; m != NULL; m = m->next) {
        if (read_member(c, m) != ST_OK)
            return ANSWER_TOO_LARGE;
    }
    return ANSWER_STORABLE;
}

static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct state *s = state;
    const struct json *choices = json_get(root, SPAN("choices"));
    enum answer_verdict v = ANSWER_STORABLE;

    (void)name;
    (void)terminal; /* [DONE], which is no JSON */
    if (openai_answer_has_error(root))
        return ANSWER_ERROR;
    for (const struct json *m = root->child; m != NULL; m = m->next) {
        bool known = span_eq(m->key, SPAN("id")) || span_eq(m->key, SPAN("object")) ||
                     span_eq(m->key, SPAN("created")) || span_eq(m->key, SPAN("choices"));

        if (!known && m->type != JSON_NULL && members_set(&s->top, m->key, m) != ST_OK)
            return ANSWER_TOO_LARGE;
    }
    if (choices == NULL || choices->type != JSON_ARRAY)
        return ANSWER_STORABLE;
    for (const struct json *c = choices->child; v == ANSWER_STORABLE && c != NULL; c = c->next)
        v = read_choice(s, c);
    return v;
}

static void put_choice(struct event_writer *w, const struct choice *c, size_t index)
{
    event_writer_put(w, index > 0 ? SPAN(",{\"index\":") : SPAN("{\"index\":"));
    event_writer_u64(w, index);
    if (w->st == ST_OK && !members_empty(&c->logprobs)) {
        event_writer_put(w, SPAN(",\"logprobs\":{"));
        if (w->st == ST_OK)
            w->st = members_write(w->out, &c->logprobs, true);
        event_writer_put(w, SPAN("}"));
    }
    for (size_t i = 0; i < c->members.count; i++) {
        const struct member *m = &c->members.list[i];

        if (!members_empty(&c->logprobs) && span_eq(span_of(m->name), SPAN("logprobs")))
            continue;
        event_writer_put(w, SPAN(","));
        if (w->st == ST_OK)
            w->st = members_write_one(w->out, m);
    }
    event_writer_put(w, SPAN("}"));
}

static enum answer_verdict render(void *state, struct buf *out)
{
    const struct state *s = state;
    struct event_writer w = {out, ST_OK};

    event_writer_put(&w, SPAN("{\"id\":\"\",\"object\":\"text_completion\",\"created\":0"));
    if (w.st == ST_OK)
        w.st = members_write(out, &s->top, false);
    event_writer_put(&w, SPAN(",\"choices\":["));
    for (size_t i = 0; i < CHOICES_MAX && s->choices[i] != NULL; i++)
        put_choice(&w, s->choices[i], i);
    event_writer_put(&w, SPAN("]}"));
    /* A gap: some of the choices never came. */
    for (size_t i = 1; i < CHOICES_MAX; i++) {
        if (s->choices[i] != NULL && s->choices[i - 1] == NULL)
            return ANSWER_INCOMPLETE;
    }
    return w.st == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold completions_stream_fold = {
    .state_bytes = sizeof(struct state),
    .done_marker = true,
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};

/* --- replay ----------------------------------------------------------------------------- */

/* Everything of an event but its choices. */
static struct event_writer begin(struct event_run *r, const struct json *root)
{
    static const struct span apart[] = {{"id", 2}, {"choices", 7}, {"usage", 5}};
    struct event_writer w = event_writer_begin_data(r->out);

    event_writer_put(&w, SPAN("\"id\":"));
    event_writer_json(&w, json_get(root, SPAN("id")));
    event_writer_others(&w, root, apart, ARRAY_LEN(apart));
    event_writer_put(&w, SPAN(",\"choices\":["));
    return w;
}

static void text_event(struct event_run *r, const struct json *root, uint64_t index,
                       struct span piece)
{
    struct event_writer w = begin(r, root);

    event_writer_put(&w, SPAN("{\"index\":"));
    event_writer_u64(&w, index);
    event_writer_put(&w, SPAN(",\"text\":"));
    event_writer_text(&w, piece);
    event_writer_put(&w, SPAN(",\"logprobs\":null,\"finish_reason\":null}]"));
    r->st = event_writer_end(&w);
}

/* The end of a choice: all of it but its text. */
static void last_event(struct event_run *r, const struct json *root, uint64_t index,
                       const struct json *choice)
{
    static const struct span apart[] = {{"index", 5}, {"text", 4}};
    struct event_writer w = begin(r, root);

    event_writer_put(&w, SPAN("{\"index\":"));
    event_writer_u64(&w, index);
    event_writer_put(&w, SPAN(",\"text\":\"\""));
    event_writer_others(&w, choice, apart, ARRAY_LEN(apart));
    event_writer_put(&w, SPAN("}]"));
    r->st = event_writer_end(&w);
}

static void usage_event(struct event_run *r, const struct json *root)
{
    struct event_writer w = begin(r, root);

    event_writer_put(&w, SPAN("],\"usage\":"));
    event_writer_json(&w, json_get(root, SPAN("usage")));
    r->st = event_writer_end(&w);
}

void completions_stream_replay(struct event_run *r, const struct json *root)
{
    const struct json *choices = json_get(root, SPAN("choices"));
    for (const struct json *c = choices->child; c != NULL; c = c->next) {
        struct span text = json_str(json_get(c, SPAN("text")));
        uint64_t index = 0;

        if (!json_u64(json_get(c, SPAN("index")), &index))
            index = 0;
        while (text.len > 0 && r->st == ST_OK && !r->full) {
            struct span piece = event_run_piece(&text);

            if (event_run_due(r))
                text_event(r, root, index, piece);
        }
        if (event_run_due(r))
            last_event(r, root, index, c);
    }
    if (r->include_usage && fields_filled(json_get(root, SPAN("usage"))) && event_run_due(r))
        usage_event(r, root);
    if (event_run_due(r))
        r->st = buf_append(r->out, SPAN("data: [DONE]\n\n"));
}
