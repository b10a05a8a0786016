#include "config/options.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "config/listen.h"
#include "config/value.h"

#define QUOTED_MAX   80 /* characters of a refused value that are shown */
#define NAME_MAX_LEN 64
#define ENV_PREFIX   "IBID_"
#define MASK         "***"

/* --- names ------------------------------------------------------------------------- */

struct span options_section(const struct option *o)
{
    const char *dot = strchr(o->name, '.');

    return (struct span){o->name, dot != NULL ? (size_t)(dot - o->name) : 0};
}

struct span options_key(const struct option *o)
{
    const char *dot = strchr(o->name, '.');

    return span_of(dot != NULL ? dot + 1 : o->name);
}

const struct option *options_find(struct span section, struct span key)
{
    for (size_t i = 0; i < options_table_count; i++) {
        const struct option *o = &options_table[i];

        if (section.len == 0
                ? span_eq(span_of(o->name), key)
                : span_eq(options_section(o), section) && span_eq(options_key(o), key))
            return o;
    }
    return NULL;
}

bool options_has_section(struct span section)
{
    for (size_t i = 0; section.len > 0 && i < options_table_count; i++) {
        if (span_eq(options_section(&options_table[i]), section))
            return true;
    }
    return false;
}

/* Levenshtein distance, one row at a time. */
static unsigned distance(struct span a, struct span b)
{
    unsigned row[NAME_MAX_LEN + 1];

    if (a.len > NAME_MAX_LEN || b.len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned corner = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned best = corner + (a.ptr[i - 1] != b.ptr[j - 1]);

            corner = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len];
}

const char *options_nearest(struct span section, struct span key)
{
    char full[2 * NAME_MAX_LEN];
    const char *best = NULL;
    unsigned least = NAME_MAX_LEN;
    int n = snprintf(full, sizeof(full), "%.*s%s%.*s", (int)section.len, section.ptr,
                     section.len > 0 ? "." : "", (int)key.len, key.ptr);

    if (n < 0 || (size_t)n >= sizeof(full))
        return NULL;
    for (size_t i = 0; i < options_table_count; i++) {
        const struct option *o = &options_table[i];
        unsigned whole = distance(span_of(full), span_of(o->name));
        /* The right key in the wrong section counts as one step. */
        unsigned part = distance(key, options_key(o)) + 1;
        unsigned d = whole < part ? whole : part;

        if (d < least) {
            least = d;
            best = o->name;
        }
    }
    return least <= 1 + key.len / 3 ? best : NULL;
}

void options_env_name(const struct option *o, char out[OPTIONS_ENV_MAX])
{
    size_t n = (size_t)snprintf(out, OPTIONS_ENV_MAX, ENV_PREFIX "%s", o->name);

    for (size_t i = strlen(ENV_PREFIX); i < n && i < OPTIONS_ENV_MAX; i++) {
        if (out[i] == '.')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
    }
}

/* --- reading ----------------------------------------------------------------------- */

static int shown(struct span text)
{
    return (int)(text.len < QUOTED_MAX ? text.len : QUOTED_MAX);
}

static enum status refuse(const struct option *o, enum status st, struct span text, char *why,
                          size_t why_cap)
{
    struct buf bounds;
    bool written;

    buf_init(&bounds, 256);
    written = options_write_bounds(o, &bounds) == ST_OK && bounds.len > 0;
    if (written && o->words != NULL)
        snprintf(why, why_cap, "'%.*s' is not one of: %.*s", shown(text), text.ptr,
                 (int)bounds.len, bounds.ptr);
    else if (written && st == ST_LIMIT)
        snprintf(why, why_cap, "'%.*s' is not within %.*s", shown(text), text.ptr,
                 (int)bounds.len, bounds.ptr);
    else
        snprintf(why, why_cap, "'%.*s' is not a %s", shown(text), text.ptr,
                 options_type_name(o));
    buf_release(&bounds);
    return st;
}

/* Control characters have no business in a path, a URL or a name, and would break
 * what is printed from them. */
