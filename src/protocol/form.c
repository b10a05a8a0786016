#include "protocol/form.h"

#include "base/json.h"

/* body, messages, parts, the parts within a tool's result, and those within these */
#define MARK_DEPTH_MAX 8

/* A list of values in the making, like a vessel of the same kind. */
struct list {
    struct arena *arena;
    struct json *vessel, *tail; /* vessel NULL: memory is out */
};

static struct json *copy_of(struct arena *arena, const struct json *v)
{
    struct json *c = ARENA_NEW(arena, struct json);

    if (c != NULL) {
        *c = *v;
        c->next = NULL;
    }
    return c;
}

static struct list list_like(struct arena *arena, const struct json *v)
{
    struct list l = {arena, copy_of(arena, v), NULL};

    if (l.vessel != NULL) {
        l.vessel->child = NULL;
        l.vessel->count = 0;
    }
    return l;
}

/* `v` is ours, or NULL when memory was out. */
static void list_add(struct list *l, struct json *v)
{
    if (v == NULL)
        l->vessel = NULL;
    if (l->vessel == NULL)
        return;
    if (l->tail == NULL)
        l->vessel->child = v;
    else
        l->tail->next = v;
    l->tail = v;
    l->vessel->count++;
}

/* --- exact -------------------------------------------------------------------------- */

static bool is_one_of(struct span key, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(key, list[i]))
            return true;
    }
    return false;
}

/* Elements of lists, and what is in their "content". */
static struct json *without_mark(struct arena *arena, const struct json *v, struct span mark,
                                 unsigned depth)
{
    struct list l;

    if ((v->type != JSON_ARRAY && v->type != JSON_OBJECT) || depth == 0)
        return copy_of(arena, v);
    l = list_like(arena, v);
    for (const struct json *m = v->child; m != NULL; m = m->next) {
        if (v->type == JSON_ARRAY || span_eq(m->key, SPAN("content")))
            list_add(&l, without_mark(arena, m, mark, depth - 1));
        else if (!span_eq(m->key, mark))
            list_add(&l, copy_of(arena, m));
    }
    return l.vessel;
}

enum status form_exact(struct arena *arena, const struct json *body,
                       const struct form_rules *rules, const struct json **out)
{
    struct list l = list_like(arena, body);

    for (const struct json *m = body->child; m != NULL; m = m->next) {
        if (is_one_of(m->key, rules->ignored, rules->ignored_count))
            continue;
        list_add(&l, rules->mark.len > 0 && m->type == JSON_ARRAY
                         ? without_mark(arena, m, rules->mark, MARK_DEPTH_MAX)
                         : copy_of(arena, m));
    }
    *out = l.vessel;
    return l.vessel != NULL ? ST_OK : ST_NOMEM;
}

/* --- hollow ------------------------------------------------------------------------- */

/* A text part with its text taken out; what else it has stays. */
static struct json *hollow_part(struct arena *arena, const struct json *part)
{
    struct list l = list_like(arena, part);

    for (const struct json *m = part->child; m != NULL; m = m->next) {
        struct json *x = copy_of(arena, m);

        if (x != NULL && span_eq(m->key, SPAN("text")))
            x->text = (struct span){"", 0};
        list_add(&l, x);
    }
    return l.vessel;
}

/* A bare string is the same as one text part. */
static struct json *part_from_string(struct arena *arena, struct span type_name)
{
    struct json *part = ARENA_NEW(arena, struct json), *type = ARENA_NEW(arena, struct json),
                *text = ARENA_NEW(arena, struct json);

    if (part == NULL || type == NULL || text == NULL)
        return NULL;
    *type = (struct json){
        .type = JSON_STRING, .key = SPAN("type"), .text = type_name, .next = text};
    *text = (struct json){.type = JSON_STRING, .key = SPAN("text"), .text = {"", 0}};
    *part = (struct json){.type = JSON_OBJECT, .count = 2, .child = type};
    return part;
}

