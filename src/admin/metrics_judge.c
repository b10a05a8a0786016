#include "admin/metrics_judge.h"

#include <inttypes.h>

#include "base/compiler.h"
#include "proxy/judge.h"

static enum status head(struct buf *out, const char *name, const char *type, const char *help)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static enum status verdicts(struct buf *out, const struct judge_counts *c)
{
    const struct {
        const char *name;
        const uint64_t *of;
    } rows[] = {{"yes", c->yes}, {"no", c->no}, {"unsure", c->unsure}, {"failed", c->failed}};
    enum status st = head(out, "ibid_judged_total", "counter",
                          "Cases that were judged in the background, by whom and how.");

    for (enum judge_who who = 0; who < JUDGE_COUNT; who++) {
        for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(rows); i++)
            st = buf_printf(out, "ibid_judged_total{judge=\"%s\",verdict=\"%s\"} %" PRIu64 "\n",
                            judge_name(who), rows[i].name, rows[i].of[who]);
    }
    return st;
}

static enum status agreement(struct buf *out, const struct judge_counts *c)
{
    enum status st = head(out, "ibid_judge_reports_total", "counter",
                          "Verdicts on which somebody reported, by whether they agree.");

    for (enum judge_who who = 0; st == ST_OK && who < JUDGE_COUNT; who++)
        st = buf_printf(out,
                        "ibid_judge_reports_total{judge=\"%s\",agrees=\"yes\"} %" PRIu64 "\n"
                        "ibid_judge_reports_total{judge=\"%s\",agrees=\"no\"} %" PRIu64 "\n",
                        judge_name(who), c->agreed[who], judge_name(who), c->disagreed[who]);
    return st;
}

static enum status skipped(struct buf *out, const struct judge_counts *c)
{
    enum status st = head(out, "ibid_judge_skipped_total", "counter",
                          "Cases that were not judged: no room, no budget, or they may not "
                          "leave this machine.");

    return st == ST_OK
               ? buf_printf(out,
                            "ibid_judge_skipped_total{reason=\"full\"} %" PRIu64 "\n"
                            "ibid_judge_skipped_total{reason=\"budget\"} %" PRIu64 "\n"
                            "ibid_judge_skipped_total{reason=\"private\"} %" PRIu64 "\n",
                            c->full, c->over_budget, c->kept_private)
               : st;
}

enum status metrics_judge_write(struct buf *out, const struct judge_counts *c)
{
    enum status st = verdicts(out, c);

    if (st == ST_OK)
        st = agreement(out, c);
    if (st == ST_OK)
        st = skipped(out, c);
    if (st == ST_OK)
        st = head(out, "ibid_judge_removed_total", "counter",
                  "Stored answers that were judged to be none.");
    if (st == ST_OK)
        st = buf_printf(out, "ibid_judge_removed_total %" PRIu64 "\n", c->removed);
    if (st == ST_OK)
        st = head(out, "ibid_judge_usd_total", "counter",
                  "What upstreams were paid for verdicts, by price.");
    if (st == ST_OK)
        st = buf_printf(out, "ibid_judge_usd_total %.9g\n", c->usd);
    if (st == ST_OK)
        st = head(out, "ibid_judge_cpu_seconds_total", "counter",
                  "CPU time of the model here for verdicts.");
    return st == ST_OK ? buf_printf(out, "ibid_judge_cpu_seconds_total %.9g\n", c->cpu_s) : st;
}
