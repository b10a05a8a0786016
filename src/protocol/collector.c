/* A stream of deltas becomes one answer, beside its relay. Members of a delta are
 * merged by what they are, not by name: strings are concatenated, arrays appended,
 * anything else: the last one counts. So what we do not know is not lost. A stream
 * that can not be stored (a tool call, too much, an error) is read on only to know
 * where its events end. */
#include <stdlib.h>

#include "base/json.h"
#include "http/sse.h"
#include "protocol/answer.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

#define MEMBERS_MAX     24
#define NAME_MAX_BYTES  64
#define SCRATCH_CHUNK   8192
#define EVENT_ARENA_MAX (64u * 1024 * 1024)

enum merge { MERGE_NONE, MERGE_STRING, MERGE_ARRAY, MERGE_LAST };

struct member {
    char name[NAME_MAX_BYTES];
    enum merge how;
    struct buf value; /* string: its text; array: elements with commas; last: JSON */
};

struct collector {
    const struct protocol *protocol;
    struct sse_reader sse;
    struct arena scratch; /* of one event */
    size_t bytes_max, bytes;
    enum answer_verdict trouble; /* STORABLE while all is well */
    bool lost;                   /* the reader itself gave up */
    bool terminal;               /* [DONE] came */
    struct buf model, finish, usage;
    struct member message[MEMBERS_MAX], top[MEMBERS_MAX], logprobs[MEMBERS_MAX];
    struct member choice[MEMBERS_MAX];
};

static void spoil(struct collector *c, enum answer_verdict why)
{
    if (c->trouble == ANSWER_STORABLE)
        c->trouble = why;
}

/* --- merging ------------------------------------------------------------------------- */

static struct member *find_member(struct member *list, struct span name)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (list[i].how == MERGE_NONE) {
            if (name.len >= NAME_MAX_BYTES)
                return NULL;
            memcpy(list[i].name, name.ptr, name.len);
            return &list[i];
        }
        if (span_eq(span_of(list[i].name), name))
            return &list[i];
    }
    return NULL;
}

static enum status merge_value(struct member *m, const struct json *v)
{
    enum status st = ST_OK;

    if (v->type == JSON_STRING && m->how != MERGE_ARRAY) {
        if (m->how == MERGE_LAST)
            buf_clear(&m->value);
        m->how = MERGE_STRING;
        return buf_append(&m->value, v->text);
    }
    if (v->type == JSON_ARRAY && (m->how == MERGE_NONE || m->how == MERGE_ARRAY)) {
        m->how = MERGE_ARRAY;
        for (const struct json *x = v->child; st == ST_OK && x != NULL; x = x->next) {
            if (m->value.len > 0)
                st = buf_append(&m->value, SPAN(","));
            if (st == ST_OK)
                st = json_write(&m->value, x);
        }
        return st;
    }
    /* null says "nothing more" of what is there, and "null" of what is not. */
    if (v->type == JSON_NULL && m->how != MERGE_NONE)
        return ST_OK;
    m->how = MERGE_LAST;
    buf_clear(&m->value);
    return json_write(&m->value, v);
}

static void merge(struct collector *c, struct member *list, const struct json *v)
{
    struct member *m = find_member(list, v->key);

    if (m == NULL || merge_value(m, v) != ST_OK)
        spoil(c, ANSWER_TOO_LARGE);
}

static enum status write_member(struct buf *out, const struct member *m)
{
    enum status st = json_write_string(out, span_of(m->name));

    if (st == ST_OK)
        st = buf_append(out, SPAN(":"));
    if (st != ST_OK)
        return st;
    if (m->how == MERGE_STRING)
        return json_write_string(out, buf_span(&m->value));
    if (m->how == MERGE_LAST)
        return buf_append(out, buf_span(&m->value));
    st = buf_append(out, SPAN("["));
    if (st == ST_OK)
        st = buf_append(out, buf_span(&m->value));
    return st == ST_OK ? buf_append(out, SPAN("]")) : st;
}

/* Each with a comma before it, but for the first when `first`. */
static enum status write_members(struct buf *out, const struct member *list, bool first)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < MEMBERS_MAX && list[i].how != MERGE_NONE; i++) {
        if (!first)
            st = buf_append(out, SPAN(","));
        first = false;
        if (st == ST_OK)
            st = write_member(out, &list[i]);
    }
    return st;
}

/* --- reading events ------------------------------------------------------------------- */

