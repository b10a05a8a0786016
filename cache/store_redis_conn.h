/* A connection to Redis that comes back: commands in, replies out in their order,
 * pipelined, each with a deadline. Connects in the background, and again after
 * trouble, with growing pauses; while it is not there commands are refused at once.
 * Time-outs and refusals in a row make it drop the connection: the next handshake is
 * the probe. Loop thread only. */
#ifndef CACHE_STORE_REDIS_CONN_H
#define CACHE_STORE_REDIS_CONN_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/redis_url.h"

struct connector;
struct io_tls_ctx;
struct loop;
struct store_redis_conn;
struct store_redis_command;

/* ST_OK: `r` is no error. ST_INVALID: `r` is an error of Redis about this command.
 * ST_TIMEOUT, ST_UNAVAILABLE: no reply, or one that says "not now"; r is NULL. `r` is
 * valid until this returns. */
typedef void store_redis_done_fn(void *owner, enum status st, const redisReply *r);

struct store_redis_conn_options {
    struct redis_url url;
    struct io_tls_ctx *tls;    /* borrowed (outlives); NULL: none */
    const char *password_file; /* borrowed (outlives); read for each greeting. NULL: none */
    uint64_t deadline_us;      /* of a look-up, tells how patient a handshake must be */
    void (*ready)(void *owner);
    void (*down)(void *owner); /* once per failed try or lost connection */
    void *owner;
};

struct store_redis_conn_stats {
    bool ready, breaker_open;
    uint64_t timeouts_total, errors_total;
    const char *trouble; /* empty while ready */
};

enum status store_redis_conn_open(struct loop *loop, struct connector *connector,
                                  const struct store_redis_conn_options *o,
                                  struct store_redis_conn **out) MUST_CHECK;
/* Commands under way end with ST_CANCELED; `closed` comes later. */
void store_redis_conn_close(struct store_redis_conn *c, void (*closed)(void *owner),
                            void *owner);

bool store_redis_conn_is_ready(const struct store_redis_conn *c);
/* Did it say so when it was greeted? MOVED and ASK are then the owner's: ST_INVALID. */
bool store_redis_conn_is_cluster(const struct store_redis_conn *c);
/* For people: where it leads, and which version of what the server says it is. */
void store_redis_conn_describe(const struct store_redis_conn *c, char *out, size_t cap);
/* Commands whose reply is due. */
size_t store_redis_conn_in_flight(const struct store_redis_conn *c);

/* ST_OK: done comes once, later. ST_UNAVAILABLE: not connected. ST_OVERLOAD: too much
 * under way. `out` may be NULL. */
enum status store_redis_conn_send(struct store_redis_conn *c, const struct span *part,
                                  int parts, uint64_t deadline_us, store_redis_done_fn *done,
                                  void *owner, struct store_redis_command **out) MUST_CHECK;
/* The owner is gone: done will not come. Only before it came. */
void store_redis_conn_forget(struct store_redis_command *cmd);

void store_redis_conn_stats(const struct store_redis_conn *c,
                            struct store_redis_conn_stats *out);

/* Does an error reply begin with this word? */
bool store_redis_conn_is_error(const redisReply *r, const char *word);

#endif