static bool is_clean(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

static const char *home(void)
{
    const char *dir = getenv("HOME");
    const struct passwd *user;

    if (dir != NULL && dir[0] != '\0')
        return dir;
    user = getpwuid(getuid());
    return user != NULL && user->pw_dir != NULL ? user->pw_dir : "";
}

static enum status set_text(char *field, const struct option *o, struct span text, char *why,
                            size_t why_cap)
{
    const char *before = "";

    if (!is_clean(text)) {
        snprintf(why, why_cap, "holds a control character");
        return ST_INVALID;
    }
    if (o->type == OPTION_PATH && text.len > 0 && text.ptr[0] == '~' &&
        (text.len == 1 || text.ptr[1] == '/')) {
        before = home();
        text.ptr++;
        text.len--;
    }
    if (strlen(before) + text.len >= o->size) {
        snprintf(why, why_cap, "is longer than %zu bytes", o->size - 1);
        return ST_LIMIT;
    }
    snprintf(field, o->size, "%s%.*s", before, (int)text.len, text.ptr);
    return ST_OK;
}

/* YAML 1.1 writers turn on and off into true and false. */
static struct span as_word(const char *const *words, struct span text)
{
    bool value;

    for (size_t i = 0; words[i] != NULL; i++) {
        if (span_eq(span_of(words[i]), text))
            return text;
    }
    return value_bool(text, &value) == ST_OK ? span_of(value ? "on" : "off") : text;
}

static bool find_word(const char *const *words, struct span text, unsigned *out)
{
    text = as_word(words, text);
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (span_eq(span_of(words[i]), text)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum status set_word(void *field, const struct option *o, struct span text)
{
    unsigned at;

    if (!find_word(o->words, text, &at))
        return ST_INVALID;
    if (o->type == OPTION_SWITCH)
        *(bool *)field = at == 0;
    else if (o->type == OPTION_CHOICE)
        snprintf(field, o->size, "%s", o->words[at]);
    else
        memcpy(field, &at, sizeof(at)); /* the enum; its size is asserted in the table */
    return ST_OK;
}

static enum status set_number(void *field, const struct option *o, struct span text)
{
    uint64_t n;
    double v;
    enum status st;

    if (o->type == OPTION_REAL) {
        st = value_real(text, &v);
        if (st == ST_OK && (v < o->min || v > o->max))
            st = ST_LIMIT;
        if (st == ST_OK)
            *(double *)field = v;
        return st;
    }
    st = o->type == OPTION_BYTES ? value_bytes(text, &n) : value_uint(text, &n);
    if (st == ST_OK && (n < o->low || n > o->high))
        st = ST_LIMIT;
    if (st == ST_OK)
        *(uint64_t *)field = n;
    return st;
}

enum status options_set(struct config *c, const struct option *o, struct span text, char *why,
                        size_t why_cap)
{
    void *field = (char *)c + o->offset;
    enum status st = ST_INVALID;

    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_WORDS:
    case OPTION_PAIRS:
        return set_text(field, o, text, why, why_cap);
    case OPTION_DATE:
        if (value_is_date(text))
            return set_text(field, o, text, why, why_cap);
        break;
    case OPTION_LISTEN:
        return listen_add(c, text, why, why_cap);
    case OPTION_CHOICE:
    case OPTION_WORD:
    case OPTION_SWITCH:
        st = set_word(field, o, text);
        break;
    case OPTION_UINT:
    case OPTION_BYTES:
    case OPTION_REAL:
        st = set_number(field, o, text);
        break;
    case OPTION_RECORDS:
        break;
    }
    return st == ST_OK ? ST_OK : refuse(o, st, text, why, why_cap);
}

/* --- writing ----------------------------------------------------------------------- */

/* redis://user:password@host: all between the first ':' of the user part and '@'; a word alone
 * may be a password. */
static enum status write_url(struct span url, bool mask, struct buf *out)
{
    char masked[CONFIG_TEXT_MAX + sizeof(MASK)];
    const char *start = strstr(url.ptr, "://");
    const char *at = start != NULL ? strrchr(start, '@') : NULL;
    const char *user, *colon, *secret;

    if (!mask || at == NULL)
        return value_write_text(out, url);
    user = start + 3;
    colon = memchr(user, ':', (size_t)(at - user));
    secret = colon != NULL ? colon + 1 : user;
    snprintf(masked, sizeof(masked), "%.*s" MASK "%s", (int)(secret - url.ptr), url.ptr, at);
    return value_write_text(out, span_of(masked));
}

static const char *word_of(const void *field, const struct option *o)
{
    unsigned at = 0;

    if (o->type == OPTION_SWITCH)
        return o->words[*(const bool *)field ? 0 : 1];
    memcpy(&at, field, sizeof(at));
    return o->words[at];
}

enum status options_write(const struct config *c, const struct option *o, bool mask,
                          struct buf *out)
{
    const void *field = (const char *)c + o->offset;

    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_CHOICE:
    case OPTION_DATE:
    case OPTION_WORDS:
    case OPTION_PAIRS:
        return value_write_text(out, span_of(field));
    case OPTION_URL:
        return write_url(span_of(field), mask, out);
    case OPTION_WORD:
    case OPTION_SWITCH:
        return buf_append(out, span_of(word_of(field, o)));
    case OPTION_UINT:
        return buf_printf(out, "%" PRIu64, *(const uint64_t *)field);
    case OPTION_BYTES:
        return value_write_bytes(out, *(const uint64_t *)field);
    case OPTION_REAL:
        return value_write_real(out, *(const double *)field);
    case OPTION_LISTEN:
    case OPTION_RECORDS:
        break;
    }
    return ST_INTERNAL;
}

static enum status write_words(const char *const *words, struct buf *out)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && words[i] != NULL; i++)
        st = buf_printf(out, "%s%s", i > 0 ? ", " : "", words[i]);
    return st;
}

enum status options_write_bounds(const struct option *o, struct buf *out)
{
    enum status st = ST_OK;

    if (o->words != NULL)
        return write_words(o->words, out);
    if (o->type == OPTION_REAL)
        return buf_printf(out, "%g..%g", o->min, o->max);
    if (o->type == OPTION_UINT && o->high == UINT64_MAX)
        return buf_printf(out, "%" PRIu64 " or more", o->low);
    if (o->type == OPTION_UINT)
        return buf_printf(out, "%" PRIu64 "..%" PRIu64, o->low, o->high);
    if (o->type == OPTION_BYTES) {
        st = value_write_bytes(out, o->low);
        if (st == ST_OK)
            st = buf_append(out, SPAN(".."));
        if (st == ST_OK)
            st = value_write_bytes(out, o->high);
    }
    return st;
}

const char *options_type_name(const struct option *o)
{
    switch (o->type) {
    case OPTION_TEXT:
        return "text";
    case OPTION_PATH:
        return "path";
    case OPTION_URL:
        return "URL";
    case OPTION_CHOICE:
    case OPTION_WORD:
        return "choice";
    case OPTION_SWITCH:
        return "switch";
    case OPTION_UINT:
        return "whole number";
    case OPTION_BYTES:
        return "size";
    case OPTION_REAL:
        return "number";
    case OPTION_DATE:
        return "date YYYY-MM-DD";
    case OPTION_PAIRS:
        return "mapping";
    case OPTION_WORDS:
    case OPTION_LISTEN:
    case OPTION_RECORDS:
        return "list";
    }
    return "value";
}
