/* `ibid report`: what was answered, what that cost and what it saved, from the ledger of a
 * running ibid, asked of its admin listener, or from its file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/day.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/fetch.h"
#include "cli/report_plot.h"
#include "cli/report_sum.h"
#include "cli/report_write.h"
#include "config/config.h"
#include "proxy/ledger.h"
#include "proxy/ledger_file.h"

#define LEDGER_PATH      "/admin/v1/ledger"
#define TOKEN_MAX_BYTES  4096
#define JSON_MAX_BYTES   ((size_t)64 * 1024 * 1024)
#define DEADLINE_DEFAULT 5000
#define ROWS_MAX         16384 /* more than a ledger has */

static const char usage[] =
    "usage: ibid report [--json | --csv] [--by LIST] [--from DAY] [--to DAY] [--what-if]\n"
    "                   [--plot FILE] [--file FILE | --admin ADDRESS] [--timeout-ms N] [-c "
    "FILE]\n"
    "  What was answered from where, what that cost and what it saved, its own work taken\n"
    "  off. Asks a running ibid; with --file, nobody.\n"
    "  --json             totals, and the lines of --by\n"
    "  --csv              the lines of --by (all that there is: "
    "day,tenant,route,model,source)\n"
    "  --by LIST          lines by any of day, tenant, route, model, source\n"
    "  --from, --to DAY   2026-01-31; both inclusive, UTC\n"
    "  --what-if          the same tokens at the prices of other years and models\n"
    "  --plot FILE        a picture of the days, as SVG\n"
    "  --file FILE        a ledger: DATA_DIR/ledger.json\n"
    "  --admin ADDRESS    of the admin listener (admin.listen)\n"
    "  --timeout-ms N     how long to wait (5000)\n"
    "  -c, --config FILE  the settings of that ibid (admin.listen, token, data_dir)\n";

struct job {
    struct config *config;
    const char *address, *file, *plot;
    struct report_range days;
    unsigned keys;
    uint64_t deadline_ms;
    bool json, csv, what_if;
    char token[TOKEN_MAX_BYTES];
};

/* --- the ledger ----------------------------------------------------------------------------
 */

static bool ask(struct job *j, struct buf *out)
{
    struct fetch f = {.address = j->address != NULL ? j->address : j->config->admin.listen,
                      .cert_file = j->config->tls.cert_file,
                      .own_cert_file = j->config->admin.own_cert_file,
                      .own_key_file = j->config->admin.own_key_file,
                      .path = LEDGER_PATH,
                      .token = j->token,
                      .deadline_ms = (unsigned)j->deadline_ms};
    char why[512] = "";

    if (!fetch_read_token(j->config, j->token, sizeof(j->token)))
        return false;
    if (fetch_body(&f, out, why, sizeof(why)) == ST_OK)
        return true;
    fprintf(stderr, "ibid: %s\n", why);
    return false;
}

static bool load(const char *path, struct buf *out)
{
    enum status st = ledger_file_load(path, out);

    if (st == ST_OK)
        return true;
    fprintf(stderr, "ibid: cannot read '%s': %s\n", path, status_text(st));
    return false;
}

static bool read_ledger(struct job *j, struct ledger *l, struct ledger_rates *rates,
                        uint64_t *now_ms)
{
    char why[192] = "";
    struct buf text;
    bool ok;

    buf_init(&text, LEDGER_FILE_BYTES_MAX + 65536);
    ok = j->file != NULL ? load(j->file, &text) : ask(j, &text);
    if (ok && ledger_file_read(buf_span(&text), l, rates, now_ms, why, sizeof(why)) != ST_OK) {
        fprintf(stderr, "ibid: %s: %s\n", j->file != NULL ? j->file : "the ledger", why);
        ok = false;
    }
    buf_release(&text);
    return ok;
}

/* --- the report ----------------------------------------------------------------------------
 */

