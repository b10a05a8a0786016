/* From JSON to nodes. What is referred to becomes a node once, so that a schema may refer to
 * itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/schema/nodes.h"

#define BYTES_MAX    (4 * 1024 * 1024) /* of the nodes */
#define DEPTH_MAX    64                /* of the schema's own nesting */
#define KNOWN_MAX    SCHEMA_NODES_MAX
#define PATTERNS_MAX 32
#define LIST_MAX     4096 /* values of an enum, required members */
#define CHOICES_MAX  64   /* of which only one may hold */
#define ITEMS_MAX    UINT32_MAX

/* What stands where, while it becomes a node: for references, some of them to itself. */
struct known {
    const struct json *json;
    uint32_t node;
};

struct compiler {
    struct schema *s;
    const struct json *root;
    struct known *known;
    uint32_t known_count, patterns, pattern_steps; /* steps: that are left */
    unsigned depth;
    char path[160]; /* where we are, for errors */
    struct schema_error *err;
    enum status st;
};

static uint32_t refuse(struct compiler *c, enum status st, const char *what, const char *why)
{
    if (c->st == ST_OK) {
        c->st = st;
        (void)snprintf(c->err->text, sizeof(c->err->text), "'%.60s' at %.140s %s", what,
                       c->path, why);
    }
    return SCHEMA_ANY;
}

static void *allot(struct compiler *c, size_t n, size_t size)
{
    void *p = arena_alloc(&c->s->arena, (n > 0 ? n : 1) * size, 16);

    if (p == NULL)
        refuse(c, ST_LIMIT, "schema", "is too large");
    else
        memset(p, 0, (n > 0 ? n : 1) * size);
    return p;
}

static uint32_t add(struct compiler *c, struct schema_node n)
{
    if (c->s->count == SCHEMA_NODES_MAX)
        return refuse(c, ST_LIMIT, "schema", "has too many parts");
    n.least = n.depth = SCHEMA_ENDLESS;
    c->s->nodes[c->s->count] = n;
    return c->s->count++;
}

/* --- literals ----------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return span_order(*(const struct span *)a, *(const struct span *)b);
}

static uint32_t add_literals(struct compiler *c, struct span *list, uint32_t count)
{
    struct schema_node n = {.kind = SCHEMA_LITERALS};
    uint32_t kept = 0;

    if (c->st != ST_OK)
        return SCHEMA_ANY;
    qsort(list, count, sizeof(*list), by_bytes);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !span_eq(list[kept - 1], list[i]))
            list[kept++] = list[i];
    }
    n.as.literals.list = list;
    n.as.literals.count = kept;
    return add(c, n);
}

static struct span written(struct compiler *c, const struct json *v)
{
    struct span text = {"", 0};
    struct buf b;

    buf_init(&b, 64 * 1024);
    if (json_write(&b, v) != ST_OK || arena_copy(&c->s->arena, buf_span(&b), &text) != ST_OK)
        refuse(c, ST_LIMIT, "enum", "is too large");
    buf_release(&b);
    return text;
}

static uint32_t compile_enum(struct compiler *c, const struct json *values)
{
    struct span *list =
        values->type == JSON_ARRAY ? allot(c, values->count, sizeof(*list)) : NULL;
    uint32_t n = 0;

    if (values->type != JSON_ARRAY || values->count == 0)
        return refuse(c, ST_INVALID, "enum", "must be an array with a value");
    if (values->count > LIST_MAX)
        return refuse(c, ST_LIMIT, "enum", "has more than 4096 values");
    for (const struct json *v = values->child; v != NULL && c->st == ST_OK; v = v->next)
        list[n++] = written(c, v);
    return add_literals(c, list, n);
}

static uint32_t add_texts(struct compiler *c, const char *a, const char *b)
{
    struct span *list = allot(c, 2, sizeof(*list));
    uint32_t n = 0;

    if (c->st != ST_OK)
        return SCHEMA_ANY;
    list[n++] = span_of(a);
    if (b != NULL)
        list[n++] = span_of(b);
    return add_literals(c, list, n);
}

/* --- numbers and strings ------------------------------------------------------------------ */

