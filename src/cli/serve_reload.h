/* The settings in force, and how others take their place while ibid serves: read and checked
 * beside them, adopted at one point or refused with reasons. Reads files on the loop: a few
 * milliseconds; but adapters of models, which may be large, on the thread that reads models.
 * Loop thread only. */
#ifndef CLI_SERVE_RELOAD_H
#define CLI_SERVE_RELOAD_H

#include <stdbool.h>

#include "admin/admin.h"
#include "admin/reload.h"
#include "base/compiler.h"
#include "base/status.h"
#include "rt/quota.h"
#include "cli/serve_setup.h"

struct access_log;
struct audit;
struct serve_tls;
struct config;
struct local_models;
struct proxy;
struct setup;

/* A reload that waits for its adapters. */
struct serve_reload_try {
    struct config *next;           /* owned */
    struct serve_reasons *reasons; /* owned */
    struct reload_report *out;     /* borrowed; NULL: none is under way */
    void (*done)(void *who);
    void *who;
};

struct serve_reload {
    const char *file;             /* of -c; NULL: none */
    const struct config *started; /* borrowed: as ibid was started */
    const struct quota *quota;    /* borrowed: of the container */
    struct serve_place at;
    struct admin_view *view;       /* borrowed: its troubles */
    struct proxy *proxy;           /* borrowed; set before the first reload */
    struct access_log *access_log; /* likewise */
    struct audit *audit;           /* likewise */
    struct serve_tls *tls;         /* likewise; NULL: no certificates */
    struct local_models *models;   /* likewise; NULL: none on this machine */
    struct serve_reload_try running;
    struct setup *setup; /* owned reference: in force */
    unsigned setups;     /* that are not gone yet */
    bool closing;
    void (*closed)(void *owner);
    void *owner;
    struct reload_state state;
};

/* Where to, and how ibid was started, are set; the first setup is opened. `why` as
 * serve_setup_open(). */
enum status serve_reload_open(struct serve_reload *r, struct serve_reasons *why) MUST_CHECK;

/* A reload_fn; `owner` is the struct serve_reload. One at a time: another one is refused. */
bool serve_reload_run(void *owner, struct reload_report *out, void (*done)(void *who),
                      void *who);

/* Ends it: `closed` comes once, later, or at once if there is no setup. The proxy is gone. */
void serve_reload_close(struct serve_reload *r, void (*closed)(void *owner), void *owner);

#endif