static bool write_json(const struct report *r, bool what_if)
{
    struct buf text;
    bool ok;

    buf_init(&text, JSON_MAX_BYTES);
    ok = report_write_json(&text, r, what_if) == ST_OK;
    if (ok)
        fwrite(text.ptr, 1, text.len, stdout);
    else
        fprintf(stderr, "ibid: out of memory\n");
    buf_release(&text);
    return ok;
}

static bool write_all(const struct job *j, const struct report *r)
{
    if (j->json)
        return write_json(r, j->what_if);
    if (j->csv)
        report_write_csv(stdout, r);
    else
        report_write_table(stdout, r, j->what_if);
    return true;
}

static bool plot(const struct job *j, const struct ledger *l, const struct report *whole)
{
    struct report days;
    bool ok;

    if (report_sum(l, &j->days, REPORT_DAY, &days) != ST_OK) {
        fprintf(stderr, "ibid: out of memory\n");
        return false;
    }
    days.rates = whole->rates;
    ok = report_plot_write(j->plot, &days);
    report_sum_release(&days);
    return ok;
}

static int report(struct job *j)
{
    struct ledger *l = calloc(1, sizeof(*l));
    struct ledger_rates rates;
    struct report r = {.lines = NULL};
    uint64_t now_ms = 0;
    bool ok = l != NULL;

    if (ok) {
        ledger_init(l, ROWS_MAX, clock_wall_ms());
        ok = read_ledger(j, l, &rates, &now_ms);
    }
    if (ok && report_sum(l, &j->days, j->keys, &r) != ST_OK) {
        fprintf(stderr, "ibid: out of memory\n");
        ok = false;
    }
    if (ok) {
        r.rates = rates;
        r.written_ms = now_ms;
        ok = (j->plot == NULL || plot(j, l, &r)) && write_all(j, &r);
    }
    report_sum_release(&r);
    if (l != NULL)
        ledger_release(l);
    free(l);
    return ok ? 0 : 1;
}

/* --- arguments -----------------------------------------------------------------------------
 */

static bool read_day_argument(const char *text, uint32_t *out)
{
    if (text == NULL || day_read(span_of(text), out))
        return true;
    fprintf(stderr, "ibid: '%s' is no day; write it as 2026-01-31\n", text);
    return false;
}

static bool read_values(struct job *j, const char *by, const char *from, const char *to)
{
    if (by != NULL && !report_sum_keys(by, &j->keys)) {
        fprintf(stderr, "ibid: '%s': --by takes a list of day, tenant, route, model, source\n",
                by);
        return false;
    }
    if (by == NULL && j->csv)
        j->keys = REPORT_ALL_KEYS;
    return read_day_argument(from, &j->days.from) && read_day_argument(to, &j->days.to);
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *timeout = NULL, *by = NULL, *from = NULL, *to = NULL;
    struct args a;

    args_init(&a, "report", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_flag(&a, NULL, "--csv"))
            j->csv = true;
        else if (args_flag(&a, NULL, "--what-if"))
            j->what_if = true;
        else if (!args_value(&a, "-c", "--config", &file) &&
                 !args_value(&a, NULL, "--admin", &j->address) &&
                 !args_value(&a, NULL, "--file", &j->file) &&
                 !args_value(&a, NULL, "--plot", &j->plot) &&
                 !args_value(&a, NULL, "--by", &by) && !args_value(&a, NULL, "--from", &from) &&
                 !args_value(&a, NULL, "--to", &to) &&
                 !args_value(&a, NULL, "--timeout-ms", &timeout))
            return args_refuse(&a);
    }
    if (timeout != NULL && !args_number(timeout, 1, 600000, &j->deadline_ms))
        return args_refuse(&a);
    if ((j->json && j->csv) || (j->file != NULL && j->address != NULL))
        return args_refuse(&a);
    if (!read_values(j, by, from, to))
        return EXIT_USAGE;
    return config_load_file(file, j->config);
}

int report_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)),
                    .days = {0, DAY_MAX},
                    .deadline_ms = DEADLINE_DEFAULT};
    int rc = 1;

    if (j.config != NULL)
        rc = parse(&j, argc, argv);
    if (rc < 0)
        rc = report(&j);
    free(j.config);
    return rc;
}
