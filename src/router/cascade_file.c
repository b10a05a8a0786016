#include "router/cascade_file.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/json_writer.h"

#define KIND      "ibid cascade"
#define VERSION   1
#define DEPTH     6
#define REAL_MAX  1e9 /* no honest figure is near it, and sums stay finite */
#define ARENA_MAX (8 * CASCADE_FILE_MAX_BYTES)

void cascade_file_write_signs(struct json_writer *w, const char *name, const double *signs)
{
    json_writer_open(w, name, '{');
    for (size_t i = 0; i < SIGNS_COUNT; i++)
        json_writer_real(w, signs_name(i), signs[i]);
    json_writer_close(w, '}');
}

enum status cascade_file_write(const struct cascade *c, struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    json_writer_text(&w, "kind", SPAN(KIND));
    json_writer_u64(&w, "version", VERSION);
    json_writer_text(&w, "models", span_of(c->models));
    json_writer_u64(&w, "outcomes", c->outcomes);
    json_writer_u64(&w, "least", c->least);
    json_writer_real(&w, "offset", c->offset);
    cascade_file_write_signs(&w, "weight", c->weight);
    json_writer_open(&w, "products", '[');
    for (size_t i = SIGNS_COUNT; i < CASCADE_INPUTS; i++)
        json_writer_real(&w, NULL, c->weight[i]);
    json_writer_close(&w, ']');
    cascade_file_write_signs(&w, "mean", c->mean);
    cascade_file_write_signs(&w, "spread", c->spread);
    json_writer_open(&w, "settings", '[');
    for (size_t i = 0; i < CURVE_SETTINGS; i++) {
        const struct curve_setting *s = &c->settings[i];

        json_writer_open(&w, NULL, '[');
        json_writer_real(&w, NULL, s->loss);
        json_writer_real(&w, NULL, s->large);
        json_writer_real(&w, NULL, s->quality);
        json_writer_close(&w, ']');
    }
    json_writer_close(&w, ']');
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

static bool read_real(const struct json *v, double *out)
{
    return json_double(v, out) && fabs(*out) <= REAL_MAX;
}

const char *cascade_file_signs(const struct json *object, double *out)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return "'signs' is no object";
    if (object->count != SIGNS_COUNT)
        return "it has other signs than this version knows";
    for (size_t i = 0; i < SIGNS_COUNT; i++) {
        const struct json *v = json_get(object, span_of(signs_name(i)));

        if (v == NULL)
            return "it has other signs than this version knows";
        if (!read_real(v, &out[i]))
            return "a sign is no number";
    }
    return NULL;
}

static bool read_products(const struct json *list, struct cascade *c)
{
    const struct json *v;

    if (list == NULL || list->type != JSON_ARRAY || list->count != CASCADE_INPUTS - SIGNS_COUNT)
        return false;
    v = list->child;
    for (size_t i = SIGNS_COUNT; i < CASCADE_INPUTS; i++, v = v->next) {
        if (!read_real(v, &c->weight[i]))
            return false;
    }
    return true;
}

/* Or what is lost by it, which may be a gain. */
static bool read_share(const struct json *v, double *out)
{
    return json_double(v, out) && fabs(*out) <= 1;
}

static bool read_settings(const struct json *list, struct cascade *c)
{
    const struct json *v;

    if (list == NULL || list->type != JSON_ARRAY || list->count != CURVE_SETTINGS)
        return false;
    v = list->child;
    for (size_t i = 0; i < CURVE_SETTINGS; i++, v = v->next) {
        struct curve_setting *s = &c->settings[i];
        const struct json *x = v->type == JSON_ARRAY && v->count == 3 ? v->child : NULL;

        if (x == NULL || !read_share(x, &s->loss) || !read_share(x->next, &s->large) ||
            !read_share(x->next->next, &s->quality))
            return false;
    }
    return true;
}

static bool are_spreads(const double *v)
{
    for (size_t i = 0; i < SIGNS_COUNT; i++) {
        if (!(v[i] > 0))
            return false;
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *read_all(const struct json *o, struct cascade *c)
{
    struct span models = json_str(json_get(o, SPAN("models")));
    uint64_t version;

    if (!span_eq(json_str(json_get(o, SPAN("kind"))), SPAN(KIND)))
        return "it is no file of 'ibid tune cascade'";
    if (!json_u64(json_get(o, SPAN("version")), &version) || version != VERSION ||
        cascade_file_signs(json_get(o, SPAN("weight")), c->weight) != NULL ||
        !read_products(json_get(o, SPAN("products")), c) ||
        cascade_file_signs(json_get(o, SPAN("mean")), c->mean) != NULL ||
        cascade_file_signs(json_get(o, SPAN("spread")), c->spread) != NULL)
        return "it was written by another version; run 'ibid tune cascade' again";
    if (models.len >= sizeof(c->models))
        return "'models' is too long";
    if (!read_real(json_get(o, SPAN("offset")), &c->offset) ||
        !json_u64(json_get(o, SPAN("outcomes")), &c->outcomes) ||
        !json_u64(json_get(o, SPAN("least")), &c->least) || !are_spreads(c->spread))
        return "'offset', 'outcomes', 'least' or 'spread' is missing, or out of bounds";
    if (!read_settings(json_get(o, SPAN("settings")), c))
        return "'settings' is not a hundred and one settings";
    snprintf(c->models, sizeof(c->models), "%.*s", (int)models.len,
             models.len > 0 ? models.ptr : "");
    return NULL;
}

enum status cascade_file_read(struct span text, struct cascade *out, char *why, size_t why_cap)
{
    struct cascade c = {.outcomes = 0};
    struct json_error err;
    struct arena arena;
    struct json *o;
    const char *wrong;

    arena_init(&arena, 65536, ARENA_MAX);
    if (json_parse(&arena, text, DEPTH, &o, &err) != ST_OK) {
        snprintf(why, why_cap, "byte %zu: %s", err.offset, err.text);
        arena_release(&arena);
        return ST_INVALID;
    }
    wrong = read_all(o, &c);
    arena_release(&arena);
    if (wrong != NULL) {
        snprintf(why, why_cap, "%s", wrong);
        return ST_INVALID;
    }
    *out = c;
    return ST_OK;
}
