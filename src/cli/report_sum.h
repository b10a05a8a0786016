/* The sums of a report: what of a ledger it covers, over all and by what was asked for. */
#ifndef CLI_REPORT_SUM_H
#define CLI_REPORT_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "proxy/ledger.h"
#include "proxy/ledger_file.h"

/* What lines are told apart by; bits. */
enum report_key {
    REPORT_DAY = 1,
    REPORT_TENANT = 2,
    REPORT_ROUTE = 4,
    REPORT_MODEL = 8,
    REPORT_SOURCE = 16,
};
#define REPORT_ALL_KEYS 31

/* Every answer is in one of these. */
enum report_kind { REPORT_PAID, REPORT_SAVED, REPORT_LOCAL, REPORT_NEITHER, REPORT_KINDS };

struct report_line {
    struct ledger_row key; /* what it is not told apart by is empty; its sums are not used */
    struct ledger_sums kind[REPORT_KINDS];
};

/* An inclusive range of days. */
struct report_range {
    uint32_t from, to;
};

struct report {
    struct report_range days; /* that have something, of those asked for */
    bool empty;
    uint64_t since_ms, written_ms;
    struct ledger_rates rates;
    struct ledger_sums by_source[SOURCE_COUNT];
    struct report_line all;
    struct ledger_day own;     /* of the process */
    unsigned keys;             /* enum report_key */
    struct report_line *lines; /* owned; sorted by their keys, in the order above */
    size_t line_count;
};

/* *l is read only. ST_NOMEM. */
enum status report_sum(const struct ledger *l, const struct report_range *asked, unsigned keys,
                       struct report *out) MUST_CHECK;
void report_sum_release(struct report *r);

/* Money of our own work; the rate is 0 when the operator did not say. */
double report_sum_own_usd(const struct report *r);
double report_sum_own_wh(const struct report *r);
/* "model,day" as bits; false: one of them is none, or none is there. */
bool report_sum_keys(const char *text, unsigned *out) MUST_CHECK;
const char *report_sum_key_name(enum report_key k);
/* Of a line, as text into `out`: a day "2026-01-31" ("earlier": before what is kept), a tenant
 * as 16 digits ("" for none). */
#define REPORT_TEXT_BYTES 80
struct span report_sum_key_text(const struct report_line *line, enum report_key k,
                                char out[REPORT_TEXT_BYTES]);

/* What a million tokens cost in a year, of the kind that did the work then. */
struct report_class {
    const char *name;
    double usd_per_mtok;
};
#define REPORT_CLASSES 5
extern const struct report_class report_sum_classes[REPORT_CLASSES];

#endif
