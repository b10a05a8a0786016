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
#include "config/records.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define OPTIONS_MAX    256
#define KEY_MAX        64

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

/* --- lists and mappings ------------------------------------------------------------ */

/* Words are kept parted by blanks, so none may hold one. */
static enum status put_word(struct reader *r, const char *what, struct buf *out)
{
    struct span word = scalar(r);

    if (r->event.type != YAML_SCALAR_EVENT || word.len == 0 ||
        memchr(word.ptr, ' ', word.len) != NULL)
        return fail(r, here(r), "%s: expected a word without blanks", what);
    return buf_append(out, word);
}

/* After the start of a list or a mapping: "a b", "a=1 b=2". */
static enum status join_words(struct reader *r, const char *what, bool pairs, struct buf *out)
{
    enum status st;

    while ((st = next(r)) == ST_OK && r->event.type != YAML_SEQUENCE_END_EVENT &&
           r->event.type != YAML_MAPPING_END_EVENT) {
        st = out->len > 0 ? buf_append(out, SPAN(" ")) : ST_OK;
        if (st == ST_OK)
            st = put_word(r, what, out);
        if (st == ST_OK && pairs)
            st = buf_append(out, SPAN("="));
        if (st == ST_OK && pairs)
            st = next(r);
        if (st == ST_OK && pairs)
            st = put_word(r, what, out);
        if (st != ST_OK)
            return st;
    }
    return st;
}

/* The event at hand is the value of `o`, which goes by the name of `what`. */
static enum status read_value(struct reader *r, const struct option *o, const char *what)
{
    bool list = o->type == OPTION_WORDS && r->event.type == YAML_SEQUENCE_START_EVENT;
    bool pairs = o->type == OPTION_PAIRS && r->event.type == YAML_MAPPING_START_EVENT;
    char why[200];
    struct buf text;
    enum status st = ST_OK;

    if (r->event.type != YAML_SCALAR_EVENT && !list && !pairs)
        return fail(r, here(r), "%s: expected a single value", what);
    buf_init(&text, CONFIG_TEXT_MAX);
    if (list || pairs)
        st = join_words(r, what, pairs, &text);
    if (st == ST_LIMIT)
        st = fail(r, here(r), "%s: is too long", what);
    if (st == ST_OK) {
        st = options_set(r->config, o, list || pairs ? buf_span(&text) : scalar(r), why,
                         sizeof(why));
        if (st != ST_OK)
            (void)fail(r, here(r), "%s: %s", what, why);
    }
    buf_release(&text);
    return st;
}

/* --- records ----------------------------------------------------------------------- */

static const char *record_name(const struct reader *r, const struct records *list, size_t i)
{
    return (const char *)r->config + records_at(list, list->fields, i).offset;
}

static enum status read_field(struct reader *r, const struct records *list, size_t i,
                              const struct option *field)
{
    struct option o = records_at(list, field, i);
    char what[2 * KEY_MAX];

    snprintf(what, sizeof(what), "%s: %s", list->name, field->name);
    if (field->preset == NULL && r->event.type == YAML_SCALAR_EVENT && scalar(r).len == 0)
        return fail(r, here(r), "%s is empty", what);
    return read_value(r, &o, what);
}

static enum status preset_fields(struct reader *r, const struct records *list, size_t i)
{
    char why[200];
    enum status st = ST_OK;

    for (size_t f = 0; st == ST_OK && f < list->field_count; f++) {
        struct option o = records_at(list, &list->fields[f], i);

        if (o.preset != NULL)
            st = options_set(r->config, &o, span_of(o.preset), why, sizeof(why));
    }
    return st;
}

/* After the start of the record's mapping. */
static enum status read_record(struct reader *r, const struct records *list, size_t i)
{
    unsigned start = here(r), have = 0;
    struct key k;
    enum status st = preset_fields(r, list, i);

    while (st == ST_OK && (st = next(r)) == ST_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        const struct option *field;
        unsigned bit;

        st = take_key(r, &k);
        if (st != ST_OK)
            return st;
        field = records_field(list, span_of(k.text));
        if (field == NULL)
            return fail(r, k.line, "%s: unknown key '%s'", list->name, k.text);
        bit = 1u << (field - list->fields);
        if ((have & bit) != 0)
            return fail(r, k.line, "%s: %s is set twice", list->name, k.text);
        have |= bit;
        st = next(r);
        if (st == ST_OK)
            st = read_field(r, list, i, field);
    }
    for (unsigned f = 0; st == ST_OK && f < list->field_count; f++) {
        if (list->fields[f].preset == NULL && (have & 1u << f) == 0)
            return fail(r, start, "%s: %s is missing", list->name, list->fields[f].name);
    }
    return st;
}

static enum status add_record(struct reader *r, const struct records *list)
{
    size_t *count = records_count(list, r->config);
    unsigned line = here(r);
    enum status st;

    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, line, "%s: expected a list of 'key: value' blocks", list->name);
    if (*count == list->max)
        return fail(r, line, "%s: more than %zu", list->name, list->max);
    st = read_record(r, list, *count);
    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(record_name(r, list, i), record_name(r, list, *count)) == 0)
            return fail(r, line, "%s: %s '%.60s' is there twice", list->name,
                        list->fields[0].name, record_name(r, list, i));
    }
    ++*count;
    return ST_OK;
}

static enum status read_records(struct reader *r, const struct records *list)
{
    enum status st;

    *records_count(list, r->config) = 0;
    if (r->event.type == YAML_SCALAR_EVENT && scalar(r).len == 0)
        return ST_OK;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return fail(r, here(r), "%s: expected a list", list->name);
    while ((st = next(r)) == ST_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        st = add_record(r, list);
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
    if (o->type == OPTION_RECORDS)
        return read_records(r, records_find(span_of(o->name)));
    return read_value(r, o, o->name);
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
