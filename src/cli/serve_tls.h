/* The TLS listeners of `ibid serve`: doors for clients and for the admin API, and the watch
 * over the files of their certificates. Loop thread only. */
#ifndef CLI_SERVE_TLS_H
#define CLI_SERVE_TLS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "http/tls_door.h"

struct config;
struct loop;
struct metrics_tls;
struct serve_tls;

/* Where those go that have come through a door. */
struct serve_tls_passes {
    tls_door_pass_fn *client, *admin;
    void *owner;
};

/* *out is NULL when no address begins with tls:. On ST_OK `why` may be a warning ("the
 * certificate expired …"); else it is empty. `config` is looked at
 * here only. */
enum status serve_tls_open(struct loop *loop, const struct config *config,
                           const struct serve_tls_passes *to, struct serve_tls **out, char *why,
                           size_t why_cap) MUST_CHECK;
/* After the listeners; handshakes under way end. NULL is none. */
void serve_tls_close(struct serve_tls *t);

/* NULL when none of their addresses speaks TLS. */
struct tls_door *serve_tls_clients(const struct serve_tls *t);
struct tls_door *serve_tls_admin(const struct serve_tls *t);

/* Reads the files of the certificates now, changed or not. What is no good leaves the old in
 * place, of both listeners; `why` says so. Counted and logged either way. */
enum status serve_tls_reload(struct serve_tls *t, char *why, size_t why_cap) MUST_CHECK;

/* Borrowed; NULL of NULL. */
const struct metrics_tls *serve_tls_metrics(const struct serve_tls *t);

#endif
