/* The configuration file: libyaml's events against the table of settings.
 *
 * The file is one mapping of settings and sections, one level deep; the two lists
 * are read where they stand. Anchors, aliases, tags and further documents are
 * refused: they add ways to be misread and nothing to say. No recursion, so depth
 * is no input's choice. libyaml is seen here only. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "config/config.h"
#include "config/listen.h"
#include "config/options.h"
#include "config/value.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define OPTIONS_MAX    128
#define KEY_MAX        64
#define PRICE_USD_MAX  1e6 /* a million tokens */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one at hand; zeroed: none */
    struct config *config;
    struct config_error *err;
    unsigned seen_line[OPTIONS_MAX];    /* where each option stood; 0: nowhere yet */
    unsigned section_line[OPTIONS_MAX]; /* by the section's first option */
};

/* A key and where it stands. */
struct key {
    char text[KEY_MAX];
    unsigned line;
};

static enum status fail(struct reader *r, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum status fail(struct reader *r, unsigned line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    r->err->line = line;
    vsnprintf(r->err->text, sizeof(r->err->text), fmt, args);
    va_end(args);
    return ST_INVALID;
}

/* --- events ------------------------------------------------------------------------ */

static unsigned here(const struct reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

static enum status refuse_decoration(struct reader *r, const void *anchor, const void *tag)
{
    if (anchor != NULL)
        return fail(r, here(r), "anchors (&) are not taken");
    if (tag != NULL)
        return fail(r, here(r), "tags (!) are not taken");
    return ST_OK;
}

static enum status check_event(struct reader *r)
{
    const yaml_event_t *e = &r->event;

    if (e->type == YAML_ALIAS_EVENT)
        return fail(r, here(r), "aliases (*) are not taken; quote a text that starts with *");
    if (e->type == YAML_SCALAR_EVENT) {
        if (memchr(e->data.scalar.value, '\0', e->data.scalar.length) != NULL)
            return fail(r, here(r), "a NUL byte");
        return refuse_decoration(r, e->data.scalar.anchor, e->data.scalar.tag);
    }
    if (e->type == YAML_MAPPING_START_EVENT)
        return refuse_decoration(r, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    if (e->type == YAML_SEQUENCE_START_EVENT)
        return refuse_decoration(r, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    return ST_OK;
}

static enum status next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const char *problem = r->parser.problem != NULL ? r->parser.problem : "not YAML";

        memset(&r->event, 0, sizeof(r->event));
        if (r->parser.error == YAML_MEMORY_ERROR)
            return ST_NOMEM;
        return fail(r, (unsigned)r->parser.problem_mark.line + 1, "%s", problem);
    }
    return check_event(r);
}

static struct span scalar(const struct reader *r)
{
    return (struct span){(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
}

/* The event at hand is the key of a mapping. */
static enum status take_key(struct reader *r, struct key *out)
{
    struct span text;

    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, here(r), "a key must be a plain word");
    text = scalar(r);
    if (text.len >= sizeof(out->text))
        return fail(r, here(r), "unknown key '%.40s…'", text.ptr);
    memcpy(out->text, text.ptr, text.len);
    out->text[text.len] = '\0';
    out->line = here(r);
    return ST_OK;
}

/* --- settings ---------------------------------------------------------------------- */

static enum status unknown_key(struct reader *r, const char *section, const struct key *k)
{
    const char *near = options_nearest(span_of(section), span_of(k->text));
    const char *dot = section[0] != '\0' ? "." : "";

    if (near == NULL)
        return fail(r, k->line, "unknown key '%s%s%s'", section, dot, k->text);
    return fail(r, k->line, "unknown key '%s%s%s'; did you mean '%s'?", section, dot, k->text,
                near);
}

static enum status first_time(struct reader *r, unsigned *line, const char *name,
                              const struct key *k)
{
    if (*line != 0)
        return fail(r, k->line, "%s: is already set in line %u", name, *line);
    *line = k->line;
    return ST_OK;
}

static enum status set(struct reader *r, const struct option *o, struct span text)
{
    char why[200];
    enum status st = options_set(r->config, o, text, why, sizeof(why));

    if (st != ST_OK)
        (void)fail(r, here(r), "%s: %s", o->name, why);
    return st;
}

static enum status read_listen(struct reader *r, const struct option *o)
{
    enum status st;

    r->config->listen_count = 0;
    if (r->event.type == YAML_SCALAR_EVENT)
        return set(r, o, scalar(r));
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail(r, here(r), "listen: expected an address or a list of them");
    while ((st = next(r)) == ST_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (r->event.type != YAML_SCALAR_EVENT)
            return fail(r, here(r), "listen: expected an address");
        st = set(r, o, scalar(r));
        if (st != ST_OK)
            return st;
    }
    return st;
}

/* --- prices ------------------------------------------------------------------------ */

enum price_field { PRICE_MODEL, PRICE_INPUT, PRICE_OUTPUT, PRICE_SOURCE, PRICE_DATE };

static const char *const price_fields[] = {"model", "input", "output", "source", "date"};

static enum status price_text(struct reader *r, enum price_field f, char *out, size_t cap)
{
    struct span text = scalar(r);

    if (text.len == 0 || text.len >= cap)
        return fail(r, here(r), "prices: %s is %s", price_fields[f],
                    text.len == 0 ? "empty" : "too long");
    if (f == PRICE_DATE && !value_is_date(text))
        return fail(r, here(r), "prices: date '%.20s' is not YYYY-MM-DD", text.ptr);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return ST_OK;
}

static enum status price_usd(struct reader *r, enum price_field f, double *out)
{
    double v;

    if (value_real(scalar(r), &v) != ST_OK || v < 0 || v > PRICE_USD_MAX)
        return fail(r, here(r), "prices: %s '%.20s' is no price in US dollars", price_fields[f],
                    scalar(r).ptr);
    *out = v;
    return ST_OK;
}

static enum status price_set(struct reader *r, struct config_price *p, enum price_field f)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, here(r), "prices: %s must be a single value", price_fields[f]);
    switch (f) {
    case PRICE_MODEL:
        return price_text(r, f, p->model, sizeof(p->model));
    case PRICE_SOURCE:
        return price_text(r, f, p->source, sizeof(p->source));
    case PRICE_DATE:
        return price_text(r, f, p->date, sizeof(p->date));
    case PRICE_INPUT:
        return price_usd(r, f, &p->input_usd_per_mtok);
    case PRICE_OUTPUT:
        return price_usd(r, f, &p->output_usd_per_mtok);
    }
    return ST_INTERNAL;
}

/* After the start of one price's mapping. */
static enum status read_price(struct reader *r, struct config_price *p)
{
    unsigned start = here(r), have = 0;
    struct key k;
    enum status st;

    while ((st = next(r)) == ST_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        unsigned f = 0;

        st = take_key(r, &k);
        if (st != ST_OK)
            return st;
        while (f < ARRAY_LEN(price_fields) && strcmp(price_fields[f], k.text) != 0)
            f++;
        if (f == ARRAY_LEN(price_fields))
            return fail(r, k.line, "prices: unknown key '%s'", k.text);
        if ((have & 1u << f) != 0)
            return fail(r, k.line, "prices: %s is set twice", k.text);
        have |= 1u << f;
        st = next(r);
        if (st == ST_OK)
            st = price_set(r, p, (enum price_field)f);
        if (st != ST_OK)
            return st;
    }
    for (unsigned f = 0; st == ST_OK && f < ARRAY_LEN(price_fields); f++) {
        if ((have & 1u << f) == 0)
            return fail(r, start, "prices: %s is missing", price_fields[f]);
    }
    return st;
}

static enum status add_price(struct reader *r)
{
    struct config *c = r->config;
    struct config_price p = {.model = ""};
    unsigned line = here(r);
    enum status st;

    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, line, "prices: expected {model, input, output, source, date}");
    if (c->price_count == CONFIG_PRICES_MAX)
        return fail(r, line, "prices: more than %d", CONFIG_PRICES_MAX);
    st = read_price(r, &p);
    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < c->price_count; i++) {
        if (strcmp(c->prices[i].model, p.model) == 0)
            return fail(r, line, "prices: model '%.60s' is there twice", p.model);
    }
    c->prices[c->price_count++] = p;
    return ST_OK;
}

