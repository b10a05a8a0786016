#include "protocol/json_schema.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

/* Schemas applied to values; and within one another, which a $ref to itself would be endlessly.
 */
#define STEPS_MAX 20000
#define DEPTH_MAX 256
/* Of what is compared whole. */
#define SAME_BYTES_MAX 4096
#define SAME_STEPS     50

typedef enum json_schema_verdict verdict;

struct check {
    const struct json *root;
    unsigned steps, depth;
};

static verdict judge(struct check *c, const struct json *schema, const struct json *v);

/* Both have to hold. */
static verdict both(verdict a, verdict b)
{
    if (a == JSON_SCHEMA_INVALID || b == JSON_SCHEMA_INVALID)
        return JSON_SCHEMA_INVALID;
    return a == JSON_SCHEMA_UNSURE ? a : b;
}

static verdict when(bool holds)
{
    return holds ? JSON_SCHEMA_VALID : JSON_SCHEMA_INVALID;
}

/* --- values ------------------------------------------------------------------------------- */

static verdict same(struct check *c, const struct json *a, const struct json *b)
{
    struct buf x, y;
    verdict is = JSON_SCHEMA_UNSURE;

    if (a->type != b->type)
        return JSON_SCHEMA_INVALID;
    if (a->type == JSON_STRING)
        return when(span_eq(a->text, b->text));
    if (c->steps >= STEPS_MAX)
        return is;
    c->steps += SAME_STEPS;
    buf_init(&x, SAME_BYTES_MAX);
    buf_init(&y, SAME_BYTES_MAX);
    if (json_write_canonical(&x, a) == ST_OK && json_write_canonical(&y, b) == ST_OK)
        is = when(span_eq(buf_span(&x), buf_span(&y)));
    buf_release(&x);
    buf_release(&y);
    return is;
}

static bool is_integer(const struct json *v)
{
    double d;

    return json_double(v, &d) && floor(d) == d;
}

static bool is_type(const struct json *v, struct span type)
{
    switch (v->type) {
    case JSON_NULL:
        return span_eq(type, SPAN("null"));
    case JSON_FALSE:
    case JSON_TRUE:
        return span_eq(type, SPAN("boolean"));
    case JSON_NUMBER:
        return span_eq(type, SPAN("number")) ||
               (span_eq(type, SPAN("integer")) && is_integer(v));
    case JSON_STRING:
        return span_eq(type, SPAN("string"));
    case JSON_ARRAY:
        return span_eq(type, SPAN("array"));
    case JSON_OBJECT:
        return span_eq(type, SPAN("object"));
    }
    return false;
}

/* --- keywords of any value ---------------------------------------------------------------- */

static verdict check_type(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    if (k->type == JSON_STRING)
        return when(is_type(v, k->text));
    for (const struct json *one = k->child; one != NULL; one = one->next) {
        if (is_type(v, json_str(one)))
            return JSON_SCHEMA_VALID;
    }
    return JSON_SCHEMA_INVALID;
}

static verdict check_const(struct check *c, const struct json *k, const struct json *v)
{
    return same(c, k, v);
}

/* The best of them. */
static verdict check_enum(struct check *c, const struct json *k, const struct json *v)
{
    verdict best = JSON_SCHEMA_INVALID;

    for (const struct json *one = k->child; one != NULL; one = one->next) {
        verdict is = same(c, one, v);

        if (is == JSON_SCHEMA_VALID)
            return is;
        if (is == JSON_SCHEMA_UNSURE)
            best = is;
    }
    return best;
}

static verdict check_all_of(struct check *c, const struct json *k, const struct json *v)
{
    verdict all = JSON_SCHEMA_VALID;

    for (const struct json *one = k->child; one != NULL; one = one->next)
        all = both(all, judge(c, one, v));
    return all;
}

