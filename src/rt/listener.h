/* The listening side of stream sockets, TCP and Unix. Accepted streams are io_tcp
 * (io_tcp.h), or carried by other loops (carriers.h). Loop thread only. */
#ifndef RT_LISTENER_H
#define RT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct carriers;
struct inherited;
struct io;
struct loop;
struct listener;

/* `io` is owned by the callee. `peer` is the remote address as text. */
typedef void listener_accept_fn(void *owner, struct io *io, const char *peer);

struct listener_options {
    unsigned backlog;
    bool reuse_port;             /* SO_REUSEPORT: one listener per loop */
    struct carriers *carriers;   /* borrowed: whose loops the streams live on; NULL: ours */
    struct inherited *inherited; /* what is there already is taken; NULL: none is */
};

/* `address` is "HOST:PORT", "[V6]:PORT" or "unix:/path". Port 0: the kernel
 * chooses; see listener_port(). A stale Unix socket (nobody answers) is
 * replaced, a live one is ST_UNAVAILABLE. `why` gets up to why_cap bytes. */
enum status listener_open(struct loop *loop, const char *address,
                          const struct listener_options *o, listener_accept_fn *accept,
                          void *owner, struct listener **out, char *why,
                          size_t why_cap) MUST_CHECK;
uint16_t listener_port(const struct listener *l);
/* Stop taking connections / take them again (connection limit, drain). */
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
/* For whoever listens next: the socket stays the listener's own, and it listens again after
 * listener_resume(). */
int listener_fd(const struct listener *l);
/* Does the file of its socket go with it? Not when somebody else has made the socket. */
bool listener_owns_file(const struct listener *l);
/* Another process has the socket now: listener_close() leaves its file alone. */
void listener_let_go(struct listener *l);
void listener_close(struct listener *l);

#endif
