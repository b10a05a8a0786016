#include "router/classifier_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/json_writer.h"

#define KIND       "ibid router"
#define VERSION    1
#define DEPTH      8
#define WEIGHT_MAX 1e9 /* no honest one is near it, and sums stay finite */
#define BYTE_TOP   127
#define ARENA_MAX  (4 * CLASSIFIER_FILE_MAX_BYTES)

/* --- writing ------------------------------------------------------------------------------ */

static void write_reals(struct json_writer *w, const char *name, const double *v, size_t n)
{
    json_writer_open(w, name, '[');
    for (size_t i = 0; i < n; i++)
        json_writer_real(w, NULL, v[i]);
    json_writer_close(w, ']');
}

/* A byte a number, and what they are to be multiplied by. */
static void write_vector(struct json_writer *w, const float *v, uint32_t n)
{
    signed char bytes[CLASSIFIER_DIMENSIONS_MAX];
    double top = 0;
    struct buf text;

    for (uint32_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)v[i]));
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (signed char)(top > 0 ? lround((double)v[i] / top * BYTE_TOP) : 0);
    buf_init(&text, 2 * (size_t)CLASSIFIER_DIMENSIONS_MAX);
    if (w->st == ST_OK)
        w->st = base64_encode(&text, (struct span){(const char *)bytes, n});
    json_writer_real(w, "scale", top / BYTE_TOP);
    json_writer_text(w, "vector", buf_span(&text));
    buf_release(&text);
}

