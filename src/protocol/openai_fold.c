/* chat.completion.chunk events become one chat.completion. */
#include <stdlib.h>

#include "base/json.h"
#include "protocol/collector.h"
#include "protocol/members.h"
#include "protocol/openai_answer.h"

#define CALLS_MAX 128

/* A call comes in pieces too: its own members, and those of the object in it. */
struct call {
    struct members members, inner;
    struct span inner_name; /* of kinds[] */
};

struct state {
    enum answer_verdict trouble;
    size_t limit;
    struct buf model, finish, usage;
    struct members message, top, logprobs, choice;
    struct call *calls[CALLS_MAX]; /* owned */
    size_t call_count;
};

static void spoil(struct state *s, enum answer_verdict why)
{
    if (s->trouble == ANSWER_STORABLE)
        s->trouble = why;
}

static void note(struct state *s, enum status st)
{
    if (st != ST_OK)
        spoil(s, ANSWER_TOO_LARGE);
}

static struct call *call_at(struct state *s, uint64_t index)
{
    struct call *c;

    if (index < s->call_count)
        return s->calls[index];
    if (index > s->call_count || index >= CALLS_MAX || (c = calloc(1, sizeof(*c))) == NULL)
        return NULL;
    members_init(&c->members, s->limit);
    members_init(&c->inner, s->limit);
    s->calls[s->call_count++] = c;
    return c;
}

static enum status read_inner(struct call *c, const struct json *inner)
{
    static const struct span kinds[] = {{"function", 8}, {"custom", 6}};
    enum status st = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (span_eq(inner->key, kinds[i]) &&
            (c->inner_name.len == 0 || span_eq(c->inner_name, kinds[i])))
            c->inner_name = kinds[i];
    }
    if (!span_eq(inner->key, c->inner_name))
        return ST_INVALID;
    for (const struct json *m = inner->child; st == ST_OK && m != NULL; m = m->next)
        st = members_merge(&c->inner, m->key, m);
    return st;
}

/* The id, the type and a name come once; arguments are joined. */
static void read_call(struct state *s, const struct json *piece)
{
    uint64_t index = 0;
    struct call *c;

    if (!json_u64(json_get(piece, SPAN("index")), &index))
        index = 0;
    c = call_at(s, index);
    if (c == NULL) {
        spoil(s, ANSWER_TOOL_CALL); /* one that can not be kept */
        return;
    }
    for (const struct json *m = piece->child; m != NULL; m = m->next) {
        enum status st = ST_OK;

        if (span_eq(m->key, SPAN("index")))
            continue;
        if (m->type == JSON_OBJECT)
            st = read_inner(c, m);
        else if (members_find(&c->members, m->key) == NULL)
            st = members_set(&c->members, m->key, m);
        if (st != ST_OK)
            spoil(s, ANSWER_TOOL_CALL);
    }
}

/* Each event may name the role; it is one. */
static void read_delta(struct state *s, const struct json *delta)
{
    if (delta == NULL || delta->type != JSON_OBJECT)
        return;
    for (const struct json *m = delta->child; m != NULL; m = m->next) {
        if (span_eq(m->key, SPAN("tool_calls")) && m->type == JSON_ARRAY) {
            for (const struct json *c = m->child; c != NULL; c = c->next)
                read_call(s, c);
            continue;
        }
        if (span_eq(m->key, SPAN("function_call")) && m->type == JSON_OBJECT)
            spoil(s, ANSWER_TOOL_CALL); /* the old kind is not kept */
        if (!span_eq(m->key, SPAN("role")) || members_find(&s->message, m->key) == NULL)
            note(s, members_merge(&s->message, m->key, m));
    }
}

/* Of several events the last counts: a choice's filter results are of the text so far. */
static void read_choice_extras(struct state *s, const struct json *choice)
{
    static const struct span known[] = {
        {"index", 5}, {"delta", 5}, {"logprobs", 8}, {"finish_reason", 13}};

    for (const struct json *m = choice->child; m != NULL; m = m->next) {
        bool extra = true;

        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            extra &= !span_eq(m->key, known[i]);
        if (extra)
            note(s, members_set(&s->choice, m->key, m));
    }
}

static void read_choice(struct state *s, const struct json *choice)
{
    struct span finish = json_str(json_get(choice, SPAN("finish_reason")));
    const struct json *logprobs = json_get(choice, SPAN("logprobs"));
    uint64_t index = 0;

    if (json_u64(json_get(choice, SPAN("index")), &index) && index != 0)
        spoil(s, ANSWER_CHOICES);
    if (s->finish.len > 0 && json_get(choice, SPAN("delta")) != NULL &&
        json_get(choice, SPAN("delta"))->count > 0)
        spoil(s, ANSWER_MALFORMED); /* more after the end: two answers spliced? */
    read_delta(s, json_get(choice, SPAN("delta")));
    if (logprobs != NULL && logprobs->type == JSON_OBJECT) {
        for (const struct json *m = logprobs->child; m != NULL; m = m->next)
            note(s, members_merge(&s->logprobs, m->key, m));
    }
    read_choice_extras(s, choice);
    if (finish.len > 0) {
        buf_clear(&s->finish);
        note(s, buf_append(&s->finish, finish));
    }
}