/* A count, or `other` if it is absent. */
static uint32_t count_of(struct compiler *c, const struct json *schema, const char *key,
                         uint32_t other)
{
    const struct json *v = json_get(schema, span_of(key));
    uint64_t n;

    if (v == NULL)
        return other;
    if (!json_u64(v, &n) || n >= ITEMS_MAX) {
        refuse(c, ST_INVALID, key, "must be a whole number that is not negative");
        return other;
    }
    return (uint32_t)n;
}

/* The number of a keyword; NULL: it is absent, or not one. */
static const struct json *bound(struct compiler *c, const struct json *schema, const char *key)
{
    const struct json *v = json_get(schema, span_of(key));

    if (v != NULL && v->type != JSON_NUMBER) {
        /* Draft 4 wrote true beside a bound. */
        refuse(c, ST_INVALID, key, "must be a number");
        return NULL;
    }
    return v;
}

static number_units bound_units(const struct json *v, unsigned decimals, bool up,
                                bool exclusive)
{
    number_units n = number_units_of(v->text, decimals, up), other;

    if (!exclusive)
        return n;
    /* Rounded, it is another number already. */
    other = number_units_of(v->text, decimals, !up);
    return n != other ? n : up ? n + 1 : n - 1;
}

static void set_bounds(struct compiler *c, const struct json *schema, struct number_range *r)
{
    static const struct {
        const char *key;
        bool least, exclusive;
    } bounds[] = {{"minimum", true, false},
                  {"exclusiveMinimum", true, true},
                  {"maximum", false, false},
                  {"exclusiveMaximum", false, true}};

    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        const struct json *v = bound(c, schema, bounds[i].key);
        number_units n;

        if (v == NULL)
            continue;
        n = bound_units(v, r->decimals, bounds[i].least, bounds[i].exclusive);
        if (bounds[i].least && n > r->least)
            r->least = n;
        else if (!bounds[i].least && n < r->most)
            r->most = n;
    }
}

static uint32_t compile_number(struct compiler *c, const struct json *schema, bool whole)
{
    const struct json *multiple = bound(c, schema, "multipleOf");
    struct schema_node n = {.kind = SCHEMA_NUMBER};
    struct number_range *r = &n.as.number;
    struct span all = SPAN("1e99");

    r->decimals = whole ? 0 : NUMBER_DECIMALS;
    r->step = 1;
    if (multiple != NULL) {
        unsigned decimals = number_decimals_of(multiple->text);

        if (decimals > NUMBER_DECIMALS || multiple->text.ptr[0] == '-' ||
            (whole && decimals > 0))
            return refuse(c, ST_INVALID, "multipleOf",
                          "is not supported: it has too many decimals, or is negative");
        r->decimals = whole ? 0 : decimals;
        r->step = number_units_of(multiple->text, r->decimals, false);
        if (r->step == 0)
            return refuse(c, ST_INVALID, "multipleOf", "must be larger than 0");
    }
    r->most = number_units_of(all, r->decimals, false);
    r->least = -r->most;
    set_bounds(c, schema, r);
    if (!number_range_has(r))
        return refuse(c, ST_INVALID, "minimum", "and the other bounds leave no number");
    return add(c, n);
}

/* As RFC 3339, 4122, 1123 and 5321 have them, the plain part of it. */
static const char *format_pattern(struct span format)
{
#define DATE  "[12]\\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])"
#define TIME  "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[a-z0-9]{1,20}(-[a-z0-9]{1,20})?"
#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
    static const char *const list[][2] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"duration", "^P(\\d{1,4}W|\\d{1,4}D(T\\d{1,4}H)?|T\\d{1,4}[HMS])$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
        {"email",
         "^[A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30})?@" LABEL "(\\." LABEL "){1,2}$"},
        {"hostname", "^" LABEL "(\\." LABEL "){0,3}$"},
        {"ipv4", "^" OCTET "(\\." OCTET "){3}$"},
        {"ipv6", "^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$"},
        {"uri", "^https?://" LABEL "(\\." LABEL "){1,2}(/[A-Za-z0-9_.~-]{0,30}){0,4}$"},
    };

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        if (span_eq(format, span_of(list[i][0])))
            return list[i][1];
    }
    return NULL;
}

