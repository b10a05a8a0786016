#include "config/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/records.h"

#define VALUE_MAX_BYTES (4 * CONFIG_TEXT_MAX) /* quoted */

/* A name that ends in a dot: the whole section; LIST[].FIELD: that one of the list's records.
 */
static const char *const live[] = {
    "upstream.",
    "route.models",
    "route.ladder",
    "route.classifier",
    "route.cascade",
    "route.confidence_min",
    "route.vote",
    "route.hedge_ms",
    "route.explore",
    "route.outcomes",
    "route.examples",
    "route.deadline_ms",
    "route.quality_loss_max",
    "route.upstream_share",
    "privacy.",
    "cors.",
    "answers.",
    "judge.",
    "export.",
    "upstreams",
    "routes",
    "prompts",
    "privacy_patterns",
    "prices",
    "prices_file",
    "log_level",
    "access_log.",
    "audit_log.",
    "telemetry.sample",
    "store.ttl_s",
    "encoder.wait_max_ms",
    "encoder.deadline_ms",
    "local.deadline_ms",
    "local.adapters",
    "models[].adapters",
    "cache.exact",
    "cache.semantic",
    "cache.rewrite",
    "cache.threshold",
    "cache.floor",
    "cache.top_k",
    "cache.scope_header",
    "cache.scope_name",
    "cache.epoch",
    "cache.temperature_max",
    "cache.store_false",
    "cache.tool_calls",
    "cache.answer_max_bytes",
    "cache.coalesce",
    "cache.lease_ms",
    "cache.stale_while_revalidate_s",
    "cache.stale_if_error_s",
    "cache.refresh_max",
    "cache.refresh_ahead",
    "cache.regenerate_after_s",
    "cache.timely_ttl_s",
    "cache.replay_pace",
    "explain.questions",
    "limits.head_max_bytes",
    "limits.body_max_bytes",
    "limits.json_depth_max",
    "limits.connections_max",
    "limits.http2_streams_max",
    "limits.requests_max",
    "limits.head_timeout_ms",
    "limits.body_timeout_ms",
    "limits.idle_timeout_ms",
    "limits.write_timeout_ms",
    "limits.drain_timeout_ms",
    "limits.buffer_bytes",
};

static bool is_listed(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(live); i++) {
        size_t n = strlen(live[i]);

        if (live[i][n - 1] == '.' ? strncmp(name, live[i], n) == 0 : strcmp(name, live[i]) == 0)
            return true;
    }
    return false;
}

static bool is_field_listed(const struct records *list, const struct option *field)
{
    char name[64];

    snprintf(name, sizeof(name), "%s[].%s", list->name, field->name);
    return is_listed(name);
}

bool live_is(const struct config *started, const struct option *o)
{
    /* Then there is no encoder, and opening one takes longer than requests can wait. */
    if (strcmp(o->name, "cache.semantic") == 0 && started->cache.semantic == SEMANTIC_OFF)
        return false;
    return is_listed(o->name);
}

/* --- comparing ---------------------------------------------------------------------------- */

static enum status same_value(const struct config *a, const struct config *b,
                              const struct option *o, bool *same)
{
    struct buf x, y;
    enum status st;

    buf_init(&x, VALUE_MAX_BYTES);
    buf_init(&y, VALUE_MAX_BYTES);
    st = options_write(a, o, false, &x);
    if (st == ST_OK)
        st = options_write(b, o, false, &y);
    *same = span_eq(buf_span(&x), buf_span(&y));
    buf_release(&x);
    buf_release(&y);
    return st;
}

static bool same_listen(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++) {
        if (strcmp(a->listen[i], b->listen[i]) != 0)
            return false;
    }
    return true;
}

static size_t count_of(const struct records *list, const struct config *c)
{
    return *(const size_t *)(const void *)((const char *)c + list->count_offset);
}

/* `all`: in the fields that a reload may change, too. */
static enum status same_records(const struct config *a, const struct config *b,
                                const struct records *list, bool all, bool *same)
{
    enum status st = ST_OK;
    size_t n = count_of(list, a);

    *same = n == count_of(list, b);
    for (size_t i = 0; st == ST_OK && *same && i < n; i++) {
        for (size_t f = 0; st == ST_OK && *same && f < list->field_count; f++) {
            struct option o = records_at(list, &list->fields[f], i);

            if (all || !is_field_listed(list, &list->fields[f]))
                st = same_value(a, b, &o, same);
        }
    }
    return st;
}

