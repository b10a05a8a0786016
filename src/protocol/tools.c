#include "protocol/tools.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "protocol/fields.h"
#include "protocol/protocol.h"

/* A function without parameters takes none. */
#define NO_PARAMETERS "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"

/* --- reading a request --------------------------------------------------------------------
 */

/* Does the schema say anything of members? Generators write an object with nothing in it for
 * a function without parameters. */
static bool describes_members(const struct json *schema)
{
    static const struct span told[] = {
        {"properties", 10}, {"$ref", 4},  {"anyOf", 5},
        {"oneOf", 5},       {"allOf", 5}, {"additionalProperties", 20},
    };

    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        if (fields_filled(json_get(schema, told[i])))
            return true;
    }
    return false;
}

/* false: a tool of another kind. */
static bool read_function(const struct json *tool, const struct tools_form *form,
                          struct chat_tool *out)
{
    const struct json *f = form->inside.len > 0 ? json_get(tool, form->inside) : tool;
    const struct json *parameters = json_get(f, form->parameters);
    struct span type = json_str(json_get(tool, SPAN("type")));

    /* Anthropic's own functions may have no type, or "custom"; its server's have other ones. */
    if (form->type.len > 0 && type.ptr != NULL && !span_eq(type, form->type))
        return false;
    *out = (struct chat_tool){.name = json_str(json_get(f, SPAN("name"))),
                              .description = json_str(json_get(f, SPAN("description"))),
                              .parameters = describes_members(parameters) ? parameters : NULL};
    return out->name.len > 0;
}

enum status tools_read(struct arena *arena, const struct json *list,
                       const struct tools_form *form, struct span name, struct chat_request *q)
{
    size_t room = list != NULL && list->type == JSON_ARRAY ? list->count : 0;
    struct chat_tool *tools = NULL;

    q->must_call_tool = true;
    q->tool_count = 0;
    if (room > 0) {
        tools = arena_alloc(arena, room * sizeof(*tools), _Alignof(struct chat_tool));
        if (tools == NULL)
            return ST_NOMEM;
        for (const struct json *t = list->child; t != NULL; t = t->next) {
            struct chat_tool *next = &tools[q->tool_count];

            if (read_function(t, form, next) && (name.len == 0 || span_eq(name, next->name)))
                q->tool_count++;
        }
    }
    q->tools = tools;
    if (q->tool_count == 0 && q->unsupported == NULL)
        q->unsupported = name.len == 0
                             ? "the built-in model calls functions; tools must have one where "
                               "tool_choice asks for a call"
                             : "the built-in model calls functions; tool_choice must name one "
                               "that is in tools";
    return ST_OK;
}

/* --- the schema --------------------------------------------------------------------------- */

static enum status put(struct buf *out, struct span s)
{
    return buf_append(out, s);
}

/* The place of a part of it becomes a place in ours. */
static enum status put_reference(struct buf *out, struct span to, struct span place)
{
    struct buf text;
    enum status st;

    buf_init(&text, SIZE_MAX / 4);
    st = put(&text, SPAN("#"));
    if (st == ST_OK)
        st = put(&text, place);
    if (st == ST_OK)
        st = put(&text, (struct span){to.ptr + 1, to.len - 1});
    if (st == ST_OK)
        st = json_write_string(out, buf_span(&text));
    buf_release(&text);
    return st;
}

/* As deep as the request was read at most. */
static enum status put_schema(struct buf *out, const struct json *v, struct span place)
{
    bool object = v->type == JSON_OBJECT;
    enum status st;

    if (span_eq(v->key, SPAN("$ref")) && v->type == JSON_STRING && v->text.len > 0 &&
        v->text.ptr[0] == '#')
        return put_reference(out, v->text, place);
    if (!object && v->type != JSON_ARRAY)
        return json_write(out, v);
    st = put(out, object ? SPAN("{") : SPAN("["));
    for (const struct json *m = v->child; st == ST_OK && m != NULL; m = m->next) {
        if (m != v->child)
            st = put(out, SPAN(","));
        if (st == ST_OK && object)
            st = json_write_string(out, m->key);
        if (st == ST_OK && object)
            st = put(out, SPAN(":"));
        if (st == ST_OK)
            st = put_schema(out, m, place);
    }
    return st == ST_OK ? put(out, object ? SPAN("}") : SPAN("]")) : st;
}

static enum status put_parameters(struct buf *out, const struct chat_tool *t, struct span place)
{
    return t->parameters == NULL ? put(out, SPAN(NO_PARAMETERS))
                                 : put_schema(out, t->parameters, place);
}

