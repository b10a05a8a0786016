/* The lines of an Ollama stream become one answer (github.com/ollama/ollama, docs/api.md):
 * texts are joined, of all else the last counts. */
#include "base/json.h"
#include "protocol/collector.h"
#include "protocol/fields.h"
#include "protocol/members.h"
#include "protocol/ollama_answer.h"

struct state {
    struct members top, message;
};

static void init(void *state, size_t limit)
{
    struct state *s = state;

    members_init(&s->top, limit);
    members_init(&s->message, limit);
}

static void release(void *state)
{
    struct state *s = state;

    members_release(&s->top);
    members_release(&s->message);
}

static enum status read_message(struct state *s, const struct json *message)
{
    enum status st = ST_OK;

    for (const struct json *m = message->child; st == ST_OK && m != NULL; m = m->next) {
        if (!span_eq(m->key, SPAN("role")) || members_find(&s->message, m->key) == NULL)
            st = members_merge(&s->message, m->key, m);
    }
    return st;
}

static enum status read_member(struct state *s, const struct json *m)
{
    if (span_eq(m->key, SPAN("message")) && m->type == JSON_OBJECT)
        return read_message(s, m);
    if (span_eq(m->key, SPAN("response")) || span_eq(m->key, SPAN("thinking")))
        return members_merge(&s->top, m->key, m);
    return members_set(&s->top, m->key, m);
}

static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct state *s = state;

    (void)name;
    if (fields_get(root, SPAN("error")) != NULL)
        return ANSWER_ERROR;
    for (const struct json *m = root->child; m != NULL; m = m->next) {
        if (read_member(s, m) != ST_OK)
            return ANSWER_TOO_LARGE;
    }
    if (!json_bool(json_get(root, SPAN("done")), terminal))
        return ANSWER_MALFORMED;
    return ANSWER_STORABLE;
}

static enum answer_verdict render(void *state, struct buf *out)
{
    const struct state *s = state;
    enum status st = buf_append(out, SPAN("{"));

    if (st == ST_OK)
        st = members_write(out, &s->top, true);
    if (st == ST_OK && !members_empty(&s->message)) {
        st = buf_append(out, SPAN(",\"message\":{"));
        if (st == ST_OK)
            st = members_write(out, &s->message, true);
        if (st == ST_OK)
            st = buf_append(out, SPAN("}"));
    }
    if (st == ST_OK)
        st = buf_append(out, SPAN("}"));
    return st == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold ollama_fold = {
    .state_bytes = sizeof(struct state),
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};
