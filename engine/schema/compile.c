/* From JSON to nodes. What is referred to becomes a node once, so that a schema may refer to
 * itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/schema/compiler.h"
#include "engine/schema/keywords.h"
#include "engine/schema/pointer.h"
#include "engine/schema/scalar.h"

#define BYTES_MAX   (4 * 1024 * 1024) /* of the nodes */
#define DEPTH_MAX   64                /* of the schema's own nesting */
#define KNOWN_MAX   SCHEMA_NODES_MAX
#define CHOICES_MAX 64 /* of which only one may hold */

/* --- arrays and objects ------------------------------------------------------------------- */

static uint32_t compile(struct compiler *c, const struct json *schema, const char *name);

static uint32_t compile_array(struct compiler *c, const struct json *schema)
{
    const struct json *items = json_get(schema, SPAN("items")),
                      *first = json_get(schema, SPAN("prefixItems"));
    struct schema_node n = {.kind = SCHEMA_ARRAY};
    uint32_t at = 0, *list = NULL;

    n.as.array.rest = items == NULL ? SCHEMA_ANY : SCHEMA_ENDLESS;
    if (first != NULL && first->type != JSON_ARRAY)
        return compiler_refuse(c, ST_INVALID, "prefixItems", "must be an array");
    if (first != NULL && (list = compiler_allot(c, first->count, sizeof(*list))) != NULL) {
        for (const struct json *v = first->child; v != NULL && c->st == ST_OK; v = v->next)
            list[at++] = compile(c, v, "prefixItems");
    }
    if (items != NULL && items->type != JSON_FALSE)
        n.as.array.rest = compile(c, items, "items");
    n.as.array.first = list;
    n.as.array.first_count = at;
    n.as.array.least = compiler_count(c, schema, "minItems", 0);
    n.as.array.most = compiler_count(c, schema, "maxItems", COMPILER_ITEMS_MAX);
    if (n.as.array.rest == SCHEMA_ENDLESS && n.as.array.most > at)
        n.as.array.most = at;
    if (n.as.array.most < n.as.array.least)
        return compiler_refuse(c, ST_INVALID, "minItems",
                               "asks for more items than there may be");
    return compiler_add(c, n);
}

static bool is_required(const struct json *required, struct span key)
{
    for (const struct json *v = required != NULL ? required->child : NULL; v != NULL;
         v = v->next) {
        if (v->type == JSON_STRING && span_eq(v->text, key))
            return true;
    }
    return false;
}

static struct span key_text(struct compiler *c, struct span key)
{
    const struct json v = {.type = JSON_STRING, .text = key};

    return compiler_write(c, &v);
}

/* Members that must be there but are not described: as other members. */
static void add_undescribed(struct compiler *c, const struct json *required,
                            const struct json *properties, uint32_t other,
                            struct schema_node *n)
{
    for (const struct json *v = required != NULL ? required->child : NULL; v != NULL;
         v = v->next) {
        struct schema_member *m = &n->as.object.members[n->as.object.count];

        if (v->type != JSON_STRING || json_get(properties, v->text) != NULL || c->st != ST_OK)
            continue;
        if (other == SCHEMA_ENDLESS) {
            compiler_refuse(c, ST_INVALID, "required",
                            "names a property that additionalProperties forbids");
            return;
        }
        *m = (struct schema_member){key_text(c, v->text), other, true};
        n->as.object.count++;
    }
}