static void read_delta(struct collector *c, const struct json *delta)
{
    if (delta == NULL || delta->type != JSON_OBJECT)
        return;
    for (const struct json *m = delta->child; m != NULL; m = m->next) {
        if (span_eq(m->key, SPAN("role"))) {
            struct member *role = find_member(c->message, m->key);

            if (role != NULL && role->how == MERGE_NONE)
                merge(c, c->message, m);
            continue;
        }
        merge(c, c->message, m);
    }
}

/* Of several events the last counts: system_fingerprint and service_tier are the same
 * in every one, a choice's filter results are of the text so far. */
static void keep_last(struct collector *c, struct member *list, const struct json *m)
{
    struct member *x = find_member(list, m->key);

    if (x == NULL) {
        spoil(c, ANSWER_TOO_LARGE);
        return;
    }
    x->how = MERGE_LAST;
    buf_clear(&x->value);
    if (json_write(&x->value, m) != ST_OK)
        spoil(c, ANSWER_TOO_LARGE);
}

static void read_choice_extras(struct collector *c, const struct json *choice)
{
    static const struct span known[] = {
        {"index", 5}, {"delta", 5}, {"logprobs", 8}, {"finish_reason", 13}};

    for (const struct json *m = choice->child; m != NULL; m = m->next) {
        bool extra = true;

        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            extra &= !span_eq(m->key, known[i]);
        if (extra)
            keep_last(c, c->choice, m);
    }
}

static void read_choice(struct collector *c, const struct json *choice)
{
    struct span finish = json_str(json_get(choice, SPAN("finish_reason")));
    const struct json *logprobs = json_get(choice, SPAN("logprobs"));
    uint64_t index = 0;

    if (json_u64(json_get(choice, SPAN("index")), &index) && index != 0)
        spoil(c, ANSWER_CHOICES);
    if (c->finish.len > 0 && json_get(choice, SPAN("delta")) != NULL &&
        json_get(choice, SPAN("delta"))->count > 0)
        spoil(c, ANSWER_MALFORMED); /* more after the end: two answers spliced? */
    read_delta(c, json_get(choice, SPAN("delta")));
    if (logprobs != NULL && logprobs->type == JSON_OBJECT) {
        for (const struct json *m = logprobs->child; m != NULL; m = m->next)
            merge(c, c->logprobs, m);
    }
    read_choice_extras(c, choice);
    if (finish.len > 0) {
        buf_clear(&c->finish);
        if (buf_append(&c->finish, finish) != ST_OK)
            spoil(c, ANSWER_TOO_LARGE);
    }
}

static void read_top(struct collector *c, const struct json *m)
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
        buf_clear(&c->usage);
        if (json_write(&c->usage, m) != ST_OK)
            spoil(c, ANSWER_TOO_LARGE);
    } else if (span_eq(m->key, SPAN("model"))) {
        if (c->model.len == 0 && buf_append(&c->model, json_str(m)) != ST_OK)
            spoil(c, ANSWER_TOO_LARGE);
    } else {
        keep_last(c, c->top, m);
    }
}

static void read_object(struct collector *c, const struct json *root)
{
    const struct json *choices = json_get(root, SPAN("choices"));

    if (root->type != JSON_OBJECT) {
        spoil(c, ANSWER_MALFORMED);
        return;
    }
    if (openai_answer_has_error(root)) {
        spoil(c, ANSWER_ERROR);
        return;
    }
    for (const struct json *m = root->child; m != NULL; m = m->next)
        read_top(c, m);
    if (choices == NULL || choices->type != JSON_ARRAY)
        return;
    if (choices->count > 1)
        spoil(c, ANSWER_CHOICES);
    if (choices->count == 1)
        read_choice(c, choices->child);
}

static enum status on_event(void *owner, struct span event, struct span data)
{
    struct collector *c = owner;
    struct json_error why;
    struct json *root;

    if (c->terminal) {
        spoil(c, ANSWER_MALFORMED); /* bytes after the end */
        return ST_OK;
    }
    if (span_eq(event, SPAN("error"))) {
        spoil(c, ANSWER_ERROR);
        return ST_OK;
    }
    if (span_eq(data, SPAN("[DONE]"))) {
        c->terminal = true;
        return ST_OK;
    }
    if (c->trouble != ANSWER_STORABLE)
        return ST_OK;
    c->bytes += data.len;
    if (c->bytes > c->bytes_max) {
        spoil(c, ANSWER_TOO_LARGE);
        return ST_OK;
    }
    if (json_parse(&c->scratch, data, JSON_DEPTH_MAX, &root, &why) == ST_OK)
        read_object(c, root);
    else
        spoil(c, ANSWER_MALFORMED);
    arena_reset(&c->scratch);
    return ST_OK;
}