static const struct pattern *compile_pattern(struct compiler *c, struct span text,
                                             const char *key)
{
    struct pattern *p;
    const char *why;
    enum status st;

    if (c->patterns++ == PATTERNS_MAX) {
        refuse(c, ST_LIMIT, key, "is one of too many patterns");
        return NULL;
    }
    st = pattern_open(text, &c->pattern_steps, &p, &why);
    if (st != ST_OK) {
        refuse(c, st, key, why);
        return NULL;
    }
    p->next = c->s->patterns;
    c->s->patterns = p;
    return p;
}

static uint32_t compile_string(struct compiler *c, const struct json *schema)
{
    const struct json *pattern = json_get(schema, SPAN("pattern")),
                      *format = json_get(schema, SPAN("format"));
    struct schema_node n = {.kind = SCHEMA_STRING};
    const char *known;

    n.as.string.least = count_of(c, schema, "minLength", 0);
    n.as.string.most = count_of(c, schema, "maxLength", ITEMS_MAX);
    if (n.as.string.most < n.as.string.least)
        return refuse(c, ST_INVALID, "maxLength", "is less than minLength");
    if (pattern == NULL && format == NULL)
        return add(c, n);
    if (pattern != NULL && format != NULL)
        return refuse(c, ST_INVALID, "pattern", "beside format is not supported");
    if (n.as.string.least > 0 || n.as.string.most != ITEMS_MAX)
        return refuse(
            c, ST_INVALID, pattern != NULL ? "pattern" : "format",
            "beside minLength or maxLength is not supported; write {m,n} into the pattern");
    if (pattern != NULL) {
        n.as.string.pattern = compile_pattern(c, json_str(pattern), "pattern");
    } else {
        known = format_pattern(json_str(format));
        if (known == NULL)
            return refuse(c, ST_INVALID, "format",
                          "is not one of date, time, date-time, duration, uuid, email, "
                          "hostname, ipv4, ipv6, uri");
        n.as.string.pattern = compile_pattern(c, span_of(known), "format");
    }
    return add(c, n);
}

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
        return refuse(c, ST_INVALID, "prefixItems", "must be an array");
    if (first != NULL && (list = allot(c, first->count, sizeof(*list))) != NULL) {
        for (const struct json *v = first->child; v != NULL && c->st == ST_OK; v = v->next)
            list[at++] = compile(c, v, "prefixItems");
    }
    if (items != NULL && items->type != JSON_FALSE)
        n.as.array.rest = compile(c, items, "items");
    n.as.array.first = list;
    n.as.array.first_count = at;
    n.as.array.least = count_of(c, schema, "minItems", 0);
    n.as.array.most = count_of(c, schema, "maxItems", ITEMS_MAX);
    if (n.as.array.rest == SCHEMA_ENDLESS && n.as.array.most > at)
        n.as.array.most = at;
    if (n.as.array.most < n.as.array.least)
        return refuse(c, ST_INVALID, "minItems", "asks for more items than there may be");
    return add(c, n);
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

    return written(c, &v);
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
            refuse(c, ST_INVALID, "required",
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
        return refuse(c, ST_INVALID, "properties", "must be an object, and required an array");
    if (required != NULL && required->count > LIST_MAX)
        return refuse(c, ST_LIMIT, "required", "has more than 4096 names");
    if (more != NULL && more->type != JSON_FALSE)
        other = compile(c, more, "additionalProperties");
    list = allot(c,
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
    return add(c, n);
}

/* --- one of several ------------------------------------------------------------------------
 */

static uint32_t compile_list(struct compiler *c, const struct json *list, const char *key)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    if (list->type != JSON_ARRAY || list->count == 0)
        return refuse(c, ST_INVALID, key, "must be an array with a schema");
    if (strcmp(key, "oneOf") == 0 && list->count > CHOICES_MAX)
        return refuse(c, ST_LIMIT, "oneOf", "has more than 64 schemas");
    n.as.any_of.list = allot(c, list->count, sizeof(uint32_t));
    for (const struct json *v = list->child; v != NULL && c->st == ST_OK; v = v->next)
        n.as.any_of.list[n.as.any_of.count++] = compile(c, v, key);
    if (strcmp(key, "oneOf") != 0)
        return add(c, n);
    for (uint32_t i = 0; i < n.as.any_of.count && c->st == ST_OK; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (!schema_differ(c->s, n.as.any_of.list[i], n.as.any_of.list[k]))
                return refuse(
                    c, ST_INVALID, "oneOf",
                    "has schemas that may both hold, which is not supported; anyOf is");
        }
    }
    return add(c, n);
}

