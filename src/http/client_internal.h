/* The inside of the client, for the files that make it up: pool.c (connections and who
 * gets one), client.c (one call on one connection). */
#ifndef HTTP_CLIENT_INTERNAL_H
#define HTTP_CLIENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/client.h"
#include "http/message.h"
#include "http/outbox.h"
#include "rt/loop.h"
#include "rt/timer.h"

struct io;

enum call_state { CALL_WAITING, CALL_CONNECTING, CALL_EXCHANGING, CALL_ENDED };

struct link {
    struct http_pool *pool; /* borrowed */
    struct io *io;          /* owned */
    struct list_node node;  /* in pool->idle or pool->busy */
    struct http_call *call; /* NULL while idle */
    struct message message;
    struct buf in;     /* read, not parsed yet */
    struct span fresh; /* what on_read brought, while take_input() runs on it */
    struct outbox out;
    bool reading, closing;
    bool deaf;     /* it takes no more of what we send; it may still answer */
    bool reused;   /* has served a call before */
    bool unsent;   /* the call's request goes out at the end of the turn */
    bool answered; /* a byte of this answer came */
    bool deferred;
    struct loop_msg turn;
    struct timer keep; /* while idle */
};

struct http_call {
    struct http_pool *pool; /* borrowed */
    enum call_state state;
    struct list_node node; /* in pool->waiting or pool->calls */
    struct link *link;
    struct connect_op *connect; /* NULL once it is canceled */
    bool connecting;            /* on_connected is due, and needs this call */
    bool told_end;
    const struct http_call_events *events;
    void *owner;
    struct arena *arena; /* borrowed: heads of answers */

    struct buf head;  /* the request's head, kept for a retry */
    struct span body; /* borrowed */
    bool streams, chunked;
    bool is_head; /* method HEAD */
    bool upgrade; /* another protocol is asked for */
    bool upload_done;
    bool told_wait;
    uint64_t uploaded;     /* bytes of a streamed body given to us */
    uint64_t upload_bytes; /* what was announced, or HTTP_BODY_CHUNKED */
    bool retried;
    bool unreached; /* no connection could be made, and none was had before */

    bool paused, canceled, got_head;
    unsigned informational;
    uint64_t started_us, first_byte_us;
    struct timer stage, total;
    bool stage_due; /* a sign of life since `stage` was set */
    enum status status;
    char why[192];
    struct loop_msg end;
};

struct http_pool {
    struct loop *loop;
    struct connector *connector;
    struct http_pool_options o;
    struct list_node idle, busy, waiting, calls;
    struct list_node spare; /* calls that ended, for the next ones */
    unsigned spare_count;
    struct http_pool_stats stats;
    unsigned links;      /* not yet freed */
    unsigned live_calls; /* not yet ended */
    bool closing;
    void (*closed)(void *owner);
    void *owner;
    struct loop_msg gone;
    bool gone_posted;
};

/* --- pool.c --- */

/* A connection for the call, or a place in the queue, or its end. */
void pool_serve(struct http_call *c);
/* The next calls that wait get the places that became free. */
void pool_serve_waiting(struct http_pool *p);
void pool_link_close(struct link *l);
/* Back into the pool, or away. */
void pool_link_give_back(struct link *l, bool again);
/* client_take_input() later, when no call of an owner is on the stack. */
void pool_link_wish(struct link *l);
void pool_link_read(struct link *l, bool want);
/* Was that the last thing a closing pool waited for? */
void pool_check_gone(struct http_pool *p);

/* --- client.c --- */

void client_on_read(void *owner, enum status st, struct span data);
void client_on_written(void *owner, enum status st);
/* The call has its connection: its request goes out at the end of the turn. */
void client_exchange(struct http_call *c, struct link *l);
void client_send(struct link *l);
void client_take_input(struct link *l);
void client_tell_drained(struct http_call *c);
void client_on_stage(struct timer *t);
void client_fail(struct http_call *c, enum status st, const char *why);
void client_free(struct http_call *c);

#endif
