/* The admin listener: health, metrics, statistics. Loopback by default; everything
 * but /healthz, /readyz and /metrics needs the token. Loop thread only. */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "admin/reload.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "rt/quota.h"

struct admin;
struct audit;
struct carriers;
struct heap_keeper;
struct io;
struct loop;
struct metrics_tls;
struct proxy;

/* A part that is not as configured, for /readyz: "encoder", and why. */
struct admin_trouble {
    const char *part; /* static */
    char why[256];
};

#define ADMIN_TROUBLES_MAX 8

struct admin_view {
    struct proxy *proxy;             /* borrowed */
    struct span token;               /* borrowed */
    struct audit *audit;             /* borrowed; NULL: none */
    const struct metrics_tls *tls;   /* borrowed; NULL: no listener speaks TLS */
    const struct carriers *carriers; /* likewise; NULL: one loop */
    struct heap_keeper *heap;        /* likewise; NULL: nothing is given back */
    /* What could not be opened at start; the store's state is asked each time. */
    struct admin_trouble troubles[ADMIN_TROUBLES_MAX];
    size_t trouble_count;
    uint64_t started_us; /* monotonic, of the process */
    double ready_s;      /* from start to listening */
    const char *version; /* static */
    struct quota quota;  /* of the container */
    reload_fn *reload;
    void *reload_owner;
    const struct reload_state *reloads;     /* borrowed */
    const uint64_t *upgrade_failures_total; /* likewise */
};

/* *view is borrowed and read at each request. */
enum status admin_open(struct loop *loop, const struct admin_view *view,
                       struct admin **out) MUST_CHECK;
void admin_accept(struct admin *a, struct io *io, const char *peer);
void admin_close(struct admin *a, void (*closed)(void *owner), void *owner);

/* A call (call.h) has lost its stream, or its look-up has ended: it is freed when both are so.
 */
struct admin_call;
void admin_call_gone(struct admin_call *c);

#endif
