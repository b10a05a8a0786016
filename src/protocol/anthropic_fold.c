/* message_start … message_stop become one message (docs.anthropic.com/en/api/streaming). */
#include <stdlib.h>

#include "base/json.h"
#include "protocol/anthropic_answer.h"
#include "protocol/collector.h"
#include "protocol/members.h"

#define BLOCKS_MAX 512

struct block {
    struct members members;
    struct buf input; /* partial_json, joined */
    bool stopped;
};

struct state {
    size_t limit;
    bool started;
    struct members message, usage;
    struct block *blocks[BLOCKS_MAX]; /* owned */
    size_t count;
};

static void init(void *state, size_t limit)
{
    struct state *s = state;

    s->limit = limit;
    members_init(&s->message, limit);
    members_init(&s->usage, limit);
}

static void release(void *state)
{
    struct state *s = state;

    members_release(&s->message);
    members_release(&s->usage);
    for (size_t i = 0; i < s->count; i++) {
        members_release(&s->blocks[i]->members);
        buf_release(&s->blocks[i]->input);
        free(s->blocks[i]);
    }
}

static enum answer_verdict set_all(struct members *to, const struct json *from, bool nulls)
{
    static const struct span apart[] = {{"content", 7}, {"usage", 5}};

    for (const struct json *m = from != NULL ? from->child : NULL; m != NULL; m = m->next) {
        if (span_eq(m->key, apart[0]) || span_eq(m->key, apart[1]) ||
            (!nulls && m->type == JSON_NULL))
            continue;
        if (members_set(to, m->key, m) != ST_OK)
            return ANSWER_TOO_LARGE;
    }
    return ANSWER_STORABLE;
}

static enum answer_verdict message_start(struct state *s, const struct json *root)
{
    const struct json *message = json_get(root, SPAN("message"));
    enum answer_verdict v;

    /* A second one: two answers spliced by a gateway. */
    if (s->started || message == NULL || message->type != JSON_OBJECT)
        return ANSWER_MALFORMED;
    s->started = true;
    v = set_all(&s->message, message, true);
    return v == ANSWER_STORABLE ? set_all(&s->usage, json_get(message, SPAN("usage")), true)
                                : v;
}

static enum answer_verdict message_delta(struct state *s, const struct json *root)
{
    enum answer_verdict v = set_all(&s->message, json_get(root, SPAN("delta")), true);

    /* Counts are of the whole message; what is not told again stays. */
    return v == ANSWER_STORABLE ? set_all(&s->usage, json_get(root, SPAN("usage")), false) : v;
}

static enum answer_verdict block_start(struct state *s, const struct json *root)
{
    const struct json *block = json_get(root, SPAN("content_block"));
    uint64_t index = UINT64_MAX;
    struct block *b;

    if (!json_u64(json_get(root, SPAN("index")), &index) || index != s->count ||
        block == NULL || block->type != JSON_OBJECT)
        return ANSWER_MALFORMED;
    b = s->count < BLOCKS_MAX ? calloc(1, sizeof(*b)) : NULL;
    if (b == NULL)
        return ANSWER_TOO_LARGE;
    members_init(&b->members, s->limit);
    buf_init(&b->input, s->limit);
    s->blocks[s->count++] = b;
    for (const struct json *m = block->child; m != NULL; m = m->next) {
        if (members_merge(&b->members, m->key, m) != ST_OK)
            return ANSWER_TOO_LARGE;
    }
    return ANSWER_STORABLE;
}

static struct block *open_block(struct state *s, const struct json *root)
{
    uint64_t index = UINT64_MAX;

    if (!json_u64(json_get(root, SPAN("index")), &index) || index >= s->count ||
        s->blocks[index]->stopped)
        return NULL;
    return s->blocks[index];
}

static enum answer_verdict as_verdict(enum status st)
{
    return st == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

static enum answer_verdict block_delta(struct state *s, const struct json *root)
{
    static const struct {
        struct span type, name;
    } texts[] = {
        {{"text_delta", 10}, {"text", 4}},
        {{"thinking_delta", 14}, {"thinking", 8}},
        {{"signature_delta", 15}, {"signature", 9}},
        {{"compaction_delta", 16}, {"content", 7}},
    };
    const struct json *delta = json_get(root, SPAN("delta")), *v;
    struct span type = json_str(json_get(delta, SPAN("type")));
    struct block *b = open_block(s, root);