/* How many of them hold, and of how many that is not known. */
static void count_holding(struct check *c, const struct json *k, const struct json *v,
                          unsigned *valid, unsigned *unsure)
{
    *valid = *unsure = 0;
    for (const struct json *one = k->child; one != NULL; one = one->next) {
        verdict is = judge(c, one, v);

        *valid += is == JSON_SCHEMA_VALID;
        *unsure += is == JSON_SCHEMA_UNSURE;
    }
}

static verdict check_any_of(struct check *c, const struct json *k, const struct json *v)
{
    unsigned valid, unsure;

    count_holding(c, k, v, &valid, &unsure);
    if (valid > 0)
        return JSON_SCHEMA_VALID;
    return unsure > 0 ? JSON_SCHEMA_UNSURE : JSON_SCHEMA_INVALID;
}

static verdict check_one_of(struct check *c, const struct json *k, const struct json *v)
{
    unsigned valid, unsure;

    count_holding(c, k, v, &valid, &unsure);
    if (valid > 1)
        return JSON_SCHEMA_INVALID;
    return unsure > 0 ? JSON_SCHEMA_UNSURE : when(valid == 1);
}

static verdict check_not(struct check *c, const struct json *k, const struct json *v)
{
    verdict is = judge(c, k, v);

    return is == JSON_SCHEMA_UNSURE ? is : when(is == JSON_SCHEMA_INVALID);
}

/* --- references --------------------------------------------------------------------------- */

static const struct json *item_at(const struct json *list, struct span digits)
{
    const struct json *one = list->child;
    size_t at = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9' || at > list->count)
            return NULL;
        at = at * 10 + (size_t)(digits.ptr[i] - '0');
    }
    while (one != NULL && at-- > 0)
        one = one->next;
    return one;
}

/* A JSON pointer (RFC 6901) as a fragment. NULL: none that is read here, or nothing is there.
 */
static const struct json *find(const struct json *root, struct span ref)
{
    const struct json *at = root;
    char key[256];

    if (ref.len == 0 || ref.ptr[0] != '#' || memchr(ref.ptr, '%', ref.len) != NULL)
        return NULL;
    for (size_t i = 1; i < ref.len && at != NULL;) {
        size_t n = 0;

        if (ref.ptr[i++] != '/')
            return NULL; /* an anchor */
        for (; i < ref.len && ref.ptr[i] != '/'; i++) {
            char ch = ref.ptr[i];

            if (ch == '~' && i + 1 < ref.len)
                ch = ref.ptr[++i] == '1' ? '/' : '~';
            if (n == sizeof(key))
                return NULL;
            key[n++] = ch;
        }
        at = at->type == JSON_ARRAY ? item_at(at, (struct span){key, n})
                                    : json_get(at, (struct span){key, n});
    }
    return at;
}

static verdict check_ref(struct check *c, const struct json *k, const struct json *v)
{
    const struct json *to = find(c->root, json_str(k));

    return to != NULL ? judge(c, to, v) : JSON_SCHEMA_UNSURE;
}

/* --- objects ------------------------------------------------------------------------------ */

static verdict check_properties(struct check *c, const struct json *k, const struct json *v)
{
    verdict all = JSON_SCHEMA_VALID;

    for (const struct json *p = k->child; v->type == JSON_OBJECT && p != NULL; p = p->next) {
        const struct json *member = json_get(v, p->key);

        if (member != NULL)
            all = both(all, judge(c, p, member));
    }
    return all;
}

static verdict check_required(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    for (const struct json *name = k->child; v->type == JSON_OBJECT && name != NULL;
         name = name->next) {
        if (json_get(v, json_str(name)) == NULL)
            return JSON_SCHEMA_INVALID;
    }
    return JSON_SCHEMA_VALID;
}

