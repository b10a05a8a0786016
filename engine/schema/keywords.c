#include "engine/schema/keywords.h"

#include <string.h>

#include "engine/schema/number.h"

static const struct {
    const char *name;
    const char *type; /* which values it speaks of; NULL: any */
    bool narrows;     /* what is valid: not beside a choice */
} keywords[] = {
    {"properties", "object", true},
    {"required", "object", true},
    {"additionalProperties", "object", true},
    {"items", "array", true},
    {"prefixItems", "array", true},
    {"minItems", "array", true},
    {"maxItems", "array", true},
    {"pattern", "string", true},
    {"format", "string", true},
    {"minLength", "string", true},
    {"maxLength", "string", true},
    {"minimum", "number", true},
    {"maximum", "number", true},
    {"exclusiveMinimum", "number", true},
    {"exclusiveMaximum", "number", true},
    {"multipleOf", "number", true},
    {"$ref", NULL, true},
    {"enum", NULL, true},
    {"const", NULL, true},
    {"anyOf", NULL, true},
    {"oneOf", NULL, true},
    {"allOf", NULL, true},
    {"type", NULL, false}, /* beside enum and const it says what they show */
    {"$defs", NULL, false},
    {"definitions", NULL, false},
    {"nullable", NULL, false},
    {"title", NULL, false},
    {"description", NULL, false},
    {"default", NULL, false},
    {"example", NULL, false},
    {"examples", NULL, false},
    {"$schema", NULL, false},
    {"$id", NULL, false},
    {"$comment", NULL, false},
    {"deprecated", NULL, false},
    {"readOnly", NULL, false},
    {"writeOnly", NULL, false},
    {"discriminator", NULL, false},
    {"propertyOrdering", NULL, false},
    {"strict", NULL, false},
};

static bool is_known(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (span_eq(key, span_of(keywords[i].name)))
            return true;
    }
    return key.len > 2 && key.ptr[0] == 'x' && key.ptr[1] == '-';
}

struct span keywords_unknown(const struct json *schema)
{
    for (const struct json *v = schema->child; v != NULL; v = v->next) {
        if (!is_known(v->key) &&
            !(span_eq(v->key, SPAN("uniqueItems")) && v->type == JSON_FALSE))
            return v->key;
    }
    return (struct span){NULL, 0};
}

const char *keywords_choice(const struct json *schema)
{
    static const char *const keys[] = {"$ref", "enum", "const", "anyOf", "oneOf", "allOf"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (json_get(schema, span_of(keys[i])) != NULL)
            return keys[i];
    }
    return NULL;
}

bool keywords_stand_alone(const struct json *schema, const char *choice)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (keywords[i].narrows && strcmp(keywords[i].name, choice) != 0 &&
            json_get(schema, span_of(keywords[i].name)) != NULL)
            return false;
    }
    return true;
}

struct span keywords_type(const struct json *schema)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (keywords[i].type != NULL && json_get(schema, span_of(keywords[i].name)) != NULL)
            return span_of(keywords[i].type);
    }
    return (struct span){NULL, 0};
}

/* Has a value a type, by its name in a schema? 1.0 is an integer as well. */
static bool has_type(const struct json *v, struct span type)
{
    if (span_eq(type, SPAN("integer")))
        return v->type == JSON_NUMBER && number_decimals_of(v->text) == 0;
    if (span_eq(type, SPAN("boolean")))
        return v->type == JSON_TRUE || v->type == JSON_FALSE;
    return span_eq(type, span_of(json_type_name(v->type)));
}

static bool has_one_type(const struct json *v, const struct json *types)
{
    if (types->type != JSON_ARRAY)
        return has_type(v, json_str(types));
    for (const struct json *t = types->child; t != NULL; t = t->next) {
        if (has_type(v, json_str(t)))
            return true;
    }
    return false;
}

bool keywords_type_agrees(const struct json *schema, const char *choice)
{
    const struct json *types = json_get(schema, SPAN("type")),
                      *v = json_get(schema, span_of(choice));

    if (types == NULL)
        return true;
    if (strcmp(choice, "const") == 0)
        return has_one_type(v, types);
    if (strcmp(choice, "enum") != 0 || v->type != JSON_ARRAY)
        return false;
    for (v = v->child; v != NULL; v = v->next) {
        if (!has_one_type(v, types))
            return false;
    }
    return true;
}
