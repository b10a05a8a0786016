/* Another program in the place of this one, without a lost connection. SIGUSR2 starts the file
 * that this one was started from (by now perhaps a newer one), with the listening sockets:
 *
 *   old                                     new
 *   starts it ------------------------->    reads settings, opens models
 *   stops accepting, leaves the files  <--  "prepared"
 *   to it ------------------------- "go" -> opens store and ledger, accepts
 *   ends what it has begun             <--  "ready"
 *
 * Connections that come between wait in the sockets' backlogs, which both have. Whatever goes
 * wrong before "ready", the old one takes its files back and goes on. Loop thread only. */
#ifndef CLI_SERVE_UPGRADE_H
#define CLI_SERVE_UPGRADE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/status.h"
#include "rt/timer.h"

struct inherited;
struct listener;
struct loop;
struct watch;

/* --- the old one ---------------------------------------------------------------------- */

/* What the program does when it is its turn. */
struct serve_upgrade_events {
    void (*pause)(void *owner);  /* stop accepting, leave the files; then serve_upgrade_go() */
    void (*resume)(void *owner); /* it failed: take all back */
    void (*retire)(void *owner); /* the next one serves: end what was begun */
};

struct serve_upgrade {
    char path[PATH_MAX]; /* of the program's file, as it was at the start */
    char *const *argv;   /* borrowed: from the subcommand on */
    struct loop *loop;   /* set before serve_upgrade_start() */
    const struct serve_upgrade_events *events;
    void *owner;

    bool running, paused;
    pid_t pid;
    struct watch *talk; /* owned; NULL: none is under way */
    struct timer deadline;
    uint64_t failures_total;
};

/* First thing in the program. */
void serve_upgrade_init(struct serve_upgrade *u, char *const *argv);
/* A reason why not is in the log, and counted. `listeners` are handed over. */
void serve_upgrade_start(struct serve_upgrade *u, struct listener *const *listeners, size_t n);
/* The files are free. */
void serve_upgrade_go(struct serve_upgrade *u);
/* The program ends: whatever is under way is given up. */
void serve_upgrade_cancel(struct serve_upgrade *u);

/* --- the new one ---------------------------------------------------------------------- */

/* All is open but the files: says so and waits for its turn. Blocks. Not ST_OK: the old one
 * does not want it any more. Without an old one: ST_OK at once. */
enum status serve_upgrade_await(struct inherited *in) MUST_CHECK;
/* It accepts: says so, to the old one and to systemd. */
void serve_upgrade_ready(struct inherited *in);

#endif