/* Beside patternProperties it is not known which members are meant. */
static verdict check_additional(struct check *c, const struct json *schema,
                                const struct json *v)
{
    const struct json *k = json_get(schema, SPAN("additionalProperties"));
    const struct json *known = json_get(schema, SPAN("properties"));
    verdict all = JSON_SCHEMA_VALID;

    if (k == NULL || v->type != JSON_OBJECT ||
        json_get(schema, SPAN("patternProperties")) != NULL)
        return JSON_SCHEMA_VALID;
    for (const struct json *m = v->child; m != NULL; m = m->next) {
        if (json_get(known, m->key) == NULL)
            all = both(all, judge(c, k, m));
    }
    return all;
}

/* --- arrays ------------------------------------------------------------------------------- */

/* `items` is for those behind the ones that prefixItems has. */
static verdict check_items(struct check *c, const struct json *schema, const struct json *v)
{
    const struct json *first = json_get(schema, SPAN("prefixItems"));
    const struct json *rest = json_get(schema, SPAN("items"));
    verdict all = JSON_SCHEMA_VALID;

    if (v->type != JSON_ARRAY)
        return all;
    /* Before 2020-12 a list stood here. */
    if (rest != NULL && rest->type == JSON_ARRAY)
        return JSON_SCHEMA_UNSURE;
    first = first != NULL ? first->child : NULL;
    for (const struct json *item = v->child; item != NULL; item = item->next) {
        if (first != NULL) {
            all = both(all, judge(c, first, item));
            first = first->next;
        } else if (rest != NULL) {
            all = both(all, judge(c, rest, item));
        }
    }
    return all;
}

/* --- sizes and numbers -------------------------------------------------------------------- */