/* --- references ----------------------------------------------------------------------------
 */

/* "a~1b" is "a/b" (RFC 6901). */
static bool part_is(struct span part, struct span key)
{
    size_t k = 0;

    for (size_t i = 0; i < part.len; i++, k++) {
        char ch = part.ptr[i];

        if (ch == '~' && i + 1 < part.len)
            ch = part.ptr[++i] == '1' ? '/' : '~';
        if (k >= key.len || key.ptr[k] != ch)
            return false;
    }
    return k == key.len;
}

static const struct json *step_into(const struct json *v, struct span part)
{
    uint64_t at = 0, i = 0;

    if (v->type != JSON_OBJECT && v->type != JSON_ARRAY)
        return NULL;
    for (size_t k = 0; k < part.len; k++)
        at = at * 10 + (uint64_t)(part.ptr[k] - '0');
    for (const struct json *m = v->child; m != NULL; m = m->next, i++) {
        if (v->type == JSON_OBJECT ? part_is(part, m->key) : i == at && part.len > 0)
            return m;
    }
    return NULL;
}

static const struct json *resolve(const struct compiler *c, struct span ref)
{
    const struct json *v = c->root;
    size_t at = 1;

    if (ref.len == 0 || ref.ptr[0] != '#')
        return NULL;
    while (v != NULL && at < ref.len) {
        size_t end = at + 1;

        if (ref.ptr[at] != '/')
            return NULL;
        while (end < ref.len && ref.ptr[end] != '/')
            end++;
        v = step_into(v, (struct span){ref.ptr + at + 1, end - at - 1});
        at = end;
    }
    return v;
}

/* --- one schema ----------------------------------------------------------------------------
 */

/* Known keywords, and those that say nothing of what is valid. */
static bool is_known(struct span key)
{
    static const char *const list[] = {"type",
                                       "enum",
                                       "const",
                                       "properties",
                                       "required",
                                       "additionalProperties",
                                       "items",
                                       "prefixItems",
                                       "minItems",
                                       "maxItems",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "format",
                                       "minimum",
                                       "maximum",
                                       "exclusiveMinimum",
                                       "exclusiveMaximum",
                                       "multipleOf",
                                       "anyOf",
                                       "oneOf",
                                       "allOf",
                                       "$ref",
                                       "$defs",
                                       "definitions",
                                       "nullable",
                                       "title",
                                       "description",
                                       "default",
                                       "example",
                                       "examples",
                                       "$schema",
                                       "$id",
                                       "$comment",
                                       "deprecated",
                                       "readOnly",
                                       "writeOnly",
                                       "discriminator",
                                       "propertyOrdering",
                                       "strict"};

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        if (span_eq(key, span_of(list[i])))
            return true;
    }
    return key.len > 2 && key.ptr[0] == 'x' && key.ptr[1] == '-';
}

static bool check_keywords(struct compiler *c, const struct json *schema)
{
    for (const struct json *v = schema->child; v != NULL; v = v->next) {
        char name[64];

        if (is_known(v->key) || (span_eq(v->key, SPAN("uniqueItems")) && v->type == JSON_FALSE))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(v->key.len < 60 ? v->key.len : 60),
                       v->key.ptr);
        refuse(c, ST_INVALID, name, "is a keyword that is not supported");
        return false;
    }
    return true;
}

static uint32_t compile_type(struct compiler *c, const struct json *schema, struct span type)
{
    if (span_eq(type, SPAN("object")))
        return compile_object(c, schema);
    if (span_eq(type, SPAN("array")))
        return compile_array(c, schema);
    if (span_eq(type, SPAN("string")))
        return compile_string(c, schema);
    if (span_eq(type, SPAN("integer")))
        return compile_number(c, schema, true);
    if (span_eq(type, SPAN("number")))
        return compile_number(c, schema, false);
    if (span_eq(type, SPAN("boolean")))
        return add_texts(c, "false", "true");
    if (span_eq(type, SPAN("null")))
        return add_texts(c, "null", NULL);
    return refuse(c, ST_INVALID, "type",
                  "is none of object, array, string, integer, number, boolean, null");
}