static uint32_t compile_object(struct compiler *c, const struct json *schema)
{
    const struct json *properties = json_get(schema, SPAN("properties")),
                      *required = json_get(schema, SPAN("required")),
                      *more = json_get(schema, SPAN("additionalProperties"));
    struct schema_node n = {.kind = SCHEMA_OBJECT};
    struct schema_member *list;
    uint32_t other = more == NULL ? SCHEMA_ANY : SCHEMA_ENDLESS;

    if ((properties != NULL && properties->type != JSON_OBJECT) ||
        (required != NULL && required->type != JSON_ARRAY))
        return compiler_refuse(c, ST_INVALID, "properties",
                               "must be an object, and required an array");
    if (required != NULL && required->count > COMPILER_LIST_MAX)
        return compiler_refuse(c, ST_LIMIT, "required", "has more than 4096 names");
    if (more != NULL && more->type != JSON_FALSE)
        other = compile(c, more, "additionalProperties");
    list = compiler_allot(c,
                          (properties != NULL ? properties->count : 0) +
                              (required != NULL ? required->count : 0),
                          sizeof(*list));
    n.as.object.members = list;
    for (const struct json *v = properties != NULL ? properties->child : NULL;
         v != NULL && c->st == ST_OK; v = v->next) {
        char name[128];
        uint32_t node;

        (void)snprintf(name, sizeof(name), "properties/%.*s",
                       (int)(v->key.len < 100 ? v->key.len : 100), v->key.ptr);
        node = compile(c, v, name);
        list[n.as.object.count++] =
            (struct schema_member){key_text(c, v->key), node, is_required(required, v->key)};
    }
    add_undescribed(c, required, properties, other, &n);
    n.as.object.other = n.as.object.count == 0 ? other : SCHEMA_ENDLESS;
    for (uint32_t i = 0; i < n.as.object.count; i++) {
        if (n.as.object.members[i].required)
            n.as.object.needed = i + 1;
    }
    return compiler_add(c, n);
}

/* --- one of several ------------------------------------------------------------------------
 */

static uint32_t compile_list(struct compiler *c, const struct json *list, const char *key)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    if (list->type != JSON_ARRAY || list->count == 0)
        return compiler_refuse(c, ST_INVALID, key, "must be an array with a schema");
    if (strcmp(key, "oneOf") == 0 && list->count > CHOICES_MAX)
        return compiler_refuse(c, ST_LIMIT, "oneOf", "has more than 64 schemas");
    n.as.any_of.list = compiler_allot(c, list->count, sizeof(uint32_t));
    for (const struct json *v = list->child; v != NULL && c->st == ST_OK; v = v->next)
        n.as.any_of.list[n.as.any_of.count++] = compile(c, v, key);
    if (strcmp(key, "oneOf") != 0)
        return compiler_add(c, n);
    for (uint32_t i = 0; i < n.as.any_of.count && c->st == ST_OK; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!schema_differ(c->s, n.as.any_of.list[i], n.as.any_of.list[k]))
                return compiler_refuse(
                    c, ST_INVALID, "oneOf",
                    "has schemas that may both hold, which is not supported; anyOf is");
        }
    }
    return compiler_add(c, n);
}

/* --- one schema ----------------------------------------------------------------------------
 */

static bool check_keywords(struct compiler *c, const struct json *schema)
{
    struct span key = keywords_unknown(schema);
    char name[64];

    if (key.ptr == NULL)
        return true;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(key.len < 60 ? key.len : 60), key.ptr);
    compiler_refuse(c, ST_INVALID, name, "is a keyword that is not supported");
    return false;
}

static uint32_t compile_type(struct compiler *c, const struct json *schema, struct span type)
{
    if (span_eq(type, SPAN("object")))
        return compile_object(c, schema);
    if (span_eq(type, SPAN("array")))
        return compile_array(c, schema);
    if (span_eq(type, SPAN("string")))
        return scalar_string(c, schema);
    if (span_eq(type, SPAN("integer")))
        return scalar_number(c, schema, true);
    if (span_eq(type, SPAN("number")))
        return scalar_number(c, schema, false);
    if (span_eq(type, SPAN("boolean")))
        return compiler_add_texts(c, "false", "true");
    if (span_eq(type, SPAN("null")))
        return compiler_add_texts(c, "null", NULL);
    return compiler_refuse(c, ST_INVALID, "type",
                           "is none of object, array, string, integer, number, boolean, null");
}

static uint32_t compile_types(struct compiler *c, const struct json *schema,
                              const struct json *types)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    n.as.any_of.list = compiler_allot(c, types->count, sizeof(uint32_t));
    for (const struct json *v = types->child; v != NULL && c->st == ST_OK; v = v->next)
        n.as.any_of.list[n.as.any_of.count++] = compile_type(c, schema, json_str(v));
    if (n.as.any_of.count == 0)
        return compiler_refuse(c, ST_INVALID, "type", "names no type");
    return compiler_add(c, n);
}