static uint64_t characters(struct span s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static uint64_t size_of(const struct json *v)
{
    return v->type == JSON_STRING ? characters(v->text) : v->count;
}

static verdict check_size(enum json_type of, bool least, const struct json *k,
                          const struct json *v)
{
    double bound;

    if (v->type != of)
        return JSON_SCHEMA_VALID;
    if (!json_double(k, &bound))
        return JSON_SCHEMA_UNSURE;
    return when(least ? (double)size_of(v) >= bound : (double)size_of(v) <= bound);
}

#define SIZE_KEYWORD(name, of, least)                                                          \
    static verdict name(struct check *c, const struct json *k, const struct json *v)           \
    {                                                                                          \
        (void)c;                                                                               \
        return check_size(of, least, k, v);                                                    \
    }

SIZE_KEYWORD(check_min_properties, JSON_OBJECT, true)
SIZE_KEYWORD(check_max_properties, JSON_OBJECT, false)
SIZE_KEYWORD(check_min_items, JSON_ARRAY, true)
SIZE_KEYWORD(check_max_items, JSON_ARRAY, false)
SIZE_KEYWORD(check_min_length, JSON_STRING, true)
SIZE_KEYWORD(check_max_length, JSON_STRING, false)

static bool is_below(double a, double b)
{
    return a < b;
}

static bool is_at_most(double a, double b)
{
    return a <= b;
}

static verdict compare(const struct json *a, const struct json *b,
                       bool (*holds)(double a, double b), const struct json *v)
{
    double x, y;

    if (v->type != JSON_NUMBER)
        return JSON_SCHEMA_VALID;
    /* Draft 4 has true and false beside the bound. */
    if (!json_double(a, &x) || !json_double(b, &y))
        return JSON_SCHEMA_UNSURE;
    return when(holds(x, y));
}

static verdict check_minimum(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    return compare(k, v, is_at_most, v);
}

static verdict check_maximum(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    return compare(v, k, is_at_most, v);
}

static verdict check_above(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    return compare(k, v, is_below, v);
}

static verdict check_below(struct check *c, const struct json *k, const struct json *v)
{
    (void)c;
    return compare(v, k, is_below, v);
}

/* Of fractions a double can not tell. */
static verdict check_multiple(struct check *c, const struct json *k, const struct json *v)
{
    double step, x;

    (void)c;
    if (v->type != JSON_NUMBER)
        return JSON_SCHEMA_VALID;
    if (!json_double(k, &step) || !json_double(v, &x) || floor(step) != step || step < 1 ||
        fabs(x) > 1e15)
        return JSON_SCHEMA_UNSURE;
    return when(fmod(x, step) == 0);
}

/* --- a schema ----------------------------------------------------------------------------- */

typedef verdict keyword_fn(struct check *c, const struct json *k, const struct json *v);

static const struct keyword {
    struct span name;
    keyword_fn *check; /* NULL: it asks for nothing, or is looked at with its neighbours */
} keywords[] = {
    {{"type", 4}, check_type},
    {{"enum", 4}, check_enum},
    {{"const", 5}, check_const},
    {{"allOf", 5}, check_all_of},
    {{"anyOf", 5}, check_any_of},
    {{"oneOf", 5}, check_one_of},
    {{"not", 3}, check_not},
    {{"$ref", 4}, check_ref},
    {{"properties", 10}, check_properties},
    {{"required", 8}, check_required},
    {{"additionalProperties", 20}, NULL},
    {{"minProperties", 13}, check_min_properties},
    {{"maxProperties", 13}, check_max_properties},
    {{"items", 5}, NULL},
    {{"prefixItems", 11}, NULL},
    {{"minItems", 8}, check_min_items},
    {{"maxItems", 8}, check_max_items},
    {{"minLength", 9}, check_min_length},
    {{"maxLength", 9}, check_max_length},
    {{"minimum", 7}, check_minimum},
    {{"maximum", 7}, check_maximum},
    {{"exclusiveMinimum", 16}, check_above},
    {{"exclusiveMaximum", 16}, check_below},
    {{"multipleOf", 10}, check_multiple},
    {{"nullable", 8}, NULL},
    {{"$defs", 5}, NULL},
    {{"definitions", 11}, NULL},
    {{"$schema", 7}, NULL},
    {{"$id", 3}, NULL},
    {{"$comment", 8}, NULL},
    {{"title", 5}, NULL},
    {{"description", 11}, NULL},
    {{"default", 7}, NULL},
    {{"examples", 8}, NULL},
    {{"example", 7}, NULL},
    {{"deprecated", 10}, NULL},
    {{"readOnly", 8}, NULL},
    {{"writeOnly", 9}, NULL},
    {{"format", 6}, NULL}, /* an annotation, unless a vocabulary says otherwise */
};

static const struct keyword *keyword_of(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (span_eq(keywords[i].name, name))
            return &keywords[i];
    }
    return NULL;
}

static verdict judge_object(struct check *c, const struct json *schema, const struct json *v)
{
    bool nullable = false;
    verdict all;

    if (v->type == JSON_NULL && json_bool(json_get(schema, SPAN("nullable")), &nullable) &&
        nullable)
        return JSON_SCHEMA_VALID;
    all = both(check_additional(c, schema, v), check_items(c, schema, v));
    for (const struct json *k = schema->child; k != NULL && all != JSON_SCHEMA_INVALID;
         k = k->next) {
        const struct keyword *word = keyword_of(k->key);

        if (word == NULL)
            all = both(all, JSON_SCHEMA_UNSURE);
        else if (word->check != NULL)
            all = both(all, word->check(c, k, v));
    }
    return all;
}

static verdict judge(struct check *c, const struct json *schema, const struct json *v)
{
    verdict is = JSON_SCHEMA_UNSURE;

    if (schema->type == JSON_TRUE || schema->type == JSON_FALSE)
        return when(schema->type == JSON_TRUE);
    if (schema->type != JSON_OBJECT || c->steps >= STEPS_MAX || c->depth >= DEPTH_MAX)
        return is;
    c->steps++;
    c->depth++;
    is = judge_object(c, schema, v);
    c->depth--;
    return is;
}

verdict json_schema_check(const struct json *schema, const struct json *value)
{
    struct check c = {.root = schema};

    return judge(&c, schema, value);
}