static enum status read_prices(struct reader *r)
{
    enum status st;

    r->config->price_count = 0;
    if (r->event.type == YAML_SCALAR_EVENT && scalar(r).len == 0)
        return ST_OK;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail(r, here(r), "prices: expected a list");
    while ((st = next(r)) == ST_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        st = add_price(r);
        if (st != ST_OK)
            return st;
    }
    return st;
}

/* --- the file ---------------------------------------------------------------------- */

/* The event at hand is the key's value. */
static enum status read_option(struct reader *r, const struct option *o, const struct key *k)
{
    enum status st = first_time(r, &r->seen_line[o - options_table], o->name, k);

    if (st != ST_OK)
        return st;
    if (o->type == OPTION_LISTEN)
        return read_listen(r, o);
    if (o->type == OPTION_PRICES)
        return read_prices(r);
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, here(r), "%s: expected a single value", o->name);
    return set(r, o, scalar(r));
}

static enum status read_section(struct reader *r, const struct key *section)
{
    struct span name = span_of(section->text);
    size_t first = 0;
    struct key k;
    enum status st;

    while (!span_eq(options_section(&options_table[first]), name))
        first++;
    st = first_time(r, &r->section_line[first], section->text, section);
    if (st != ST_OK)
        return st;
    /* All its keys are commented out. */
    if (r->event.type == YAML_SCALAR_EVENT && scalar(r).len == 0)
        return ST_OK;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, here(r), "%s: is a section; its keys stand indented below it",
                    section->text);
    while ((st = next(r)) == ST_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        const struct option *o;

        st = take_key(r, &k);
        if (st != ST_OK)
            return st;
        o = options_find(name, span_of(k.text));
        if (o == NULL)
            return unknown_key(r, section->text, &k);
        st = next(r);
        if (st == ST_OK)
            st = read_option(r, o, &k);
        if (st != ST_OK)
            return st;
    }
    return st;
}

