#include "protocol/fields.h"

#include <stdio.h>

#include "base/json.h"
#include "protocol/protocol.h"

#define TEXTS_MAX  16
#define INPUTS_MAX 2048 /* of OpenAI */

enum status fields_parse(struct arena *arena, const struct protocol_request *in,
                         struct json **root, struct protocol_error *err)
{
    struct json_error why;
    enum status st;

    *err = (struct protocol_error){{0}, {0}};
    if (in->body.len == 0) {
        snprintf(err->message, sizeof(err->message), "the body is empty; it must be JSON");
        return ST_INVALID;
    }
    st = json_parse(arena, in->body, in->depth_max, root, &why);
    if (st != ST_OK) {
        snprintf(err->message, sizeof(err->message), "the body is not usable: %s", why.text);
        return st == ST_LIMIT ? ST_INVALID : st;
    }
    if ((*root)->type != JSON_OBJECT) {
        snprintf(err->message, sizeof(err->message), "the body must be a JSON object");
        return ST_INVALID;
    }
    return ST_OK;
}

enum status fields_refuse(struct protocol_error *err, const char *param, const char *expected)
{
    snprintf(err->param, sizeof(err->param), "%s", param);
    snprintf(err->message, sizeof(err->message), "'%s' %s", param, expected);
    return ST_INVALID;
}

const struct json *fields_get(const struct json *body, struct span name)
{
    const struct json *v = json_get(body, name);

    return v != NULL && v->type == JSON_NULL ? NULL : v;
}

enum status fields_read_text(const struct json *body, struct span name, struct span *out,
                             struct protocol_error *err)
{
    const struct json *v = fields_get(body, name);

    if (v == NULL)
        return ST_OK;
    if (v->type != JSON_STRING)
        return fields_refuse(err, name.ptr, "must be a string");
    *out = v->text;
    return ST_OK;
}

enum status fields_read_number(const struct json *body, struct span name, bool *has,
                               double *out, struct protocol_error *err)
{
    const struct json *v = fields_get(body, name);

    if (v == NULL)
        return ST_OK;
    if (v->type != JSON_NUMBER)
        return fields_refuse(err, name.ptr, "must be a number");
    *has = json_double(v, out);
    return ST_OK;
}

enum status fields_read_count(const struct json *body, struct span name, bool *has,
                              uint64_t *out, struct protocol_error *err)
{
    const struct json *v = fields_get(body, name);

    if (v == NULL)
        return ST_OK;
    if (v->type != JSON_NUMBER)
        return fields_refuse(err, name.ptr, "must be a number");
    *has = json_u64(v, out);
    return ST_OK;
}

enum status fields_read_flag(const struct json *body, struct span name, bool *out,
                             struct protocol_error *err)
{
    const struct json *v = fields_get(body, name);

    if (v != NULL && !json_bool(v, out))
        return fields_refuse(err, name.ptr, "must be true or false");
    return ST_OK;
}

enum status fields_texts(struct arena *arena, const struct json *body, const char *name,
                         const struct span **out, size_t *count, struct protocol_error *err)
{
    const struct json *v = fields_get(body, span_of(name));
    struct span *list;
    size_t n = 0;

    if (v == NULL)
        return ST_OK;
    list = arena_alloc(arena, TEXTS_MAX * sizeof(*list), _Alignof(struct span));
    if (list == NULL)
        return ST_NOMEM;
    if (v->type == JSON_STRING) {
        list[n++] = v->text;
    } else if (v->type == JSON_ARRAY && v->count <= TEXTS_MAX) {
        for (const struct json *s = v->child; s != NULL; s = s->next) {
            if (s->type != JSON_STRING)
                return fields_refuse(err, name, "must be a string or an array of strings");
            list[n++] = s->text;
        }
    } else {
        return fields_refuse(err, name, "must be a string or an array of at most 16 strings");
    }
    *out = list;
    *count = n;
    return ST_OK;
}

enum status fields_inputs(struct arena *arena, const struct json *v, const struct span **out,
                          size_t *count)
{
    size_t n = v == NULL ? 0 : v->type == JSON_ARRAY ? v->count : 1;
    struct span *list;

    *count = 0;
    if (n == 0 || n > INPUTS_MAX || (v->type != JSON_STRING && v->type != JSON_ARRAY))
        return ST_OK;
    list = arena_alloc(arena, n * sizeof(*list), _Alignof(struct span));
    if (list == NULL)
        return ST_NOMEM;
    n = 0;
    for (const struct json *x = v->type == JSON_ARRAY ? v->child : v; x != NULL;
         x = v->type == JSON_ARRAY ? x->next : NULL) {
        if (x->type != JSON_STRING)
            return ST_OK;
        list[n++] = x->text;
    }
    *out = list;
    *count = n;
    return ST_OK;
}

bool fields_filled(const struct json *v)
{
    switch (v != NULL ? v->type : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return v->text.len > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return v->count > 0;
    case JSON_TRUE:
    case JSON_NUMBER:
        break;
    }
    return true;
}
