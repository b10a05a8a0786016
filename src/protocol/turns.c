#include "protocol/turns.h"

#include <stdio.h>

#include "base/json.h"
#include "protocol/fields.h"
#include "protocol/protocol.h"

#define MESSAGES_MAX 16384

const char *turns_at(struct turns_place *p, const char *what)
{
    snprintf(p->text, sizeof(p->text), "%s[%zu]%s", p->list, p->index, what);
    return p->text;
}

static void note_part(struct chat_request *q, enum turns_part kind)
{
    switch (kind) {
    case PART_CALL:
        q->has_tool_turns = true;
        break;
    case PART_TOOL_RESULT:
        q->has_tool_turns = true;
        q->ends_in_tool_result = true; /* until another message comes */
        break;
    case PART_OTHER:
        q->has_attachments = true;
        break;
    case PART_TEXT:
    case PART_SILENT:
        break;
    }
}

static struct span type_of(const struct json *part)
{
    return json_str(json_get(part, SPAN("type")));
}

/* The bytes that all texts take with a newline after each. */
static enum status check_parts(const struct json *content, turns_part_fn *kind,
                               struct turns_place *p, struct chat_request *q, size_t *bytes,
                               struct protocol_error *err)
{
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        const struct json *text = json_get(part, SPAN("text"));
        enum turns_part is = kind(type_of(part));

        if (part->type != JSON_OBJECT || type_of(part).ptr == NULL)
            return fields_refuse(err, turns_at(p, ".content"),
                                 "must hold objects with a 'type'");
        note_part(q, is);
        if (is != PART_TEXT)
            continue;
        if (text == NULL || text->type != JSON_STRING)
            return fields_refuse(err, turns_at(p, ".content"),
                                 "has a text part whose 'text' is no string");
        *bytes += text->text.len + 1;
    }
    return ST_OK;
}

static enum status join_parts(struct arena *arena, const struct json *content,
                              turns_part_fn *kind, size_t bytes, struct span *out)
{
    size_t len = 0;
    char *text = arena_alloc(arena, bytes, 1);

    if (text == NULL)
        return ST_NOMEM;
    for (const struct json *part = content->child; part != NULL; part = part->next) {
        struct span s = json_str(json_get(part, SPAN("text")));

        if (kind(type_of(part)) != PART_TEXT)
            continue;
        if (len > 0)
            text[len++] = '\n';
        if (s.len > 0)
            memcpy(text + len, s.ptr, s.len);
        len += s.len;
    }
    *out = (struct span){text, len};
    return ST_OK;
}

enum status turns_content(struct arena *arena, const struct json *content, turns_part_fn *kind,
                          struct turns_place *p, struct chat_request *q, struct span *out,
                          struct protocol_error *err)
{
    size_t bytes = 0;
    enum status st;

    *out = (struct span){NULL, 0};
    if (content->type == JSON_STRING) {
        *out = content->text;
        return ST_OK;
    }
    if (content->type != JSON_ARRAY)
        return fields_refuse(err, turns_at(p, ".content"),
                             "must be a string or an array of parts");
    st = check_parts(content, kind, p, q, &bytes, err);
    return st != ST_OK || bytes == 0 ? st : join_parts(arena, content, kind, bytes, out);
}

enum status turns_role(const struct json *m, struct turns_place *p, struct span *out,
                       struct protocol_error *err)
{
    const struct json *role = json_get(m, SPAN("role"));

    if (m->type != JSON_OBJECT)
        return fields_refuse(err, turns_at(p, ""), "must be an object");
    if (role == NULL || role->type != JSON_STRING || role->text.len == 0)
        return fields_refuse(err, turns_at(p, ".role"), "must be a string that is not empty");
    *out = role->text;
    return ST_OK;
}

enum status turns_list(const struct json *body, const char *name, const struct json **out,
                       struct protocol_error *err)
{
    const struct json *list = json_get(body, span_of(name));

    if (list == NULL)
        return fields_refuse(err, name, "is missing");
    if (list->type != JSON_ARRAY || list->count == 0)
        return fields_refuse(err, name, "must be an array that is not empty");
    if (list->count > MESSAGES_MAX)
        return fields_refuse(err, name, "has too many elements");
    *out = list;
    return ST_OK;
}

enum status turns_read(struct arena *arena, const struct json *list, turns_message_fn *read,
                       const struct chat_turn *before, struct chat_request *q,
                       struct protocol_error *err)
{
    struct turns_place p = {.list = "messages"};
    struct chat_turn *turns = arena_alloc(arena, (list->count + (size_t)1) * sizeof(*turns),
                                          _Alignof(struct chat_turn));
    size_t n = 0;
    enum status st = ST_OK;

    if (turns == NULL)
        return ST_NOMEM;
    if (before != NULL)
        turns[n++] = *before;
    for (const struct json *m = list->child; st == ST_OK && m != NULL; m = m->next, p.index++)
        st = read(arena, m, q, &p, &turns[n++], err);
    if (st != ST_OK)
        return st;
    q->turns = turns;
    q->turn_count = n;
    if (span_eq(turns[n - 1].role, SPAN("user")) && !q->ends_in_tool_result)
        q->last_text = turns[n - 1].text;
    return ST_OK;
}
