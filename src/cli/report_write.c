#include "cli/report_write.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/day.h"
#include "base/json_writer.h"

/* --- columns of a line ------------------------------------------------------------------- */

struct column {
    const char *name;
    bool is_real;
    uint64_t count;
    double real;
};

#define COLUMNS 16

static uint64_t tokens(const struct ledger_sums *s)
{
    return s->prompt_tokens + s->completion_tokens;
}

static void columns_of(const struct report_line *line, struct column out[COLUMNS])
{
    const struct ledger_sums *paid = &line->kind[REPORT_PAID];
    const struct ledger_sums *saved = &line->kind[REPORT_SAVED];
    const struct ledger_sums *local = &line->kind[REPORT_LOCAL];
    struct ledger_sums all = {.requests = 0};
    size_t n = 0;

    for (unsigned i = 0; i < REPORT_KINDS; i++)
        ledger_sums_add(&all, &line->kind[i]);
#define COUNT(name, value) out[n++] = (struct column){name, false, value, 0}
#define REAL(name, value)                                                                      \
    out[n++] = (struct column)                                                                 \
    {                                                                                          \
        name, true, 0, value                                                                   \
    }
    COUNT("requests", all.requests);
    COUNT("from_cache", saved->requests);
    COUNT("local", local->requests);
    COUNT("unmetered", all.unmetered);
    COUNT("prompt_tokens", all.prompt_tokens);
    COUNT("cached_tokens", all.cached_tokens);
    COUNT("completion_tokens", all.completion_tokens);
    COUNT("upstream_tokens", tokens(paid));
    COUNT("saved_tokens", tokens(saved));
    COUNT("unpriced_tokens", all.unpriced_tokens);
    REAL("paid_usd", paid->usd);
    REAL("saved_usd", saved->usd);
    REAL("saved_seconds", saved->saved_s);
    REAL("cpu_seconds", all.cpu_s);
    REAL("upstream_wh", paid->wh);
    REAL("saved_wh", saved->wh);
#undef COUNT
#undef REAL
}

/* --- the table ------------------------------------------------------------------------------
 */

static void print_date(FILE *f, const char *label, uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm utc;
    char text[40] = "";

    if (gmtime_r(&s, &utc) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc);
    fprintf(f, "%-28s%s\n", label, text);
}

static void print_sources(FILE *f, const struct report *r)
{
    fprintf(f, "\n%-12s%12s%16s%20s%16s\n", "answers", "requests", "prompt tokens",
            "completion tokens", "US dollars");
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        const struct ledger_sums *s = &r->by_source[i];

        if (i == SOURCE_NONE && s->cpu_s <= 0)
            continue;
        fprintf(f, "  %-10s%12" PRIu64 "%16" PRIu64 "%20" PRIu64 "%16.6f%s\n",
                source_name((enum source)i), s->requests, s->prompt_tokens,
                s->completion_tokens, s->usd,
                i == SOURCE_UPSTREAM                    ? " paid"
                : i == SOURCE_LOCAL || i == SOURCE_NONE ? ""
                                                        : " saved");
    }
}

static void print_real(FILE *f, const char *label, double v, const char *note)
{
    fprintf(f, "  %-26s%16.6f%s%s\n", label, v == 0 ? 0 : v, note[0] != '\0' ? "  " : "", note);
}

static void print_money(FILE *f, const struct report *r)
{
    const struct ledger_sums *paid = &r->all.kind[REPORT_PAID];
    const struct ledger_sums *saved = &r->all.kind[REPORT_SAVED];
    uint64_t unpriced = paid->unpriced_tokens + saved->unpriced_tokens;
    double own = report_sum_own_usd(r);

    fprintf(f, "\nmoney, US dollars by price\n");
    print_real(f, "paid upstream", paid->usd, "");
    print_real(f, "saved", saved->usd, "");
    print_real(f, "own work", -own,
               r->rates.cpu_usd_per_hour > 0 ? "" : "not priced: account.cpu_usd_per_hour");
    print_real(f, "saved, own work taken off", saved->usd - own, "");
    if (unpriced > 0)
        fprintf(f, "  %-26s%16" PRIu64 "  of models without a price: not in the above\n",
                "tokens", unpriced);
    if (paid->unmetered > 0)
        fprintf(f, "  %-26s%16" PRIu64 "  whose tokens nobody told: not in the above\n",
                "upstream answers", paid->unmetered);
}