static uint32_t compile_choice(struct compiler *c, const struct json *schema,
                               const char *choice)
{
    const struct json *v = json_get(schema, span_of(choice));
    struct span *one;

    if (!keywords_stand_alone(schema, choice))
        return compiler_refuse(c, ST_INVALID, choice, "beside other keywords is not supported");
    if (!keywords_type_agrees(schema, choice))
        return compiler_refuse(c, ST_INVALID, "type",
                               "beside a choice that has another is not supported");
    if (strcmp(choice, "enum") == 0)
        return scalar_enum(c, v);
    if (strcmp(choice, "const") == 0) {
        one = compiler_allot(c, 1, sizeof(*one));
        if (one != NULL)
            *one = compiler_write(c, v);
        return compiler_add_literals(c, one, 1);
    }
    if (strcmp(choice, "$ref") == 0) {
        const struct json *to = pointer_resolve(c->root, json_str(v));

        if (to == NULL)
            return compiler_refuse(c, ST_INVALID, "$ref", "leads to nothing within the schema");
        return compile(c, to, "$ref");
    }
    if (strcmp(choice, "allOf") == 0) {
        if (v->type != JSON_ARRAY || v->count != 1)
            return compiler_refuse(c, ST_INVALID, "allOf",
                                   "of several schemas is not supported");
        return compile(c, v->child, "allOf");
    }
    return compile_list(c, v, choice);
}

static uint32_t compile_kind(struct compiler *c, const struct json *schema)
{
    const struct json *type = json_get(schema, SPAN("type"));
    const char *choice = keywords_choice(schema);
    struct span implied;

    if (choice != NULL)
        return compile_choice(c, schema, choice);
    if (type == NULL) {
        implied = keywords_type(schema);
        return implied.ptr != NULL ? compile_type(c, schema, implied) : SCHEMA_ANY;
    }
    return type->type == JSON_ARRAY ? compile_types(c, schema, type)
                                    : compile_type(c, schema, json_str(type));
}

/* {"nullable": true} of OpenAPI. */
static uint32_t or_null(struct compiler *c, uint32_t node)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    n.as.any_of.list = compiler_allot(c, 2, sizeof(uint32_t));
    if (c->st != ST_OK)
        return SCHEMA_ANY;
    n.as.any_of.list[0] = node;
    n.as.any_of.list[1] = compiler_add_texts(c, "null", NULL);
    n.as.any_of.count = 2;
    return compiler_add(c, n);
}

static uint32_t compile_object_schema(struct compiler *c, const struct json *schema)
{
    /* A place for those within it that refer to it: one of one, which is known at the end. */
    struct schema_node n = {.kind = SCHEMA_ANY_OF};
    uint32_t place, node;
    bool nullable = false;

    n.as.any_of.list = compiler_allot(c, 1, sizeof(uint32_t));
    place = compiler_add(c, n);
    if (c->st != ST_OK)
        return SCHEMA_ANY;
    c->known[c->known_count++] = (struct compiler_known){schema, place};
    node = check_keywords(c, schema) ? compile_kind(c, schema) : SCHEMA_ANY;
    if (json_bool(json_get(schema, SPAN("nullable")), &nullable) && nullable)
        node = or_null(c, node);
    if (c->st == ST_OK) {
        c->s->nodes[place].as.any_of.list[0] = node;
        c->s->nodes[place].as.any_of.count = 1;
    }
    return place;
}

static uint32_t compile(struct compiler *c, const struct json *schema, const char *name)
{
    size_t len = strlen(c->path);
    uint32_t node;

    if (c->st != ST_OK)
        return SCHEMA_ANY;
    for (uint32_t i = 0; i < c->known_count; i++) {
        if (c->known[i].json == schema)
            return c->known[i].node;
    }
    if (schema->type == JSON_TRUE)
        return SCHEMA_ANY;
    if (name[0] != '\0')
        (void)snprintf(c->path + len, sizeof(c->path) - len, "/%s", name);
    if (schema->type != JSON_OBJECT)
        node = compiler_refuse(c, ST_INVALID, name, "must be a schema: an object, or true");
    else if (++c->depth > DEPTH_MAX)
        node = compiler_refuse(c, ST_LIMIT, name, "is too deep");
    else
        node = compile_object_schema(c, schema);
    c->depth--;
    c->path[len] = '\0';
    return node;
}

/* --- all ------------------------------------------------------------------------------------
 */