static void write_sides(struct json_writer *w, const char *name,
                        const struct classifier_side *sides, float *const *vectors, uint32_t n)
{
    json_writer_open(w, name, '[');
    for (int i = 0; i < CLASSIFIER_SIDES; i++) {
        json_writer_open(w, NULL, '{');
        json_writer_real(w, "offset", sides[i].offset);
        write_reals(w, "features", sides[i].feature, FEATURES_COUNT);
        if (vectors != NULL)
            write_vector(w, vectors[i], n);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static void write_settings(struct json_writer *w, const struct classifier *c)
{
    json_writer_open(w, "settings", '[');
    for (int i = 0; i < CURVE_SETTINGS; i++) {
        const struct curve_setting *s = &c->settings[i];

        write_reals(w, NULL, (double[]){s->loss, s->large, s->quality}, 3);
    }
    json_writer_close(w, ']');
}

static void write_examples(struct json_writer *w, const struct classifier_example *e,
                           size_t count, uint32_t dimensions)
{
    json_writer_open(w, "labelled", '[');
    for (size_t i = 0; i < count; i++) {
        json_writer_open(w, NULL, '{');
        json_writer_text(w, "text", e[i].text);
        json_writer_real(w, "small", e[i].small);
        json_writer_real(w, "large", e[i].large);
        write_vector(w, e[i].vector, dimensions);
        json_writer_close(w, '}');
        json_writer_raw(w, SPAN("\n"));
    }
    json_writer_close(w, ']');
}

enum status classifier_file_write(const struct classifier *c,
                                  const struct classifier_example *examples, size_t count,
                                  struct buf *out)
{
    struct json_writer w = {out, ST_OK, false};

    json_writer_open(&w, NULL, '{');
    json_writer_text(&w, "kind", SPAN(KIND));
    json_writer_u64(&w, "version", VERSION);
    json_writer_text(&w, "encoder", span_of(c->encoder));
    json_writer_u64(&w, "dimensions", c->dimensions);
    json_writer_u64(&w, "examples", c->examples);
    json_writer_open(&w, "features", '[');
    for (int i = 0; i < FEATURES_COUNT; i++)
        json_writer_text(&w, NULL, span_of(features_name((enum feature)i)));
    json_writer_close(&w, ']');
    write_reals(&w, "usual", c->usual, FEATURES_COUNT);
    write_sides(&w, "without_vector", c->without, NULL, 0);
    if (c->dimensions > 0)
        write_sides(&w, "with_vector", c->with_vector, c->vector, c->dimensions);
    write_settings(&w, c);
    if (count > 0)
        write_examples(&w, examples, count, c->dimensions);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

/* --- reading ------------------------------------------------------------------------------ */

static bool read_real(const struct json *v, double *out)
{
    return json_double(v, out) && fabs(*out) <= WEIGHT_MAX;
}

static bool read_reals(const struct json *list, double *out, size_t n)
{
    const struct json *v;

    if (list == NULL || list->type != JSON_ARRAY || list->count != n)
        return false;
    v = list->child;
    for (size_t i = 0; i < n; i++, v = v->next) {
        if (!read_real(v, &out[i]))
            return false;
    }
    return true;
}

/* Of an object with "scale" and "vector". */
static bool read_vector(const struct json *o, float *out, uint32_t n)
{
    struct span text = json_str(json_get(o, SPAN("vector")));
    struct buf bytes;
    double scale;
    bool ok;

    buf_init(&bytes, CLASSIFIER_DIMENSIONS_MAX);
    ok = text.ptr != NULL && read_real(json_get(o, SPAN("scale")), &scale) &&
         base64_decode(&bytes, text) == ST_OK && bytes.len == n;
    for (uint32_t i = 0; ok && i < n; i++)
        out[i] = (float)(scale * (signed char)bytes.ptr[i]);
    buf_release(&bytes);
    return ok;
}

static bool read_sides(const struct json *list, struct classifier_side *out, float **vectors,
                       uint32_t n)
{
    const struct json *o;

    if (list == NULL || list->type != JSON_ARRAY || list->count != CLASSIFIER_SIDES)
        return false;
    o = list->child;
    for (int i = 0; i < CLASSIFIER_SIDES; i++, o = o->next) {
        if (!read_real(json_get(o, SPAN("offset")), &out[i].offset) ||
            !read_reals(json_get(o, SPAN("features")), out[i].feature, FEATURES_COUNT) ||
            (vectors != NULL && !read_vector(o, vectors[i], n)))
            return false;
    }
    return true;
}

static bool read_settings(const struct json *list, struct classifier *c)
{
    const struct json *v;
    double three[3];

    if (list == NULL || list->type != JSON_ARRAY || list->count != CURVE_SETTINGS)
        return false;
    v = list->child;
    for (int i = 0; i < CURVE_SETTINGS; i++, v = v->next) {
        if (!read_reals(v, three, 3))
            return false;
        c->settings[i] = (struct curve_setting){three[0], three[1], three[2]};
    }
    return true;
}

static bool same_features(const struct json *list)
{
    const struct json *v;

    if (list == NULL || list->type != JSON_ARRAY || list->count != FEATURES_COUNT)
        return false;
    v = list->child;
    for (int i = 0; i < FEATURES_COUNT; i++, v = v->next) {
        if (!span_eq(json_str(v), span_of(features_name((enum feature)i))))
            return false;
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *read_head(const struct json *o, struct classifier *c)
{
    struct span encoder = json_str(json_get(o, SPAN("encoder")));
    uint64_t n;

    if (!span_eq(json_str(json_get(o, SPAN("kind"))), SPAN(KIND)))
        return "it is no file of 'ibid tune router'";
    if (!json_u64(json_get(o, SPAN("version")), &n) || n != VERSION ||
        !same_features(json_get(o, SPAN("features"))))
        return "it was written by another version; run 'ibid tune router' again";
    if (encoder.ptr == NULL || encoder.len >= sizeof(c->encoder))
        return "'encoder' is missing or too long";
    if (!json_u64(json_get(o, SPAN("dimensions")), &n) || n > CLASSIFIER_DIMENSIONS_MAX)
        return "'dimensions' is missing or too large";
    if (!json_u64(json_get(o, SPAN("examples")), &c->examples))
        return "'examples' is missing";
    snprintf(c->encoder, sizeof(c->encoder), "%.*s", (int)encoder.len,
             encoder.len > 0 ? encoder.ptr : "");
    c->dimensions = (uint32_t)n;
    return NULL;
}

static const char *read_weights(const struct json *o, struct classifier *c)
{
    for (int i = 0; i < CLASSIFIER_SIDES && c->dimensions > 0; i++) {
        c->vector[i] = calloc(c->dimensions, sizeof(**c->vector));
        if (c->vector[i] == NULL)
            return "out of memory";
    }
    if (!read_reals(json_get(o, SPAN("usual")), c->usual, FEATURES_COUNT))
        return "'usual' is not a number for each feature";
    if (!read_sides(json_get(o, SPAN("without_vector")), c->without, NULL, 0))
        return "'without_vector' is not two sets of weights";
    if (c->dimensions > 0 &&
        !read_sides(json_get(o, SPAN("with_vector")), c->with_vector, c->vector, c->dimensions))
        return "'with_vector' is not two sets of weights";
    if (!read_settings(json_get(o, SPAN("settings")), c))
        return "'settings' is not a hundred and one settings";
    return NULL;
}

enum status classifier_file_read(struct span text, struct classifier *out, char *why,
                                 size_t why_cap)
{
    struct classifier c = {.dimensions = 0};
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
    wrong = read_head(o, &c);
    if (wrong == NULL)
        wrong = read_weights(o, &c);
    arena_release(&arena);
    if (wrong != NULL) {
        snprintf(why, why_cap, "%s", wrong);
        classifier_release(&c);
        return ST_INVALID;
    }
    *out = c;
    return ST_OK;
}

static bool read_example(const struct json *o, uint32_t dimensions, struct arena *arena,
                         struct classifier_example *out)
{
    float *v = arena_alloc(arena, ((size_t)dimensions + 1) * sizeof(*v), _Alignof(float));

    out->text = json_str(json_get(o, SPAN("text")));
    out->vector = v;
    return v != NULL && out->text.ptr != NULL &&
           read_real(json_get(o, SPAN("small")), &out->small) &&
           read_real(json_get(o, SPAN("large")), &out->large) && read_vector(o, v, dimensions);
}

enum status classifier_file_examples(struct span text, uint32_t dimensions, struct arena *arena,
                                     struct classifier_example **out, size_t *count)
{
    const struct json *list, *v;
    struct json_error err;
    struct json *o;

    *count = 0;
    if (json_parse(arena, text, DEPTH, &o, &err) != ST_OK)
        return ST_INVALID;
    list = json_get(o, SPAN("labelled"));
    if (list == NULL || list->type != JSON_ARRAY || list->count == 0)
        return ST_OK;
    *out = arena_alloc(arena, list->count * sizeof(**out), _Alignof(struct classifier_example));
    if (*out == NULL)
        return ST_NOMEM;
    v = list->child;
    for (size_t i = 0; i < list->count; i++, v = v->next) {
        if (!read_example(v, dimensions, arena, &(*out)[i]))
            return ST_INVALID;
    }
    *count = list->count;
    return ST_OK;
}
