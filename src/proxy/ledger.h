/* The one book of what was answered: how often, by whom, for whom, by which model, on which
 * day, and what that cost or saved. Memory only; ledger_file.h writes it down and
 * ledger_keeper.h does so from time to time.
 *
 * A row is a day, a tenant, a route, a model and a source. There are at most `rows_max` of
 * them: when they are used up, those of the oldest day become one row a source, named "other",
 * then all days before today one row a source of day 0 ("earlier"); sums are never lost. What
 * comes when even that makes no room is counted as "other" of its day.
 *
 * Loop thread only. */
#ifndef PROXY_LEDGER_H
#define PROXY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "proxy/source.h"

#define LEDGER_MODEL_MAX 64 /* bytes of a name; a longer one is cut */
#define LEDGER_ROUTE_MAX 40
#define LEDGER_DAYS_MAX  400
#define LEDGER_EARLIER   0u /* the day of what came before the days that are kept */

/* What came of answers that were delivered whole, unless it says otherwise. */
struct ledger_sums {
    uint64_t requests;
    /* Asked of an upstream, delivered whole or not, and nobody told their tokens. */
    uint64_t unmetered;
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cached_tokens;   /* of the prompt's, those read from the upstream's own cache */
    uint64_t unpriced_tokens; /* of all, those of models without a price */
    double usd;               /* by price: paid, or (from the cache) not paid again */
    double saved_s;           /* what stored answers took when made, less what they took now */
    double cpu_s;             /* of our encoder, search and built-in model, for these */
    double wh;                /* of the upstream, by the configured figure: used, or saved */
};

struct ledger_key {
    uint64_t tenant; /* the first eight bytes of the scope, the first the highest; 0: none */
    struct span route, model; /* cut when they are too long */
    uint32_t day;             /* of the epoch, UTC */
    enum source source;
};

struct ledger_row {
    uint64_t tenant;
    uint32_t day;
    uint8_t source, route_bytes, model_bytes;
    char route[LEDGER_ROUTE_MAX], model[LEDGER_MODEL_MAX];
    struct ledger_sums sums;
};

/* Of the whole process on a day. */
struct ledger_day {
    uint32_t day;
    double cpu_s;                     /* all of it: those of the rows are among them */
    double measured_wh, estimated_wh; /* each for its part of the time */
};

struct ledger {
    uint32_t today;     /* set by ledger_set_day() */
    uint64_t since_ms;  /* wall clock: from when on it counts */
    bool dirty;         /* something was counted since it was last written */
    uint64_t discarded; /* answers that no row was there for: out of memory */
    struct ledger_sums started[SOURCE_COUNT]; /* since the process began */
    struct ledger_day started_own;            /* likewise */

    size_t rows_max, row_count, row_room;
    struct ledger_row *rows; /* owned */
    uint32_t *slots;         /* owned; by hash: row + 1, or 0; a power of two of them */
    size_t slot_count;
    size_t day_count;
    struct ledger_day days[LEDGER_DAYS_MAX]; /* rising; the first may be LEDGER_EARLIER */
};

/* rows_max: at least 64. */
void ledger_init(struct ledger *l, size_t rows_max, uint64_t wall_ms);
void ledger_release(struct ledger *l);

/* The clock may jump: a day before the last one is that one. */
void ledger_set_day(struct ledger *l, uint64_t wall_ms);

/* Adds to the row of `key` (its day is taken as it is) and to what counts since the start. */
void ledger_add(struct ledger *l, const struct ledger_key *key, const struct ledger_sums *add);
/* CPU time and energy of the process, today. */
void ledger_add_own(struct ledger *l, const struct ledger_day *add);

/* What was written down by an earlier process; does not count since the start. Out of memory
 * is ST_NOMEM. */
enum status ledger_restore_row(struct ledger *l, const struct ledger_key *key,
                               const struct ledger_sums *sums) MUST_CHECK;
void ledger_restore_day(struct ledger *l, const struct ledger_day *day);

/* Of answers that no model was asked for, since the process began. */
struct ledger_sums ledger_saved(const struct ledger *l);
void ledger_sums_add(struct ledger_sums *to, const struct ledger_sums *add);

/* Borrowed from the row. */
static inline struct span ledger_row_model(const struct ledger_row *r)
{
    return (struct span){r->model, r->model_bytes};
}
static inline struct span ledger_row_route(const struct ledger_row *r)
{
    return (struct span){r->route, r->route_bytes};
}

#endif