static struct json *hollow_content(struct arena *arena, const struct json *content,
                                   const struct form_rules *rules)
{
    struct list l = list_like(arena, content);

    if (content->type == JSON_STRING) {
        if (l.vessel != NULL)
            l.vessel->type = JSON_ARRAY;
        list_add(&l, part_from_string(arena, rules->text_type));
        return l.vessel;
    }
    for (const struct json *part = content->child; part != NULL; part = part->next)
        list_add(&l, rules->is_text(json_str(json_get(part, SPAN("type"))))
                         ? hollow_part(arena, part)
                         : copy_of(arena, part));
    return l.vessel;
}

static struct json *hollow_message(struct arena *arena, const struct json *m,
                                   const struct form_rules *rules)
{
    struct list l = list_like(arena, m);

    for (const struct json *x = m->child; x != NULL; x = x->next)
        list_add(&l, span_eq(x->key, SPAN("content")) ? hollow_content(arena, x, rules)
                                                      : copy_of(arena, x));
    return l.vessel;
}

static struct json *hollow_asked(struct arena *arena, const struct json *asked,
                                 const struct form_rules *rules)
{
    struct list l = list_like(arena, asked);

    if (asked->type == JSON_STRING) {
        if (l.vessel != NULL)
            l.vessel->text = (struct span){"", 0};
        return l.vessel;
    }
    for (const struct json *m = asked->child; m != NULL; m = m->next)
        list_add(&l, m->next == NULL ? hollow_message(arena, m, rules) : copy_of(arena, m));
    return l.vessel;
}

enum status form_hollow(struct arena *arena, const struct json *exact,
                        const struct form_rules *rules, const struct json **out)
{
    struct list l = list_like(arena, exact);

    for (const struct json *m = exact->child; m != NULL; m = m->next)
        list_add(&l, span_eq(m->key, rules->asked) ? hollow_asked(arena, m, rules)
                                                   : copy_of(arena, m));
    if (l.vessel == NULL)
        return ST_NOMEM;
    *out = l.vessel;
    return ST_OK;
}

/* --- alone -------------------------------------------------------------------------- */

static bool has_role(const struct json *m, struct span role)
{
    return span_eq(json_str(json_get(m, SPAN("role"))), role);
}

/* *last is the one that is asked, *told how many of the developer's are in front. */
static bool is_plain_talk(const struct json *asked, const struct json **last, size_t *told)
{
    bool begun = false;

    *told = 0;
    *last = NULL;
    if (asked->type != JSON_ARRAY)
        return false;
    for (const struct json *m = asked->child; m != NULL; m = m->next) {
        bool tells = has_role(m, SPAN("system")) || has_role(m, SPAN("developer"));

        if (begun && tells)
            return false;
        if (!tells && !has_role(m, SPAN("user")) && !has_role(m, SPAN("assistant")))
            return false;
        *told += tells;
        begun |= !tells;
        *last = m;
    }
    return *last != NULL && has_role(*last, SPAN("user"));
}

static struct json *alone_asked(struct arena *arena, const struct json *asked, size_t told,
                                const struct json *last, const struct form_rules *rules)
{
    struct list l = list_like(arena, asked);
    const struct json *m = asked->child;

    for (; told > 0; told--, m = m->next)
        list_add(&l, copy_of(arena, m));
    list_add(&l, hollow_message(arena, last, rules));
    return l.vessel;
}

enum status form_alone(struct arena *arena, const struct json *exact,
                       const struct form_rules *rules, const struct json **out)
{
    const struct json *asked = json_get(exact, rules->asked), *last;
    struct list l = list_like(arena, exact);
    size_t told;

    if (asked == NULL || !is_plain_talk(asked, &last, &told))
        return ST_INVALID;
    for (const struct json *m = exact->child; m != NULL; m = m->next)
        list_add(&l,
                 m == asked ? alone_asked(arena, asked, told, last, rules) : copy_of(arena, m));
    if (l.vessel == NULL)
        return ST_NOMEM;
    *out = l.vessel;
    return ST_OK;
}
