#include "protocol/embeddings_batch.h"

#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/event_writer.h"
#include "protocol/members.h"
#include "protocol/protocol.h"

static bool is_one_input(const struct json *v)
{
    return v->type == JSON_STRING || v->type == JSON_ARRAY;
}

static const struct json *input_of(const struct json *body)
{
    return json_get(body, SPAN("input"));
}

size_t embeddings_batch_count(const struct json *input)
{
    if (input == NULL || input->type != JSON_ARRAY || input->count < 2)
        return 0;
    for (const struct json *x = input->child; x != NULL; x = x->next) {
        if (!is_one_input(x))
            return 0; /* tokens: one input */
    }
    return input->count;
}

static struct json *copy_of(struct arena *arena, const struct json *v)
{
    struct json *c = ARENA_NEW(arena, struct json);

    if (c != NULL)
        *c = *v;
    return c;
}

/* The members of `form`, with `input` in the place of its own. */
static enum status with_input(struct arena *arena, const struct json *form,
                              const struct json *input, const struct json **out)
{
    struct json *f = copy_of(arena, form), **link;

    if (f == NULL)
        return ST_NOMEM;
    link = &f->child;
    for (const struct json *m = form->child; m != NULL; m = m->next) {
        bool its = span_eq(m->key, SPAN("input"));
        struct json *c = copy_of(arena, its ? input : m);

        if (c == NULL)
            return ST_NOMEM;
        c->key = m->key;
        c->next = NULL;
        *link = c;
        link = &c->next;
    }
    *out = f;
    return ST_OK;
}

enum status embeddings_batch_normal(struct arena *arena, const struct json *form,
                                    const struct json **out)
{
    const struct json *input = input_of(form);

    if (input == NULL || input->type != JSON_ARRAY || input->count != 1 ||
        !is_one_input(input->child)) {
        *out = form;
        return ST_OK;
    }
    return with_input(arena, form, input->child, out);
}

enum status embeddings_batch_form(struct arena *arena, const struct chat_request *q, size_t i,
                                  const struct json **out)
{
    const struct json *x = input_of(q->exact_form)->child;

    for (; i > 0; i--)
        x = x->next;
    return with_input(arena, q->exact_form, x, out);
}

enum status embeddings_batch_body(struct arena *arena, const struct chat_request *q,
                                  const bool *wanted, struct buf *out)
{
    const struct json *input = input_of(q->body), *body;
    struct json list = *input, **link = &list.child;
    size_t i = 0;
    enum status st;

    list.count = 0;
    list.child = NULL;
    for (const struct json *x = input->child; x != NULL; x = x->next) {
        struct json *c;

        if (!wanted[i++])
            continue;
        c = copy_of(arena, x);
        if (c == NULL)
            return ST_NOMEM;
        c->next = NULL;
        *link = c;
        link = &c->next;
        list.count++;
    }
    st = with_input(arena, q->body, &list, &body);
    return st == ST_OK ? json_write(out, body) : st;
}

void embeddings_batch_weights(const struct chat_request *q, uint64_t *out)
{
    size_t i = 0;

    for (const struct json *x = input_of(q->body)->child; x != NULL; x = x->next)
        out[i++] = 1 + (x->type == JSON_STRING ? x->text.len : x->count);
}

/* --- answers ------------------------------------------------------------------------------ */

static const struct span apart[] = {{"object", 6}, {"data", 4}, {"usage", 5}};

/* {"object":"list","data":[ */
static void begin(struct event_writer *w)
{
    event_writer_put(w, SPAN("{\"object\":\"list\",\"data\":["));
}

static void put_item(struct event_writer *w, const struct json *item, size_t index)
{
    static const struct span known[] = {{"index", 5}};

    if (index > 0)
        event_writer_put(w, SPAN(","));
    event_writer_put(w, SPAN("{\"index\":"));
    event_writer_u64(w, index);
    event_writer_others(w, item, known, ARRAY_LEN(known));
    event_writer_put(w, SPAN("}"));
}

