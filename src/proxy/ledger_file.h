/* The ledger as JSON: the file in data_dir, and what /admin/v1/ledger shows. One format, so
 * that `ibid report` reads either.
 *
 *     {"ledger": 1, "since_ms": …, "written_ms": …,
 *      "rates": {"cpu_usd_per_hour": …, …},
 *      "days": [{"day": "2026-01-31", "cpu_seconds": …, …}],
 *      "rows": [{"day": …, "tenant": …, "route": …, "model": …, "source": …, …}]}
 *
 * Any thread; blocking. */
#ifndef PROXY_LEDGER_FILE_H
#define PROXY_LEDGER_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct config;
struct ledger;

/* With the most rows there can be. */
#define LEDGER_FILE_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define LEDGER_FILE_NAME      "ledger.json"

/* What the operator says our own work is worth. 0: not said. */
struct ledger_rates {
    double cpu_usd_per_hour; /* of one core */
    double cpu_watts;        /* of one busy core */
    double carbon_g_per_kwh, upstream_carbon_g_per_kwh;
};

void ledger_file_rates(const struct config *c, struct ledger_rates *out);

enum status ledger_file_write(const struct ledger *l, const struct ledger_rates *rates,
                              uint64_t now_ms, struct buf *out) MUST_CHECK;

/* Adds what stands in `text` to a ledger; `rates` and `now_ms` may be NULL. ST_INVALID for
 * anything that ledger_file_write() does not write, with `why`: *l then has a part of it. */
enum status ledger_file_read(struct span text, struct ledger *l, struct ledger_rates *rates,
                             uint64_t *now_ms, char *why, size_t why_cap) MUST_CHECK;

/* The whole file; ST_NOTFOUND: there is none. */
enum status ledger_file_load(const char *path, struct buf *out) MUST_CHECK;
/* Under another name first, then in its place: a reader, or the next start after a crash, finds
 * the old or the new one whole. */
enum status ledger_file_save(const char *path, struct span text) MUST_CHECK;

#endif