static enum status is_same(const struct config *a, const struct config *b,
                           const struct option *o, bool all, bool *same)
{
    if (o->type == OPTION_LISTEN) {
        *same = same_listen(a, b);
        return ST_OK;
    }
    if (o->type == OPTION_RECORDS)
        return same_records(a, b, records_find(span_of(o->name)), all, same);
    return same_value(a, b, o, same);
}

static void add_name(struct live_names *names, const char *name)
{
    if (names->count < LIVE_NAMES_MAX)
        names->list[names->count++] = name;
}

enum status live_compare(const struct config *a, const struct config *b, struct live_names *out)
{
    enum status st = ST_OK;

    out->count = 0;
    for (size_t i = 0; st == ST_OK && i < options_table_count; i++) {
        bool same = true;

        st = is_same(a, b, &options_table[i], true, &same);
        if (!same)
            add_name(out, options_table[i].name);
    }
    return st;
}

/* --- giving back -------------------------------------------------------------------------- */

static size_t field_bytes(const struct option *o)
{
    switch (o->type) {
    case OPTION_WORD:
        return sizeof(unsigned); /* as options_set() writes it */
    case OPTION_SWITCH:
        return sizeof(bool);
    case OPTION_UINT:
    case OPTION_BYTES:
        return sizeof(uint64_t);
    case OPTION_REAL:
        return sizeof(double);
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_CHOICE:
    case OPTION_DATE:
    case OPTION_WORDS:
    case OPTION_PAIRS:
        return o->size;
    case OPTION_LISTEN:
    case OPTION_RECORDS:
        break;
    }
    return 0;
}

static void copy_field(const struct config *from, struct config *to, size_t offset, size_t n)
{
    memcpy((char *)to + offset, (const char *)from + offset, n);
}

/* The record of that name among n of them, or NULL. */
static const char *find_record(const struct records *list, const char *records, size_t n,
                               const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const char *one = records + i * list->size;

        if (strcmp(one + list->fields[0].offset, name) == 0)
            return one;
    }
    return NULL;
}

/* Records of the same name keep what may change. */
static enum status copy_records(const struct config *from, struct config *to,
                                const struct records *list)
{
    size_t bytes = list->size * list->max, n = count_of(list, to);
    char *next = malloc(bytes), *own = (char *)to + list->offset;

    if (next == NULL)
        return ST_NOMEM;
    memcpy(next, own, bytes);
    copy_field(from, to, list->offset, bytes);
    copy_field(from, to, list->count_offset, sizeof(size_t));
    for (size_t i = 0; i < count_of(list, to); i++, own += list->size) {
        const char *same = find_record(list, next, n, own + list->fields[0].offset);

        for (size_t f = 0; same != NULL && f < list->field_count; f++) {
            const struct option *o = &list->fields[f];

            if (is_field_listed(list, o))
                memcpy(own + o->offset, same + o->offset, field_bytes(o));
        }
    }
    free(next);
    return ST_OK;
}

static enum status copy_option(const struct config *from, struct config *to,
                               const struct option *o)
{

    if (o->type == OPTION_LISTEN) {
        memcpy(to->listen, from->listen, sizeof(to->listen));
        to->listen_count = from->listen_count;
    } else if (o->type == OPTION_RECORDS) {
        return copy_records(from, to, records_find(span_of(o->name)));
    } else {
        copy_field(from, to, o->offset, field_bytes(o));
    }
    return ST_OK;
}

enum status live_keep(const struct config *started, struct config *next,
                      struct live_names *restart)
{
    enum status st = ST_OK;

    restart->count = 0;
    for (size_t i = 0; st == ST_OK && i < options_table_count; i++) {
        const struct option *o = &options_table[i];
        bool same = true;

        if (live_is(started, o))
            continue;
        st = is_same(started, next, o, false, &same);
        if (same)
            continue;
        add_name(restart, o->name);
        st = copy_option(started, next, o);
    }
    return st;
}

/* --- the reference ------------------------------------------------------------------------ */

enum status live_write(struct buf *out)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(live); i++) {
        bool section = live[i][strlen(live[i]) - 1] == '.';

        st = buf_printf(out, "%s`%s%s`", i > 0 ? ", " : "", live[i], section ? "*" : "");
    }
    return st;
}