/* ], what else the answer has, and what it cost */
static void end(struct event_writer *w, const struct json *root, bool has_usage,
                uint64_t tokens)
{
    event_writer_put(w, SPAN("]"));
    event_writer_others(w, root, apart, ARRAY_LEN(apart));
    if (has_usage) {
        event_writer_put(w, SPAN(",\"usage\":{\"prompt_tokens\":"));
        event_writer_u64(w, tokens);
        event_writer_put(w, SPAN(",\"total_tokens\":"));
        event_writer_u64(w, tokens);
        event_writer_put(w, SPAN("}"));
    }
    event_writer_put(w, SPAN("}"));
}

static enum status finish(struct arena *arena, struct event_writer *w, struct answer *a)
{
    return w->st == ST_OK ? arena_copy(arena, buf_span(w->out), &a->json) : w->st;
}

/* data[i], whose index is i. */
static const struct json *next_item(const struct json *item, size_t i)
{
    uint64_t index = i;

    if (item == NULL || json_get(item, SPAN("embedding")) == NULL)
        return NULL;
    if (json_get(item, SPAN("index")) != NULL &&
        !json_u64(json_get(item, SPAN("index")), &index))
        return NULL;
    return index == i ? item : NULL;
}

/* The share of what is before `to`, less that of what is before `from`. */
static uint64_t share(uint64_t tokens, uint64_t from, uint64_t to, uint64_t all)
{
    return (uint64_t)((double)tokens * (double)to / (double)all) -
           (uint64_t)((double)tokens * (double)from / (double)all);
}

enum status embeddings_batch_split(struct arena *arena, const struct answer *whole,
                                   const uint64_t *weights, size_t n, struct answer *all)
{
    uint64_t sum = 0, before = 0;
    struct json_error why;
    struct json *root;
    const struct json *item;
    struct buf text;
    enum status st = json_parse(arena, whole->json, JSON_DEPTH_MAX, &root, &why);

    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    if (json_get(root, SPAN("data")) == NULL || json_get(root, SPAN("data"))->count != n)
        return ST_INVALID;
    item = json_get(root, SPAN("data"))->child;
    buf_init(&text, whole->json.len + 4096);
    for (size_t i = 0; st == ST_OK && i < n; i++, item = item->next) {
        struct event_writer w = {&text, ST_OK};
        uint64_t tokens = share(whole->prompt_tokens, before, before + weights[i], sum);

        before += weights[i];
        if (next_item(item, i) == NULL) {
            st = ST_INVALID;
            break;
        }
        all[i] = (struct answer){.verdict = ANSWER_STORABLE,
                                 .model = whole->model,
                                 .has_usage = whole->has_usage,
                                 .prompt_tokens = tokens,
                                 .total_tokens = tokens};
        buf_clear(&text);
        begin(&w);
        put_item(&w, item, 0);
        end(&w, root, whole->has_usage, tokens);
        st = finish(arena, &w, &all[i]);
    }
    buf_release(&text);
    return st;
}

/* Appends the one vector of an answer. */
static enum status join_item(struct arena *arena, struct event_writer *w,
                             const struct answer *a, size_t i, const struct json **root)
{
    const struct json *data;
    struct json_error why;
    struct json *r;
    enum status st = json_parse(arena, a->json, JSON_DEPTH_MAX, &r, &why);

    if (st != ST_OK)
        return st;
    data = json_get(r, SPAN("data"));
    if (data == NULL || data->type != JSON_ARRAY || data->count != 1)
        return ST_INVALID;
    put_item(w, data->child, i);
    if (*root == NULL)
        *root = r;
    return w->st;
}

enum status embeddings_batch_join(struct arena *arena, const struct answer *all, size_t n,
                                  struct answer *out)
{
    const struct json *root = NULL;
    struct answer a = {.verdict = ANSWER_STORABLE, .model = all[0].model, .has_usage = true};
    struct event_writer w;
    struct buf text;
    enum status st = ST_OK;

    buf_init(&text, SIZE_MAX / 4);
    w = (struct event_writer){&text, ST_OK};
    begin(&w);
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        st = join_item(arena, &w, &all[i], i, &root);
        a.has_usage &= all[i].has_usage;
        a.prompt_tokens += all[i].prompt_tokens;
    }
    a.total_tokens = a.prompt_tokens;
    if (st == ST_OK) {
        end(&w, root, a.has_usage, a.prompt_tokens);
        st = finish(arena, &w, &a);
    }
    buf_release(&text);
    if (st == ST_OK)
        *out = a;
    return st;
}