static enum status read_root(struct reader *r)
{
    struct key k;
    enum status st;

    while ((st = next(r)) == ST_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        const struct option *o;

        st = take_key(r, &k);
        if (st != ST_OK)
            return st;
        o = options_find(SPAN(""), span_of(k.text));
        if (o == NULL && !options_has_section(span_of(k.text)))
            return unknown_key(r, "", &k);
        st = next(r);
        if (st == ST_OK)
            st = o != NULL ? read_option(r, o, &k) : read_section(r, &k);
        if (st != ST_OK)
            return st;
    }
    return st;
}

static enum status read_document(struct reader *r)
{
    enum status st = next(r); /* the stream's start */

    if (st == ST_OK)
        st = next(r);
    if (st != ST_OK || r->event.type == YAML_STREAM_END_EVENT)
        return st; /* nothing but comments: all defaults */
    st = next(r);
    if (st != ST_OK)
        return st;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        st = read_root(r);
    else if (r->event.type != YAML_SCALAR_EVENT || scalar(r).len > 0)
        return fail(r, here(r), "expected 'key: value' lines");
    if (st == ST_OK)
        st = next(r); /* the document's end */
    if (st == ST_OK)
        st = next(r);
    if (st == ST_OK && r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, here(r), "more than one document");
    return st;
}

static enum status read_all(struct reader *r, struct span text)
{
    enum status st;

    if (!yaml_parser_initialize(&r->parser))
        return ST_NOMEM;
    /* Else a byte order mark could make it UTF-16, and lines lie about themselves. */
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text.ptr, text.len);
    st = read_document(r);
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    return st;
}

enum status config_parse(struct config *c, struct span text, struct config_error *err)
{
    struct reader r = {.err = err};
    enum status st;

    err->line = 0;
    snprintf(err->text, sizeof(err->text), "out of memory");
    if (text.len > FILE_MAX_BYTES) {
        snprintf(err->text, sizeof(err->text), "is larger than %d bytes", FILE_MAX_BYTES);
        return ST_LIMIT;
    }
    if (options_table_count > OPTIONS_MAX)
        return ST_INTERNAL;
    r.config = malloc(sizeof(*r.config));
    if (r.config == NULL)
        return ST_NOMEM;
    *r.config = *c; /* all or nothing */
    st = read_all(&r, text.len > 0 ? text : SPAN(""));
    if (st == ST_OK)
        *c = *r.config;
    free(r.config);
    return st;
}
