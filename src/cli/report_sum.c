#include "cli/report_sum.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/day.h"

/* The classes of the cost curve, one price for tokens of either kind: what the best model of a
 * year cost, and what a small one does now, hosted or on one's own machine. */
const struct report_class report_sum_classes[REPORT_CLASSES] = {
    {"2023 frontier", 60},        {"2024 frontier", 15},    {"2025 frontier", 2.5},
    {"2026 small, hosted", 0.02}, {"2026 small, local", 0},
};

static const struct {
    enum report_key key;
    const char *name;
} keys[] = {
    {REPORT_DAY, "day"},     {REPORT_TENANT, "tenant"}, {REPORT_ROUTE, "route"},
    {REPORT_MODEL, "model"}, {REPORT_SOURCE, "source"},
};

const char *report_sum_key_name(enum report_key k)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i].key == k)
            return keys[i].name;
    }
    return "";
}

bool report_sum_keys(const char *text, unsigned *out)
{
    *out = 0;
    for (;;) {
        size_t n = strcspn(text, ","), i = 0;

        while (i < ARRAY_LEN(keys) && !span_eq(span_of(keys[i].name), (struct span){text, n}))
            i++;
        if (i == ARRAY_LEN(keys))
            return false;
        *out |= keys[i].key;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

struct span report_sum_key_text(const struct report_line *line, enum report_key k,
                                char out[REPORT_TEXT_BYTES])
{
    const struct ledger_row *r = &line->key;

    out[0] = '\0';
    switch (k) {
    case REPORT_DAY:
        if (r->day == LEDGER_EARLIER)
            return SPAN("earlier");
        day_write(r->day, out);
        break;
    case REPORT_TENANT:
        if (r->tenant != 0)
            (void)snprintf(out, REPORT_TEXT_BYTES, "%016" PRIx64, r->tenant);
        break;
    case REPORT_ROUTE:
        return ledger_row_route(r);
    case REPORT_MODEL:
        return ledger_row_model(r);
    case REPORT_SOURCE:
        return span_of(source_name((enum source)r->source));
    }
    return span_of(out);
}

/* --- summing --------------------------------------------------------------------------- */

static enum report_kind kind_of(enum source s)
{
    switch (s) {
    case SOURCE_EXACT:
    case SOURCE_SEMANTIC:
    case SOURCE_COALESCED:
        return REPORT_SAVED;
    case SOURCE_UPSTREAM:
        return REPORT_PAID;
    case SOURCE_LOCAL:
        return REPORT_LOCAL;
    case SOURCE_NONE:
        break;
    }
    return REPORT_NEITHER;
}

/* Only what lines are told apart by. */
static struct ledger_row masked(const struct ledger_row *r, unsigned bits)
{
    struct ledger_row k;

    memset(&k, 0, sizeof(k));
    if ((bits & REPORT_DAY) != 0)
        k.day = r->day;
    if ((bits & REPORT_TENANT) != 0)
        k.tenant = r->tenant;
    if ((bits & REPORT_ROUTE) != 0) {
        k.route_bytes = r->route_bytes;
        memcpy(k.route, r->route, r->route_bytes);
    }
    if ((bits & REPORT_MODEL) != 0) {
        k.model_bytes = r->model_bytes;
        memcpy(k.model, r->model, r->model_bytes);
    }
    if ((bits & REPORT_SOURCE) != 0)
        k.source = r->source;
    return k;
}

static int order(const void *a, const void *b)
{
    const struct ledger_row *x = &((const struct report_line *)a)->key;
    const struct ledger_row *y = &((const struct report_line *)b)->key;
    int n = (x->day > y->day) - (x->day < y->day);

    if (n == 0)
        n = (x->tenant > y->tenant) - (x->tenant < y->tenant);
    if (n == 0)
        n = span_order(ledger_row_route(x), ledger_row_route(y));
    if (n == 0)
        n = span_order(ledger_row_model(x), ledger_row_model(y));
    return n != 0 ? n : (int)x->source - (int)y->source;
}

static void add_line(struct report_line *to, const struct report_line *add)
{
    for (unsigned i = 0; i < REPORT_KINDS; i++)
        ledger_sums_add(&to->kind[i], &add->kind[i]);
}

static void merge_lines(struct report *r)
{
    size_t kept = 0;

    if (r->line_count > 1)
        qsort(r->lines, r->line_count, sizeof(r->lines[0]), order);
    for (size_t i = 0; i < r->line_count; i++) {
        if (kept > 0 && order(&r->lines[kept - 1], &r->lines[i]) == 0)
            add_line(&r->lines[kept - 1], &r->lines[i]);
        else
            r->lines[kept++] = r->lines[i];
    }
    r->line_count = kept;
}

static void note_day(struct report *r, uint32_t day)
{
    if (r->empty || day < r->days.from)
        r->days.from = day;
    if (r->empty || day > r->days.to)
        r->days.to = day;
    r->empty = false;
}

static bool covers(const struct report_range *range, uint32_t day)
{
    return day >= range->from && day <= range->to;
}

enum status report_sum(const struct ledger *l, const struct report_range *asked, unsigned bits,
                       struct report *out)
{
    memset(out, 0, sizeof(*out));
    out->empty = true;
    out->since_ms = l->since_ms;
    out->keys = bits;
    out->lines = calloc(l->row_count > 0 ? l->row_count : 1, sizeof(out->lines[0]));
    if (out->lines == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < l->row_count; i++) {
        const struct ledger_row *r = &l->rows[i];
        struct report_line *line = &out->lines[out->line_count];

        if (!covers(asked, r->day))
            continue;
        note_day(out, r->day);
        line->key = masked(r, bits);
        line->kind[kind_of((enum source)r->source)] = r->sums;
        ledger_sums_add(&out->by_source[r->source], &r->sums);
        add_line(&out->all, line);
        out->line_count++;
    }
    for (size_t i = 0; i < l->day_count; i++) {
        const struct ledger_day *d = &l->days[i];

        if (!covers(asked, d->day))
            continue;
        out->own.cpu_s += d->cpu_s;
        out->own.measured_wh += d->measured_wh;
        out->own.estimated_wh += d->estimated_wh;
    }
    merge_lines(out);
    return ST_OK;
}

void report_sum_release(struct report *r)
{
    free(r->lines);
    r->lines = NULL;
}

double report_sum_own_usd(const struct report *r)
{
    return r->own.cpu_s / 3600 * r->rates.cpu_usd_per_hour;
}

double report_sum_own_wh(const struct report *r)
{
    return r->own.measured_wh + r->own.estimated_wh;
}