static uint32_t compile_types(struct compiler *c, const struct json *schema,
                              const struct json *types)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    n.as.any_of.list = allot(c, types->count, sizeof(uint32_t));
    for (const struct json *v = types->child; v != NULL && c->st == ST_OK; v = v->next)
        n.as.any_of.list[n.as.any_of.count++] = compile_type(c, schema, json_str(v));
    if (n.as.any_of.count == 0)
        return refuse(c, ST_INVALID, "type", "names no type");
    return add(c, n);
}

/* Without a type: as its keywords say. */
static uint32_t compile_untyped(struct compiler *c, const struct json *schema)
{
    static const char *const types[][2] = {{"properties", "object"},
                                           {"required", "object"},
                                           {"additionalProperties", "object"},
                                           {"items", "array"},
                                           {"prefixItems", "array"},
                                           {"minItems", "array"},
                                           {"maxItems", "array"},
                                           {"pattern", "string"},
                                           {"format", "string"},
                                           {"minLength", "string"},
                                           {"maxLength", "string"},
                                           {"minimum", "number"},
                                           {"maximum", "number"},
                                           {"exclusiveMinimum", "number"},
                                           {"exclusiveMaximum", "number"},
                                           {"multipleOf", "number"}};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (json_get(schema, span_of(types[i][0])) != NULL)
            return compile_type(c, schema, span_of(types[i][1]));
    }
    return SCHEMA_ANY;
}

/* Keywords that say which of several it is; they stand alone. */
static const char *choice_of(const struct json *schema)
{
    static const char *const keys[] = {"$ref", "enum", "const", "anyOf", "oneOf", "allOf"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (json_get(schema, span_of(keys[i])) != NULL)
            return keys[i];
    }
    return NULL;
}

static bool stands_alone(const struct json *schema, const char *choice)
{
    /* `type` beside enum and const says what they show. */
    static const char *const others[] = {"properties",
                                         "required",
                                         "additionalProperties",
                                         "items",
                                         "prefixItems",
                                         "minItems",
                                         "maxItems",
                                         "minLength",
                                         "maxLength",
                                         "pattern",
                                         "format",
                                         "minimum",
                                         "maximum",
                                         "exclusiveMinimum",
                                         "exclusiveMaximum",
                                         "multipleOf",
                                         "$ref",
                                         "enum",
                                         "const",
                                         "anyOf",
                                         "oneOf",
                                         "allOf"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(others[i], choice) != 0 && json_get(schema, span_of(others[i])) != NULL)
            return false;
    }
    return true;
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

/* `type` beside a choice: true of each value, or it would have to be taken apart. */
static bool type_agrees(const struct json *schema, const char *choice)
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

static uint32_t compile_choice(struct compiler *c, const struct json *schema,
                               const char *choice)
{
    const struct json *v = json_get(schema, span_of(choice));
    struct span *one;

    if (!stands_alone(schema, choice))
        return refuse(c, ST_INVALID, choice, "beside other keywords is not supported");
    if (!type_agrees(schema, choice))
        return refuse(c, ST_INVALID, "type",
                      "beside a choice that has another is not supported");
    if (strcmp(choice, "enum") == 0)
        return compile_enum(c, v);
    if (strcmp(choice, "const") == 0) {
        one = allot(c, 1, sizeof(*one));
        if (one != NULL)
            *one = written(c, v);
        return add_literals(c, one, 1);
    }
    if (strcmp(choice, "$ref") == 0) {
        const struct json *to = resolve(c, json_str(v));

        if (to == NULL)
            return refuse(c, ST_INVALID, "$ref", "leads to nothing within the schema");
        return compile(c, to, "$ref");
    }
    if (strcmp(choice, "allOf") == 0) {
        if (v->type != JSON_ARRAY || v->count != 1)
            return refuse(c, ST_INVALID, "allOf", "of several schemas is not supported");
        return compile(c, v->child, "allOf");
    }
    return compile_list(c, v, choice);
}

