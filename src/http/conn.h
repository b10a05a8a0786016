/* The inside of the server, for the files that make it up: server.c (all connections),
 * conn.c (what moves one of them), stream.c (what its owner calls). */
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
#include "rt/loop.h"
#include "rt/timer.h"

struct io;

enum conn_state {
    CONN_WAITING, /* no byte of a request yet */
    CONN_HEAD,    /* some bytes of a head */
    CONN_SERVING, /* `stream` is with its owner */
    CONN_LINGER,  /* the answer is out; what still comes is thrown away */
    CONN_CLOSING, /* io_close() called */
};

struct http_stream {
    void *owner;
    uint64_t started_us;
    uint64_t body_given; /* bytes of the answer's body written by the owner */
    bool body_wanted;
    bool body_done; /* the request's body was delivered to its end */
    bool responded; /* a head is out */
    bool chunked;
    bool no_body;  /* HEAD: the answer's body is not written */
    bool switched; /* http_switch(): silence is no fault here, and is measured elsewhere */
    bool ended;
    bool aborted;
    bool told_wait; /* on_drained is due */
    bool continue_sent;
    uint64_t left; /* of a body with a length */
};

struct conn {
    struct http_server *server; /* borrowed */
    struct io *io;              /* owned */
    struct list_node link;
    enum conn_state state;
    struct http_stream stream;
    struct message message;
    struct arena arena; /* of the request at hand */
    struct buf in;      /* read, not parsed yet */
    struct span fresh;  /* what on_read brought, while advance() runs on it */
    struct outbox out;
    bool reading;
    bool busy;     /* advance() runs */
    bool deferred; /* advance() will run */
    bool input_ended;
    bool broken; /* the stream failed: nothing can be written */
    bool timed_out;
    bool keep_alive;
    bool wrote_since_end; /* since the last look after the client's end of input */
    struct loop_msg turn;
    struct timer deadline;
    uint64_t deadline_us; /* what it is to be set to; 0: none */
    bool deadline_due;    /* it will be, when advance() ends */
    size_t lingered;
    char peer[64];
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
/* The io failed, or shall be as if: nothing is written any more. */
void conn_broke(struct conn *c);
void conn_close(struct conn *c);
/* 0: none. */
void conn_set_deadline(struct conn *c, uint64_t after_us);
/* A request that never became a stream: our words, then the end. */
void conn_refuse(struct conn *c, unsigned status, const char *text);

static inline struct conn *conn_of(struct http_stream *s)
{
    return CONTAINER_OF(s, struct conn, stream);
}

static inline size_t conn_pending(const struct conn *c)
{
    return outbox_pending(&c->out);
}

/* What was read and is not parsed yet. */
static inline struct span conn_input(const struct conn *c)
{
    return c->in.len > 0 ? buf_span(&c->in) : c->fresh;
}

/* --- stream.c --- */

/* The head of an answer into c->out; c->keep_alive is decided. */
enum status stream_put_head(struct conn *c, unsigned status, const struct http_field *fields,
                            size_t n, uint64_t body_bytes) MUST_CHECK;

#endif