static void print_time(FILE *f, const struct report *r)
{
    double models = 0;

    for (unsigned i = 0; i < REPORT_KINDS; i++)
        models += r->all.kind[i].cpu_s;
    fprintf(f, "\ntime, seconds\n");
    print_real(f, "saved waiting", r->all.kind[REPORT_SAVED].saved_s, "");
    print_real(f, "own CPU, built-in models", -models, "");
    print_real(f, "own CPU, all of it", -r->own.cpu_s, "");
}

static void print_energy(FILE *f, const struct report *r)
{
    const struct ledger_sums *paid = &r->all.kind[REPORT_PAID];
    const struct ledger_sums *saved = &r->all.kind[REPORT_SAVED];
    bool own_known = report_sum_own_wh(r) > 0, up_known = paid->wh > 0 || saved->wh > 0;

    fprintf(f, "\nenergy, watt-hours\n");
    if (r->own.measured_wh > 0)
        print_real(f, "own work", -r->own.measured_wh, "by the processor's counters");
    if (r->own.estimated_wh > 0)
        print_real(f, "own work, estimated", -r->own.estimated_wh,
                   "CPU time by account.cpu_watts");
    if (!own_known)
        fprintf(f, "  %-26s%16s  no counters here; set account.cpu_watts\n", "own work",
                "not known");
    if (up_known) {
        print_real(f, "used upstream", paid->wh, "by the figures under prices");
        print_real(f, "saved upstream", saved->wh, "likewise");
    } else {
        fprintf(f, "  %-26s%16s  no figures under prices: request_wh, mtok_wh\n", "upstream",
                "not known");
    }
    if (own_known && up_known)
        print_real(f, "saved, own work taken off", saved->wh - report_sum_own_wh(r), "");
    if (r->rates.carbon_g_per_kwh > 0 && own_known)
        print_real(f, "own work, grams CO2e",
                   -report_sum_own_wh(r) / 1000 * r->rates.carbon_g_per_kwh, "");
    if (r->rates.upstream_carbon_g_per_kwh > 0 && up_known)
        print_real(f, "saved upstream, grams CO2e",
                   saved->wh / 1000 * r->rates.upstream_carbon_g_per_kwh, "");
}

static double class_usd(const struct ledger_sums *s, const struct report_class *c)
{
    return (double)tokens(s) / 1e6 * c->usd_per_mtok;
}

static double class_all_usd(const struct report *r, const struct report_class *c)
{
    double usd = 0;

    for (unsigned i = 0; i < REPORT_KINDS; i++)
        usd += class_usd(&r->all.kind[i], c);
    return usd;
}

static void print_what_if(FILE *f, const struct report *r)
{
    fprintf(f,
            "\nwhat if every token had one price%17s%16s%16s\n"
            "  %-26s%6s%16s%16s%16s\n",
            "without ibid", "with ibid", "saved, net", "", "$/M", "US dollars", "US dollars",
            "US dollars");
    for (size_t i = 0; i < REPORT_CLASSES; i++) {
        const struct report_class *c = &report_sum_classes[i];
        double all = class_all_usd(r, c), with = class_usd(&r->all.kind[REPORT_PAID], c);

        fprintf(f, "  %-26s%6.2f%16.6f%16.6f%16.6f\n", c->name, c->usd_per_mtok, all, with,
                all - with - report_sum_own_usd(r));
    }
}