static uint32_t compile_kind(struct compiler *c, const struct json *schema)
{
    const struct json *type = json_get(schema, SPAN("type"));
    const char *choice = choice_of(schema);

    if (choice != NULL)
        return compile_choice(c, schema, choice);
    if (type == NULL)
        return compile_untyped(c, schema);
    return type->type == JSON_ARRAY ? compile_types(c, schema, type)
                                    : compile_type(c, schema, json_str(type));
}

/* {"nullable": true} of OpenAPI. */
static uint32_t or_null(struct compiler *c, uint32_t node)
{
    struct schema_node n = {.kind = SCHEMA_ANY_OF};

    n.as.any_of.list = allot(c, 2, sizeof(uint32_t));
    if (c->st != ST_OK)
        return SCHEMA_ANY;
    n.as.any_of.list[0] = node;
    n.as.any_of.list[1] = add_texts(c, "null", NULL);
    n.as.any_of.count = 2;
    return add(c, n);
}

static uint32_t compile_object_schema(struct compiler *c, const struct json *schema)
{
    /* A place for those within it that refer to it: one of one, which is known at the end. */
    struct schema_node n = {.kind = SCHEMA_ANY_OF};
    uint32_t place, node;
    bool nullable = false;

    n.as.any_of.list = allot(c, 1, sizeof(uint32_t));
    place = add(c, n);
    if (c->st != ST_OK)
        return SCHEMA_ANY;
    c->known[c->known_count++] = (struct known){schema, place};
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
        node = refuse(c, ST_INVALID, name, "must be a schema: an object, or true");
    else if (++c->depth > DEPTH_MAX)
        node = refuse(c, ST_LIMIT, name, "is too deep");
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
    bool *seen = allot(c, SCHEMA_NODES_MAX, sizeof(*seen));
    uint32_t *list = allot(c, SCHEMA_NODES_MAX, sizeof(*list));

    for (uint32_t i = 0; i < c->s->count && c->st == ST_OK; i++) {
        struct schema_node *n = &c->s->nodes[i];
        uint32_t count = 0;

        if (n->kind != SCHEMA_ANY_OF)
            continue;
        memset(seen, 0, SCHEMA_NODES_MAX * sizeof(*seen));
        flatten(c, i, seen, list, &count);
        n->as.any_of.list = allot(c, count, sizeof(*list));
        n->as.any_of.count = count;
        if (c->st == ST_OK)
            memcpy(n->as.any_of.list, list, count * sizeof(*list));
    }
}

/* A key, and any value. */
static void add_builtin(struct compiler *c)
{
    struct schema_node key = {.kind = SCHEMA_STRING, .as.string = {0, ITEMS_MAX, NULL}};
    struct schema_node any = {.kind = SCHEMA_ANY_OF};
    struct schema_node array = {.kind = SCHEMA_ARRAY,
                                .as.array = {.rest = SCHEMA_ANY, .most = ITEMS_MAX}};
    struct schema_node object = {.kind = SCHEMA_OBJECT, .as.object = {.other = SCHEMA_ANY}};
    uint32_t *list = allot(c, 6, sizeof(*list));
    const struct json nothing = {.type = JSON_OBJECT};

    any.as.any_of.list = list;
    (void)add(c, key);
    (void)add(c, any);
    if (c->st != ST_OK)
        return;
    list[0] = add(c, object);
    list[1] = add(c, array);
    list[2] = SCHEMA_KEY;
    list[3] = compile_number(c, &nothing, false);
    list[4] = add_texts(c, "false", "true");
    list[5] = add_texts(c, "null", NULL);
    c->s->nodes[SCHEMA_ANY].as.any_of.count = 6;
}

static void compile_all(struct compiler *c)
{
    struct schema *s = c->s;

    s->nodes = allot(c, SCHEMA_NODES_MAX, sizeof(*s->nodes));
    c->known = allot(c, KNOWN_MAX, sizeof(*c->known));
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
        refuse(c, ST_INVALID, "schema", "has no valid text that ends");
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