static enum status put_alternative(struct buf *out, const struct chat_tool *t, size_t i)
{
    struct buf place;
    enum status st;

    buf_init(&place, 128);
    st = buf_printf(&place, "/anyOf/%zu/properties/arguments", i);
    if (st == ST_OK)
        st = put(out, SPAN("{\"type\":\"object\",\"properties\":{\"name\":{\"const\":"));
    if (st == ST_OK)
        st = json_write_string(out, t->name);
    if (st == ST_OK)
        st = put(out, SPAN("},\"arguments\":"));
    if (st == ST_OK)
        st = put_parameters(out, t, buf_span(&place));
    if (st == ST_OK)
        st = put(out, SPAN("},\"required\":[\"name\",\"arguments\"],"
                           "\"additionalProperties\":false}"));
    buf_release(&place);
    return st;
}

static enum status put_alternatives(struct buf *out, const struct chat_request *q)
{
    enum status st = put(out, SPAN("{\"anyOf\":["));

    for (size_t i = 0; st == ST_OK && i < q->tool_count; i++) {
        if (i > 0)
            st = put(out, SPAN(","));
        if (st == ST_OK)
            st = put_alternative(out, &q->tools[i], i);
    }
    return st == ST_OK ? put(out, SPAN("]}")) : st;
}

enum status tools_schema(struct arena *arena, const struct chat_request *q,
                         const struct json **out)
{
    struct json_error why;
    struct json *parsed;
    struct buf text;
    enum status st;

    if (q->tool_count == 1 && q->tools[0].parameters != NULL) {
        *out = q->tools[0].parameters;
        return ST_OK;
    }
    buf_init(&text, SIZE_MAX / 4);
    st = q->tool_count == 1 ? put(&text, SPAN(NO_PARAMETERS)) : put_alternatives(&text, q);
    if (st == ST_OK)
        st = json_parse(arena, buf_span(&text), JSON_DEPTH_MAX, &parsed, &why);
    if (st == ST_OK)
        *out = parsed;
    buf_release(&text);
    return st;
}

/* --- what the model is told --------------------------------------------------------------- */

static enum status put_function(struct buf *out, const struct chat_tool *t)
{
    enum status st = put(out, t->name);

    if (st == ST_OK && t->description.len > 0)
        st = put(out, SPAN(": "));
    if (st == ST_OK)
        st = put(out, t->description);
    if (st == ST_OK)
        st = put(out, SPAN("\nIts arguments, as a JSON schema: "));
    if (st == ST_OK)
        st = put_parameters(out, t, (struct span){"", 0});
    return st == ST_OK ? put(out, SPAN("\n\n")) : st;
}

enum status tools_prompt(struct arena *arena, const struct chat_request *q, struct span *out)
{
    bool one = q->tool_count == 1;
    struct buf text;
    enum status st;

    buf_init(&text, SIZE_MAX / 4);
    st = put(&text,
             one ? SPAN("You answer by calling this function:\n\n")
                 : SPAN("You answer by calling the one of these functions that fits:\n\n"));
    for (size_t i = 0; st == ST_OK && i < q->tool_count; i++)
        st = put_function(&text, &q->tools[i]);
    if (st == ST_OK)
        st = put(&text, one ? SPAN("Write its arguments as JSON, and nothing else.")
                            : SPAN("Write JSON of the form {\"name\": \"the function\", "
                                   "\"arguments\": {…}}, and nothing else."));
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&text), out);
    buf_release(&text);
    return st;
}

/* --- the call ----------------------------------------------------------------------------- */

static enum status take_named(struct arena *arena, const struct json *root,
                              struct protocol_call *out)
{
    const struct json *arguments = json_get(root, SPAN("arguments"));
    struct buf text;
    enum status st;

    out->name = json_str(json_get(root, SPAN("name")));
    if (out->name.ptr == NULL || arguments == NULL)
        return ST_INVALID;
    buf_init(&text, SIZE_MAX / 4);
    st = json_write(&text, arguments);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&text), &out->arguments);
    buf_release(&text);
    return st;
}

enum status tools_call(struct arena *arena, const struct chat_request *q, struct span text,
                       struct protocol_call *out)
{
    struct json_error why;
    struct json *root;
    enum status st = json_parse(arena, text, JSON_DEPTH_MAX, &root, &why);

    if (st != ST_OK)
        return st == ST_NOMEM ? st : ST_INVALID;
    if (q->tool_count > 1)
        return take_named(arena, root, out);
    out->name = q->tools[0].name;
    out->arguments = text;
    return ST_OK;
}