/* Of the nodes behind `node`, those that are no choice themselves, each once. */
static void flatten(struct compiler *c, uint32_t node, bool *seen, uint32_t *list,
                    uint32_t *count)
{
    const struct schema_node *n = &c->s->nodes[node];

    if (seen[node])
        return;
    seen[node] = true;
    if (n->kind != SCHEMA_ANY_OF) {
        list[(*count)++] = node;
        return;
    }
    for (uint32_t i = 0; i < n->as.any_of.count; i++)
        flatten(c, n->as.any_of.list[i], seen, list, count);
}

static void flatten_all(struct compiler *c)
{
    bool *seen = compiler_allot(c, SCHEMA_NODES_MAX, sizeof(*seen));
    uint32_t *list = compiler_allot(c, SCHEMA_NODES_MAX, sizeof(*list));

    for (uint32_t i = 0; i < c->s->count && c->st == ST_OK; i++) {
        struct schema_node *n = &c->s->nodes[i];
        uint32_t count = 0;

        if (n->kind != SCHEMA_ANY_OF)
            continue;
        memset(seen, 0, SCHEMA_NODES_MAX * sizeof(*seen));
        flatten(c, i, seen, list, &count);
        n->as.any_of.list = compiler_allot(c, count, sizeof(*list));
        n->as.any_of.count = count;
        if (c->st == ST_OK)
            memcpy(n->as.any_of.list, list, count * sizeof(*list));
    }
}

/* A key, and any value. */
static void add_builtin(struct compiler *c)
{
    struct schema_node key = {.kind = SCHEMA_STRING,
                              .as.string = {0, COMPILER_ITEMS_MAX, NULL}};
    struct schema_node any = {.kind = SCHEMA_ANY_OF};
    struct schema_node array = {.kind = SCHEMA_ARRAY,
                                .as.array = {.rest = SCHEMA_ANY, .most = COMPILER_ITEMS_MAX}};
    struct schema_node object = {.kind = SCHEMA_OBJECT, .as.object = {.other = SCHEMA_ANY}};
    uint32_t *list = compiler_allot(c, 6, sizeof(*list));
    const struct json nothing = {.type = JSON_OBJECT};

    any.as.any_of.list = list;
    (void)compiler_add(c, key);
    (void)compiler_add(c, any);
    if (c->st != ST_OK)
        return;
    list[0] = compiler_add(c, object);
    list[1] = compiler_add(c, array);
    list[2] = SCHEMA_KEY;
    list[3] = scalar_number(c, &nothing, false);
    list[4] = compiler_add_texts(c, "false", "true");
    list[5] = compiler_add_texts(c, "null", NULL);
    c->s->nodes[SCHEMA_ANY].as.any_of.count = 6;
}

static void compile_all(struct compiler *c)
{
    struct schema *s = c->s;

    s->nodes = compiler_allot(c, SCHEMA_NODES_MAX, sizeof(*s->nodes));
    c->known = compiler_allot(c, KNOWN_MAX, sizeof(*c->known));
    if (c->st != ST_OK)
        return;
    add_builtin(c);
    /* Any object: the third of those. */
    s->root = c->root != NULL ? compile(c, c->root, "") : 2;
    flatten_all(c);
    if (c->st != ST_OK)
        return;
    schema_measure(s);
    if (s->nodes[s->root].least == SCHEMA_ENDLESS || s->nodes[s->root].depth > SCHEMA_DEPTH_MAX)
        compiler_refuse(c, ST_INVALID, "schema", "has no valid text that ends");
}

enum status schema_open(const struct json *json, struct schema **out, struct schema_error *err)
{
    struct schema *s = calloc(1, sizeof(*s));
    struct compiler c = {
        .s = s, .root = json, .path = "#", .pattern_steps = PATTERN_STEPS_MAX, .err = err};

    *out = NULL;
    (void)snprintf(err->text, sizeof(err->text), "no memory is left for the schema");
    if (s == NULL)
        return ST_NOMEM;
    arena_init(&s->arena, 64 * 1024, BYTES_MAX);
    compile_all(&c);
    if (c.st != ST_OK) {
        schema_close(s);
        return c.st;
    }
    *out = s;
    return ST_OK;
}

void schema_close(struct schema *s)
{
    if (s == NULL)
        return;
    while (s->patterns != NULL) {
        struct pattern *next = s->patterns->next;

        pattern_close(s->patterns);
        s->patterns = next;
    }
    arena_release(&s->arena);
    free(s);
}