/* system_fingerprint, service_tier and what else there is are the same in every event. */
static void read_top(struct state *s, const struct json *m)
{
    static const struct span dropped[] = {
        {"id", 2}, {"object", 6}, {"created", 7}, {"choices", 7}, {"obfuscation", 11}};

    for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
        if (span_eq(m->key, dropped[i]))
            return;
    }
    if (span_eq(m->key, SPAN("usage"))) {
        if (m->type != JSON_OBJECT)
            return;
        buf_clear(&s->usage);
        note(s, json_write(&s->usage, m));
    } else if (span_eq(m->key, SPAN("model"))) {
        if (s->model.len == 0)
            note(s, buf_append(&s->model, json_str(m)));
    } else {
        note(s, members_set(&s->top, m->key, m));
    }
}

static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct state *s = state;
    const struct json *choices = json_get(root, SPAN("choices"));

    (void)name;
    (void)terminal; /* [DONE], which is no JSON */
    if (openai_answer_has_error(root))
        return ANSWER_ERROR;
    for (const struct json *m = root->child; m != NULL; m = m->next)
        read_top(s, m);
    if (choices != NULL && choices->type == JSON_ARRAY) {
        if (choices->count > 1)
            spoil(s, ANSWER_CHOICES);
        if (choices->count == 1)
            read_choice(s, choices->child);
    }
    return s->trouble;
}

static void init(void *state, size_t limit)
{
    struct state *s = state;

    s->trouble = ANSWER_STORABLE;
    s->limit = limit;
    buf_init(&s->model, limit);
    buf_init(&s->finish, limit);
    buf_init(&s->usage, limit);
    members_init(&s->message, limit);
    members_init(&s->top, limit);
    members_init(&s->logprobs, limit);
    members_init(&s->choice, limit);
}

static void release(void *state)
{
    struct state *s = state;

    buf_release(&s->model);
    buf_release(&s->finish);
    buf_release(&s->usage);
    members_release(&s->message);
    members_release(&s->top);
    members_release(&s->logprobs);
    members_release(&s->choice);
    for (size_t i = 0; i < s->call_count; i++) {
        members_release(&s->calls[i]->members);
        members_release(&s->calls[i]->inner);
        free(s->calls[i]);
    }
}

static enum status put_call(struct buf *out, const struct call *c)
{
    enum status st = buf_append(out, SPAN("{"));

    if (st == ST_OK)
        st = members_write(out, &c->members, true);
    if (st == ST_OK && c->inner_name.len > 0)
        st = buf_printf(out, "%s\"%.*s\":{", members_empty(&c->members) ? "" : ",",
                        (int)c->inner_name.len, c->inner_name.ptr);
    if (st == ST_OK && c->inner_name.len > 0)
        st = members_write(out, &c->inner, true);
    return st == ST_OK ? buf_append(out, c->inner_name.len > 0 ? SPAN("}}") : SPAN("}")) : st;
}

static enum status put_calls(struct buf *out, const struct state *s)
{
    enum status st = ST_OK;

    if (s->call_count == 0)
        return ST_OK;
    st = buf_append(out, members_empty(&s->message) ? SPAN("\"tool_calls\":[")
                                                    : SPAN(",\"tool_calls\":["));
    for (size_t i = 0; st == ST_OK && i < s->call_count; i++) {
        st = i > 0 ? buf_append(out, SPAN(",")) : ST_OK;
        if (st == ST_OK)
            st = put_call(out, s->calls[i]);
    }
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

static enum status put_choice(struct buf *out, const struct state *s)
{
    enum status st = buf_append(out, SPAN("{\"index\":0,\"message\":{"));

    if (st == ST_OK)
        st = members_write(out, &s->message, true);
    if (st == ST_OK)
        st = put_calls(out, s);
    if (st == ST_OK)
        st = buf_append(out, SPAN("},\"logprobs\":"));
    if (st == ST_OK && members_empty(&s->logprobs)) {
        st = buf_append(out, SPAN("null"));
    } else if (st == ST_OK) {
        st = buf_append(out, SPAN("{"));
        if (st == ST_OK)
            st = members_write(out, &s->logprobs, true);
        if (st == ST_OK)
            st = buf_append(out, SPAN("}"));
    }
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"finish_reason\":"));
    if (st == ST_OK)
        st = json_write_string(out, buf_span(&s->finish));
    if (st == ST_OK)
        st = members_write(out, &s->choice, false);
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

/* The id and the time are put in their places when it is kept. */
static enum status put_whole(struct buf *out, const struct state *s)
{
    enum status st = buf_append(
        out, SPAN("{\"id\":\"\",\"object\":\"chat.completion\",\"created\":0,\"model\":"));

    if (st == ST_OK)
        st = json_write_string(out, buf_span(&s->model));
    if (st == ST_OK)
        st = members_write(out, &s->top, false);
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"choices\":["));
    if (st == ST_OK)
        st = put_choice(out, s);
    if (st == ST_OK)
        st = buf_append(out, SPAN("]"));
    if (st == ST_OK && s->usage.len > 0)
        st = buf_append(out, SPAN(",\"usage\":"));
    if (st == ST_OK)
        st = buf_append(out, buf_span(&s->usage));
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

static enum answer_verdict render(void *state, struct buf *out)
{
    const struct state *s = state;

    if (s->finish.len == 0)
        return ANSWER_INCOMPLETE;
    return put_whole(out, s) == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold openai_fold = {
    .state_bytes = sizeof(struct state),
    .done_marker = true,
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};