    if (b == NULL)
        return ANSWER_MALFORMED;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!span_eq(type, texts[i].type))
            continue;
        v = json_get(delta, texts[i].name);
        return v == NULL ? ANSWER_MALFORMED
                         : as_verdict(members_merge(&b->members, texts[i].name, v));
    }
    if (span_eq(type, SPAN("input_json_delta")))
        return as_verdict(
            buf_append(&b->input, json_str(json_get(delta, SPAN("partial_json")))));
    v = json_get(delta, SPAN("citation"));
    if (span_eq(type, SPAN("citations_delta")) && v != NULL)
        return as_verdict(members_append(&b->members, SPAN("citations"), v));
    return ANSWER_UNKNOWN;
}

static enum answer_verdict block_stop(struct state *s, const struct json *root)
{
    struct block *b = open_block(s, root);

    if (b == NULL)
        return ANSWER_MALFORMED;
    b->stopped = true;
    return ANSWER_STORABLE;
}

static enum answer_verdict event(void *state, struct span name, const struct json *root,
                                 bool *terminal)
{
    struct state *s = state;
    struct span type = json_str(json_get(root, SPAN("type")));

    (void)name; /* the type says the same */
    if (span_eq(type, SPAN("ping")))
        return ANSWER_STORABLE;
    if (span_eq(type, SPAN("error")))
        return ANSWER_ERROR;
    if (span_eq(type, SPAN("message_start")))
        return message_start(s, root);
    if (!s->started)
        return ANSWER_MALFORMED;
    if (span_eq(type, SPAN("content_block_delta")))
        return block_delta(s, root);
    if (span_eq(type, SPAN("content_block_start")))
        return block_start(s, root);
    if (span_eq(type, SPAN("content_block_stop")))
        return block_stop(s, root);
    if (span_eq(type, SPAN("message_delta")))
        return message_delta(s, root);
    if (!span_eq(type, SPAN("message_stop")))
        return ANSWER_UNKNOWN;
    *terminal = true;
    return ANSWER_STORABLE;
}

/* The input that a call began with, {}, gives way to what came in pieces. */
static enum status put_block(struct buf *out, const struct block *b)
{
    enum status st = buf_append(out, SPAN("{"));

    for (size_t i = 0; st == ST_OK && i < b->members.count; i++) {
        const struct member *m = &b->members.list[i];

        if (i > 0)
            st = buf_append(out, SPAN(","));
        if (st != ST_OK)
            return st;
        if (b->input.len > 0 && span_eq(span_of(m->name), SPAN("input"))) {
            st = buf_append(out, SPAN("\"input\":"));
            if (st == ST_OK)
                st = buf_append(out, buf_span(&b->input));
        } else {
            st = members_write_one(out, m);
        }
    }
    return st == ST_OK ? buf_append(out, SPAN("}")) : st;
}

static enum status put_whole(struct buf *out, const struct state *s)
{
    enum status st = buf_append(out, SPAN("{"));

    if (st == ST_OK)
        st = members_write(out, &s->message, true);
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"content\":["));
    for (size_t i = 0; st == ST_OK && i < s->count; i++) {
        if (i > 0)
            st = buf_append(out, SPAN(","));
        if (st == ST_OK)
            st = put_block(out, s->blocks[i]);
    }
    if (st == ST_OK)
        st = buf_append(out, SPAN("],\"usage\":{"));
    if (st == ST_OK)
        st = members_write(out, &s->usage, true);
    return st == ST_OK ? buf_append(out, SPAN("}}")) : st;
}

static enum answer_verdict render(void *state, struct buf *out)
{
    const struct state *s = state;

    for (size_t i = 0; i < s->count; i++) {
        if (!s->blocks[i]->stopped)
            return ANSWER_INCOMPLETE;
    }
    if (members_empty(&s->message))
        return ANSWER_INCOMPLETE;
    return put_whole(out, s) == ST_OK ? ANSWER_STORABLE : ANSWER_TOO_LARGE;
}

const struct fold anthropic_fold = {
    .state_bytes = sizeof(struct state),
    .init = init,
    .release = release,
    .event = event,
    .render = render,
};
