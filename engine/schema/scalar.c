#include "engine/schema/scalar.h"

#define PATTERNS_MAX 32

uint32_t scalar_enum(struct compiler *c, const struct json *values)
{
    struct span *list =
        values->type == JSON_ARRAY ? compiler_allot(c, values->count, sizeof(*list)) : NULL;
    uint32_t n = 0;

    if (values->type != JSON_ARRAY || values->count == 0)
        return compiler_refuse(c, ST_INVALID, "enum", "must be an array with a value");
    if (values->count > COMPILER_LIST_MAX)
        return compiler_refuse(c, ST_LIMIT, "enum", "has more than 4096 values");
    for (const struct json *v = values->child; v != NULL && c->st == ST_OK; v = v->next)
        list[n++] = compiler_write(c, v);
    return compiler_add_literals(c, list, n);
}

/* The number of a keyword; NULL: it is absent, or not one. */
static const struct json *bound(struct compiler *c, const struct json *schema, const char *key)
{
    const struct json *v = json_get(schema, span_of(key));

    if (v != NULL && v->type != JSON_NUMBER) {
        /* Draft 4 wrote true beside a bound. */
        compiler_refuse(c, ST_INVALID, key, "must be a number");
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

uint32_t scalar_number(struct compiler *c, const struct json *schema, bool whole)
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
            return compiler_refuse(
                c, ST_INVALID, "multipleOf",
                "is not supported: it has too many decimals, or is negative");
        r->decimals = whole ? 0 : decimals;
        r->step = number_units_of(multiple->text, r->decimals, false);
        if (r->step == 0)
            return compiler_refuse(c, ST_INVALID, "multipleOf", "must be larger than 0");
    }
    r->most = number_units_of(all, r->decimals, false);
    r->least = -r->most;
    set_bounds(c, schema, r);
    if (!number_range_has(r))
        return compiler_refuse(c, ST_INVALID, "minimum",
                               "and the other bounds leave no number");
    return compiler_add(c, n);
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
        compiler_refuse(c, ST_LIMIT, key, "is one of too many patterns");
        return NULL;
    }
    st = pattern_open(text, &c->pattern_steps, &p, &why);
    if (st != ST_OK) {
        compiler_refuse(c, st, key, why);
        return NULL;
    }
    p->next = c->s->patterns;
    c->s->patterns = p;
    return p;
}

uint32_t scalar_string(struct compiler *c, const struct json *schema)
{
    const struct json *pattern = json_get(schema, SPAN("pattern")),
                      *format = json_get(schema, SPAN("format"));
    struct schema_node n = {.kind = SCHEMA_STRING};
    const char *known;

    n.as.string.least = compiler_count(c, schema, "minLength", 0);
    n.as.string.most = compiler_count(c, schema, "maxLength", COMPILER_ITEMS_MAX);
    if (n.as.string.most < n.as.string.least)
        return compiler_refuse(c, ST_INVALID, "maxLength", "is less than minLength");
    if (pattern == NULL && format == NULL)
        return compiler_add(c, n);
    if (pattern != NULL && format != NULL)
        return compiler_refuse(c, ST_INVALID, "pattern", "beside format is not supported");
    if (n.as.string.least > 0 || n.as.string.most != COMPILER_ITEMS_MAX)
        return compiler_refuse(
            c, ST_INVALID, pattern != NULL ? "pattern" : "format",
            "beside minLength or maxLength is not supported; write {m,n} into the pattern");
    if (pattern != NULL) {
        n.as.string.pattern = compile_pattern(c, json_str(pattern), "pattern");
    } else {
        known = format_pattern(json_str(format));
        if (known == NULL)
            return compiler_refuse(
                c, ST_INVALID, "format",
                "is not one of date, time, date-time, duration, uuid, email, "
                "hostname, ipv4, ipv6, uri");
        n.as.string.pattern = compile_pattern(c, span_of(known), "format");
    }
    return compiler_add(c, n);
}