/* --- the interface ---------------------------------------------------------------------- */

static void init_members(struct member *list, size_t limit)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++)
        buf_init(&list[i].value, limit);
}

static void release_members(struct member *list)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++)
        buf_release(&list[i].value);
}

enum status collector_open(const struct protocol *p, size_t bytes_max, struct collector **out)
{
    struct collector *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return ST_NOMEM;
    c->protocol = p;
    c->bytes_max = bytes_max;
    sse_init(&c->sse, bytes_max + 4096, on_event, c);
    arena_init(&c->scratch, SCRATCH_CHUNK, EVENT_ARENA_MAX);
    buf_init(&c->model, bytes_max);
    buf_init(&c->finish, bytes_max);
    buf_init(&c->usage, 8 * bytes_max);
    init_members(c->message, 8 * bytes_max);
    init_members(c->top, 8 * bytes_max);
    init_members(c->logprobs, 8 * bytes_max);
    init_members(c->choice, 8 * bytes_max);
    *out = c;
    return ST_OK;
}

void collector_close(struct collector *c)
{
    sse_release(&c->sse);
    arena_release(&c->scratch);
    buf_release(&c->model);
    buf_release(&c->finish);
    buf_release(&c->usage);
    release_members(c->message);
    release_members(c->top);
    release_members(c->logprobs);
    release_members(c->choice);
    free(c);
}

void collector_feed(struct collector *c, struct span bytes)
{
    if (c->lost)
        return;
    if (sse_feed(&c->sse, bytes) != ST_OK) {
        c->lost = true;
        spoil(c, ANSWER_TOO_LARGE);
    }
}

bool collector_between_events(const struct collector *c)
{
    return !c->lost && sse_between_events(&c->sse);
}

static enum status render(struct collector *c, struct buf *out, struct answer *a)
{
    struct openai_answer_parts p = {.model = buf_span(&c->model),
                                    .finish_reason = buf_span(&c->finish),
                                    .usage = buf_span(&c->usage)};
    struct buf head, message, logprobs, choice;
    enum status st;

    buf_init(&head, out->limit);
    buf_init(&message, out->limit);
    buf_init(&logprobs, out->limit);
    buf_init(&choice, out->limit);
    st = write_members(&head, c->top, false);
    if (st == ST_OK)
        st = write_members(&message, c->message, true);
    if (st == ST_OK)
        st = write_members(&choice, c->choice, false);
    if (st == ST_OK && c->logprobs[0].how != MERGE_NONE) {
        st = buf_append(&logprobs, SPAN("{"));
        if (st == ST_OK)
            st = write_members(&logprobs, c->logprobs, true);
        if (st == ST_OK)
            st = buf_append(&logprobs, SPAN("}"));
    }
    if (st == ST_OK) {
        p.head = buf_span(&head);
        p.message = buf_span(&message);
        p.logprobs = buf_span(&logprobs);
        p.choice = buf_span(&choice);
        st = openai_answer_render(out, &p, a);
    }
    buf_release(&head);
    buf_release(&message);
    buf_release(&logprobs);
    buf_release(&choice);
    return st;
}

/* The same judgement as for a whole answer, on the same rendering. */
static enum status judge(struct collector *c, struct arena *arena, struct answer *a)
{
    struct json_error why;
    struct json *root;
    struct buf json;
    enum status st;

    buf_init(&json, 16 * c->bytes_max + 65536);
    st = render(c, &json, a);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&json), &a->json);
    buf_release(&json);
    if (st != ST_OK)
        return st;
    if (json_parse(arena, a->json, JSON_DEPTH_MAX, &root, &why) == ST_OK)
        openai_answer_judge(root, a);
    else
        a->verdict = ANSWER_MALFORMED;
    return ST_OK;
}

enum status collector_finish(struct collector *c, bool framed, struct arena *arena,
                             struct answer *out)
{
    struct answer a = {.verdict = c->trouble};
    enum status st;

    if (a.verdict == ANSWER_STORABLE &&
        (!framed || !c->terminal || c->finish.len == 0 || !sse_between_events(&c->sse)))
        a.verdict = ANSWER_INCOMPLETE;
    if (a.verdict == ANSWER_STORABLE) {
        st = judge(c, arena, &a);
        if (st != ST_OK)
            return st;
    }
    *out = a;
    return ST_OK;
}
