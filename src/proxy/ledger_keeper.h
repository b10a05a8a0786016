/* Keeps the ledger over restarts: takes what an earlier process wrote down, turns the days,
 * adds the process's own CPU time and energy, and writes the file, from a thread of its own,
 * when something was counted. A crash loses what came after the last writing (account.flush_s).
 *
 * One process a file: a second one on the same data_dir counts in memory and says so. Loop
 * thread only. */
#ifndef PROXY_LEDGER_KEEPER_H
#define PROXY_LEDGER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct config;
struct ledger;
struct ledger_keeper;
struct loop;

struct ledger_keeper_stats {
    uint64_t writes_total, failures_total;
    double measured; /* 1: energy is read from the processor's counters */
    bool waits;      /* another process has the file, or the folder can not be written */
};

/* A file that can not be read is set aside as ledger.json.bad. While another process has the
 * file, as the ibid before this one until its last request has ended, what is counted here is
 * kept in memory; what that one has written is added to it afterwards. */
enum status ledger_keeper_open(struct loop *loop, const struct config *c,
                               struct ledger_keeper **out) MUST_CHECK;
/* Lives as long as the keeper. */
struct ledger *ledger_keeper_ledger(struct ledger_keeper *k);
/* As the file will be, with what was used until now. */
enum status ledger_keeper_show(struct ledger_keeper *k, struct buf *out) MUST_CHECK;
void ledger_keeper_stats(const struct ledger_keeper *k, struct ledger_keeper_stats *out);
/* Writes for the last time; `closed` once, later. */
void ledger_keeper_close(struct ledger_keeper *k, void (*closed)(void *owner), void *owner);

#endif