static void print_lines(FILE *f, const struct report *r)
{
    char text[REPORT_TEXT_BYTES];

    fprintf(f, "\n");
    for (unsigned k = 1; k < REPORT_ALL_KEYS; k <<= 1) {
        if ((r->keys & k) != 0)
            fprintf(f, "%-*s", k == REPORT_MODEL ? 32 : 18,
                    report_sum_key_name((enum report_key)k));
    }
    fprintf(f, "%10s%12s%10s%16s%14s%14s\n", "requests", "from cache", "local", "tokens",
            "paid $", "saved $");
    for (size_t i = 0; i < r->line_count; i++) {
        struct column c[COLUMNS];

        columns_of(&r->lines[i], c);
        for (unsigned k = 1; k < REPORT_ALL_KEYS; k <<= 1) {
            struct span s = report_sum_key_text(&r->lines[i], (enum report_key)k, text);

            if ((r->keys & k) != 0)
                fprintf(f, "%-*.*s", k == REPORT_MODEL ? 32 : 18, (int)s.len,
                        s.len > 0 ? s.ptr : "");
        }
        fprintf(f, "%10" PRIu64 "%12" PRIu64 "%10" PRIu64 "%16" PRIu64 "%14.6f%14.6f\n",
                c[0].count, c[1].count, c[2].count, c[4].count + c[6].count, c[10].real,
                c[11].real);
    }
}

void report_write_table(FILE *f, const struct report *r, bool what_if)
{
    char from[DAY_TEXT_BYTES], to[DAY_TEXT_BYTES];

    print_date(f, "counted since", r->since_ms);
    print_date(f, "until", r->written_ms);
    if (r->empty) {
        fprintf(f, "nothing was answered in this time\n");
    } else {
        day_write(r->days.from, from);
        day_write(r->days.to, to);
        fprintf(f, "%-28s%s to %s\n", "days", r->days.from == LEDGER_EARLIER ? "earlier" : from,
                to);
    }
    print_sources(f, r);
    print_money(f, r);
    print_time(f, r);
    print_energy(f, r);
    if (what_if)
        print_what_if(f, r);
    if (r->keys != 0 && r->line_count > 0)
        print_lines(f, r);
}

/* --- JSON ------------------------------------------------------------------------------------
 */

static void write_columns(struct json_writer *w, const struct report_line *line)
{
    struct column c[COLUMNS];

    columns_of(line, c);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (c[i].is_real)
            json_writer_exact(w, c[i].name, c[i].real);
        else
            json_writer_u64(w, c[i].name, c[i].count);
    }
}

static void write_own(struct json_writer *w, const struct report *r)
{
    double saved_usd = r->all.kind[REPORT_SAVED].usd, own_usd = report_sum_own_usd(r);
    double saved_wh = r->all.kind[REPORT_SAVED].wh;

    json_writer_open(w, "own_work", '{');
    json_writer_exact(w, "cpu_seconds", r->own.cpu_s);
    json_writer_exact(w, "usd", own_usd);
    json_writer_exact(w, "measured_wh", r->own.measured_wh);
    json_writer_exact(w, "estimated_wh", r->own.estimated_wh);
    json_writer_exact(w, "carbon_g", report_sum_own_wh(r) / 1000 * r->rates.carbon_g_per_kwh);
    json_writer_close(w, '}');
    json_writer_open(w, "net", '{');
    json_writer_exact(w, "saved_usd", saved_usd - own_usd);
    json_writer_exact(w, "saved_wh", saved_wh - report_sum_own_wh(r));
    json_writer_exact(w, "saved_carbon_g",
                      saved_wh / 1000 * r->rates.upstream_carbon_g_per_kwh -
                          report_sum_own_wh(r) / 1000 * r->rates.carbon_g_per_kwh);
    json_writer_close(w, '}');
}

