/* What the TLS listeners count, for /metrics. */
#ifndef ADMIN_METRICS_TLS_H
#define ADMIN_METRICS_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct io_tls_server;
struct tls_door;

#define METRICS_TLS_MAX 2

struct metrics_tls {
    struct {
        const char *name; /* "clients", "admin"; static */
        const struct tls_door *door;
        const struct io_tls_server *server;
    } of[METRICS_TLS_MAX]; /* borrowed */
    size_t count;
    uint64_t reloads_total, reload_failures_total; /* of the files */
};

/* NULL: no listener speaks TLS. */
enum status metrics_tls_write(struct buf *out, const struct metrics_tls *t) MUST_CHECK;

#endif
