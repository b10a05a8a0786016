/* POST /admin/v1/reload, and how reloads went. Who reloads is the program (cli/serve_reload.h);
 * here it is told and shown. Loop thread only. */
#ifndef ADMIN_RELOAD_H
#define ADMIN_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_writer.h"
#include "config/live.h"

struct admin_call;

#define RELOAD_REASONS_MAX  5
#define RELOAD_REASON_BYTES 1536

/* Of one reload. */
struct reload_report {
    bool adopted;
    char reasons[RELOAD_REASONS_MAX][RELOAD_REASON_BYTES]; /* why not */
    size_t reason_count;
    struct live_names changed; /* settings that hold from now on */
    struct live_names restart; /* that were changed and hold after a restart */
};

/* Of all. */
struct reload_state {
    uint64_t generation; /* of the settings in force; 1: those of the start */
    uint64_t loaded_ms;  /* wall clock: since when */
    uint64_t adopted_total, refused_total;
    bool refused_last; /* what is on the disk is not what is in force */
    struct live_names restart;
};

/* true: it has ended, and *out says how. false: files are read beside; `done` comes once,
 * later, and *out stays until then. */
typedef bool reload_fn(void *owner, struct reload_report *out, void (*done)(void *who),
                       void *who);

void reload_run(struct admin_call *c);

/* "config":{...}, for /admin/v1/stats. */
void reload_write_state(struct json_writer *w, const struct reload_state *s);

#endif
