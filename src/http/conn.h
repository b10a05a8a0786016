/* The inside of the server, for the files that make it up: server.c (all connections), conn.c
 * (what moves one of them, and HTTP/1.1 on it), http2.c (HTTP/2 on it), stream.c (what the
 * owner of a stream calls), http1.c and http2_stream.c (what becomes of it). */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/list.h"
#include "http/message.h"
#include "http/outbox.h"
#include "http/server.h"
#include "http/stream.h"
#include "rt/loop.h"
#include "rt/timer.h"

struct http2;
struct io;

enum conn_state {
    CONN_WAITING, /* no byte of a request yet */
    CONN_HEAD,    /* some bytes of a head */
    CONN_SERVING, /* `stream` is with its owner */
    CONN_FRAMES,  /* HTTP/2: its streams are in `frames` */
    CONN_LINGER,  /* the answer is out; what still comes is thrown away */
    CONN_CLOSING, /* io_close() called */
};

struct conn {
    struct http_server *server; /* borrowed */
    struct io *io;              /* owned */
    struct list_node link;
    enum conn_state state;
    struct http_stream stream; /* HTTP/1.1: the one there is */
    struct message message;
    struct arena arena;   /* of the request at hand */
    struct http2 *frames; /* owned; NULL: HTTP/1.1 */
    struct buf in;        /* read, not parsed yet */
    struct span fresh;    /* what on_read brought, while advance() runs on it */
    struct outbox out;
    bool reading;
    bool busy;     /* advance() runs */
    bool deferred; /* advance() will run */
    bool input_ended;
    bool broken; /* the stream failed: nothing can be written */
    bool timed_out;
    bool keep_alive;
    bool chose;           /* which version it speaks is known */
    bool wrote_since_end; /* since the last look after the client's end of input */
    struct loop_msg turn;
    struct timer deadline;
    uint64_t deadline_us;   /* what it is to be set to; 0: none */
    bool deadline_due;      /* it will be, when advance() ends */
    uint64_t idle_until_us; /* waiting: when its patience with the client ends */
    size_t lingered;
    char peer[64];
    char *client; /* owned: its name by its certificate; NULL: it has shown none */
};

struct http_server {
    struct loop *loop;
    struct http_server_options o;
    const struct http_server_events *events;
    void *owner;
    struct list_node conns;
    struct http_server_stats stats;
    bool draining, closing;
    void (*drained)(void *owner);
    void (*closed)(void *owner);
    struct loop_msg gone;
    bool gone_posted;
    uint64_t date_s; /* of `date` */
    char date[40];
};

/* --- server.c --- */

/* After a connection has gone: was it the last one? */
void server_check_gone(struct http_server *srv);

/* --- conn.c --- */

/* Takes ownership of io, unless it returns NULL (out of memory). */
struct conn *conn_new(struct http_server *srv, struct io *io, const char *peer);
void conn_want_reads(struct conn *c, bool want);
/* The owner wants something: it is seen to as soon as no call of his is on the stack. */
void conn_wish(struct conn *c);
/* Writes what is in the outbox, as far as it goes. */
void conn_flush(struct conn *c);
/* The io failed, or shall be as if: nothing is written any more. */
void conn_broke(struct conn *c);
void conn_close(struct conn *c);
/* Nothing more is written, and what still comes is thrown away for a while, so that the
 * client sees what was written and not a reset. Nothing may be pending. */
void conn_linger(struct conn *c);
/* `n` bytes of conn_input() are used. */
void conn_spend(struct conn *c, size_t n);
/* 0: none. */
void conn_set_deadline(struct conn *c, uint64_t after_us);
/* Waiting: so long for the client's next request. */
void conn_wait_idle(struct conn *c, uint64_t idle_us);
/* A request that never became a stream: our words, then the end. */
void conn_refuse(struct conn *c, unsigned status, const char *text);

static inline size_t conn_pending(const struct conn *c)
{
    return outbox_pending(&c->out);
}

/* What was read and is not parsed yet. */
static inline struct span conn_input(const struct conn *c)
{
    return c->in.len > 0 ? buf_span(&c->in) : c->fresh;
}

#endif