static void write_what_if(struct json_writer *w, const struct report *r)
{
    json_writer_open(w, "what_if", '[');
    for (size_t i = 0; i < REPORT_CLASSES; i++) {
        const struct report_class *c = &report_sum_classes[i];
        double all = class_all_usd(r, c), with = class_usd(&r->all.kind[REPORT_PAID], c);

        json_writer_open(w, NULL, '{');
        json_writer_text(w, "class", span_of(c->name));
        json_writer_exact(w, "usd_per_mtok", c->usd_per_mtok);
        json_writer_exact(w, "without_ibid_usd", all);
        json_writer_exact(w, "with_ibid_usd", with);
        json_writer_exact(w, "net_saved_usd", all - with - report_sum_own_usd(r));
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static void write_sources(struct json_writer *w, const struct report *r)
{
    json_writer_open(w, "requests", '{');
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        if (i != SOURCE_NONE)
            json_writer_u64(w, source_name((enum source)i), r->by_source[i].requests);
    }
    json_writer_close(w, '}');
}

static void write_lines(struct json_writer *w, const struct report *r)
{
    char text[REPORT_TEXT_BYTES];

    json_writer_open(w, "lines", '[');
    for (size_t i = 0; i < r->line_count; i++) {
        json_writer_raw(w, SPAN("\n"));
        json_writer_open(w, NULL, '{');
        for (unsigned k = 1; k < REPORT_ALL_KEYS; k <<= 1) {
            if ((r->keys & k) != 0)
                json_writer_text(w, report_sum_key_name((enum report_key)k),
                                 report_sum_key_text(&r->lines[i], (enum report_key)k, text));
        }
        write_columns(w, &r->lines[i]);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

enum status report_write_json(struct buf *out, const struct report *r, bool what_if)
{
    struct json_writer w = {out, ST_OK, false};
    char day[DAY_TEXT_BYTES] = "";

    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "since_ms", r->since_ms);
    json_writer_u64(&w, "until_ms", r->written_ms);
    if (!r->empty) {
        day_write(r->days.from, day);
        json_writer_text(&w, "from", span_of(day));
        day_write(r->days.to, day);
        json_writer_text(&w, "to", span_of(day));
    }
    write_sources(&w, r);
    json_writer_open(&w, "totals", '{');
    write_columns(&w, &r->all);
    json_writer_close(&w, '}');
    write_own(&w, r);
    if (what_if)
        write_what_if(&w, r);
    if (r->keys != 0)
        write_lines(&w, r);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

/* --- CSV -------------------------------------------------------------------------------------
 */

/* Quoted; one that a spreadsheet would take for a formula is kept from it. */
static void print_field(FILE *f, struct span s)
{
    bool formula = s.len > 0 && strchr("=+-@\t\r", s.ptr[0]) != NULL;

    fputs(formula ? "\"'" : "\"", f);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            fputc('"', f);
        fputc((unsigned char)s.ptr[i] < ' ' ? ' ' : s.ptr[i], f);
    }
    fputc('"', f);
}

void report_write_csv(FILE *f, const struct report *r)
{
    struct report_line none;
    char text[REPORT_TEXT_BYTES];
    struct column c[COLUMNS];

    memset(&none, 0, sizeof(none));
    columns_of(&none, c);
    for (unsigned k = 1; k < REPORT_ALL_KEYS; k <<= 1) {
        if ((r->keys & k) != 0)
            fprintf(f, "%s,", report_sum_key_name((enum report_key)k));
    }
    for (size_t i = 0; i < COLUMNS; i++)
        fprintf(f, "%s%s", c[i].name, i + 1 < COLUMNS ? "," : "\r\n");
    for (size_t n = 0; n < r->line_count; n++) {
        for (unsigned k = 1; k < REPORT_ALL_KEYS; k <<= 1) {
            if ((r->keys & k) == 0)
                continue;
            print_field(f, report_sum_key_text(&r->lines[n], (enum report_key)k, text));
            fputc(',', f);
        }
        columns_of(&r->lines[n], c);
        for (size_t i = 0; i < COLUMNS; i++) {
            if (c[i].is_real)
                fprintf(f, "%.17g", c[i].real);
            else
                fprintf(f, "%" PRIu64, c[i].count);
            fputs(i + 1 < COLUMNS ? "," : "\r\n", f);
        }
    }
}
