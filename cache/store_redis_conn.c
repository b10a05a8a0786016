/* hiredis for the protocol only (redisReader, redisFormatCommandArgv); bytes travel
 * over rt's io, so TLS, names and deadlines are those of every other connection.
 *
 *   WAITING --pause over--> CONNECTING --> GREETING (HELLO, SELECT, PING) --> READY
 *      ^________________________|______________|________ drop() ________|
 *
 * A command leaves the queue with its reply. When its deadline comes first its owner
 * is told, and the reply, should it come, is thrown away. Three such in a row mean
 * that Redis hangs: the connection is reset. Redis frozen, half-open TCP, a failed
 * failover all end that way, and so does READONLY: the name may now mean another
 * machine, so it is looked up anew.
 *
 * Input is a peer's: the size of a reply and the elements of an array are bounded. */
#include "cache/store_redis_conn_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/entry.h"
#include "rt/connect.h"
#include "rt/io.h"

#define ELEMENTS_MAX       16384 /* of an array: as many as a Cluster has slots */
#define REPLY_BYTES_MAX    (ENTRY_FRAME_BYTES_MAX + 65536)
#define OUT_BYTES_MAX      (2 * (size_t)ENTRY_FRAME_BYTES_MAX)
#define IN_FLIGHT_MAX      8192
#define READER_KEEP_BYTES  (256u * 1024)
#define FAILURES_MAX       3
#define PAUSE_MIN_US       (50u * 1000)
#define PAUSE_MAX_US       (1000u * 1000)
#define STEADY_US          (2000u * 1000)
#define PATIENCE_MIN_US    (1000u * 1000) /* connect, and a handshake's command */
#define PING_AFTER_IDLE_US (10u * 1000 * 1000)

struct store_redis_command {
    struct store_redis_conn *conn;
    struct store_redis_command *next;
    struct timer deadline;
    store_redis_done_fn *done; /* NULL: answered, or nobody cares */
    void *owner;
};

/* One connection's worth of state; outlives its use until the io is closed. */
struct store_redis_link {
    struct store_redis_conn *conn;
    struct io *io;                       /* owned */
    redisReader *reader;                 /* owned */
    redisReplyObjectFunctions functions; /* of reader: hiredis' own, but for arrays */
    void *(*create_array)(const redisReadTask *task, int elements);
    size_t reply_bytes; /* fed since the last whole reply */
    struct buf out, flying;
    bool writing;
};

static void maybe_closed(struct store_redis_conn *c);

bool store_redis_conn_is_error(const redisReply *r, const char *word)
{
    size_t n = strlen(word);

    return r != NULL && r->type == REDIS_REPLY_ERROR && (size_t)r->len >= n &&
           memcmp(r->str, word, n) == 0 && ((size_t)r->len == n || r->str[n] == ' ');
}

/* --- commands -------------------------------------------------------------------------- */

static struct store_redis_command *pop(struct store_redis_conn *c)
{
    struct store_redis_command *cmd = c->head;

    if (cmd == NULL)
        return NULL;
    c->head = cmd->next;
    if (c->head == NULL)
        c->tail = &c->head;
    c->in_flight--;
    timer_stop(c->loop, &cmd->deadline);
    return cmd;
}

static void tell(struct store_redis_command *cmd, enum status st, const redisReply *r)
{
    store_redis_done_fn *done = cmd->done;

    cmd->done = NULL;
    if (done != NULL)
        done(cmd->owner, st, r);
}

/* None can be sent meanwhile: the connection is not ready. */
static void fail_all(struct store_redis_conn *c, enum status st)
{
    struct store_redis_command *cmd;

    while ((cmd = pop(c)) != NULL) {
        tell(cmd, st, NULL);
        free(cmd);
    }
}

static void failure(struct store_redis_conn *c, const char *why)
{
    if (c->state == STORE_REDIS_CONN_READY &&
        breaker_failure(&c->breaker, loop_now_us(c->loop))) {
        c->stalled = true;
        store_redis_conn_drop(c, why, true);
    }
}

/* A connection that is lost soon after each greeting must not come back at once for
 * ever: pauses are short again only after some good time. */
static void success(struct store_redis_conn *c)
{
    if (loop_now_us(c->loop) - c->ready_us > STEADY_US)
        breaker_success(&c->breaker);
    else
        breaker_close(&c->breaker);
}

static void on_deadline(struct timer *t)
{
    struct store_redis_command *cmd = CONTAINER_OF(t, struct store_redis_command, deadline);
    struct store_redis_conn *c = cmd->conn;

    c->timeouts_total++;
    tell(cmd, ST_TIMEOUT, NULL);
    if (c->state == STORE_REDIS_CONN_GREETING)
        store_redis_conn_drop(c, "no answer to the greeting in time", true);
    else
        failure(c, "commands time out");
}

void store_redis_conn_forget(struct store_redis_command *cmd)
{
    cmd->done = NULL;
}

/* --- writing ----------------------------------------------------------------------------- */

/* What was gathered in this turn goes out at once; what comes meanwhile waits for
 * on_written. */
static void flush(struct store_redis_conn *c)
{
    struct store_redis_link *l = c->link;
    struct span part;
    struct buf swap;
    size_t taken = 0;

    if (l == NULL || l->writing || l->out.len == 0)
        return;
    part = buf_span(&l->out);
    if (io_try_write(l->io, &part, 1, &taken) != ST_OK) {
        store_redis_conn_drop(c, "cannot write", false);
        return;
    }
    buf_consume(&l->out, taken);
    if (l->out.len == 0) {
        if (l->out.cap > READER_KEEP_BYTES)
            buf_release(&l->out);
        return;
    }
    swap = l->out;
    l->out = l->flying;
    l->flying = swap;
    part = buf_span(&l->flying);
    if (io_write(l->io, &part, 1) != ST_OK) {
        store_redis_conn_drop(c, "cannot write", false);
        return;
    }
    l->writing = true;
}

static void on_flush(struct loop_msg *m)
{
    struct store_redis_conn *c = CONTAINER_OF(m, struct store_redis_conn, flush_msg);

    c->flushing = false;
    flush(c);
}

static void on_written(void *owner, enum status st)
{
    struct store_redis_link *l = owner;

    l->writing = false;
    buf_clear(&l->flying);
    if (l->flying.cap > READER_KEEP_BYTES)
        buf_release(&l->flying);
    if (l->conn->link != l)
        return;
    if (st != ST_OK)
        store_redis_conn_drop(l->conn, "the connection was lost", false);
    else
        flush(l->conn);
}

static enum status append_command(struct buf *out, const struct span *part, int parts)
{
    const char *argv[STORE_REDIS_ARGS_MAX];
    size_t lengths[STORE_REDIS_ARGS_MAX];
    char *command = NULL;
    enum status st;
    int n;

    assert(parts <= STORE_REDIS_ARGS_MAX);
    for (int i = 0; i < parts; i++) {
        argv[i] = part[i].ptr;
        lengths[i] = part[i].len;
    }
    n = redisFormatCommandArgv(&command, parts, argv, lengths);
    if (n < 0)
        return ST_NOMEM;
    st = buf_append(out, (struct span){command, (size_t)n});
    redisFreeCommand(command);
    return st == ST_LIMIT ? ST_OVERLOAD : st;
}

enum status store_redis_conn_enqueue(struct store_redis_conn *c, const struct span *part,
                                     int parts, uint64_t deadline_us, store_redis_done_fn *done,
                                     void *owner, struct store_redis_command **out)
{
    struct store_redis_command *cmd;
    enum status st;

    if (c->in_flight >= IN_FLIGHT_MAX)
        return ST_OVERLOAD;
    cmd = calloc(1, sizeof(*cmd));
    if (cmd == NULL)
        return ST_NOMEM;
    st = append_command(&c->link->out, part, parts);
    if (st != ST_OK) {
        free(cmd);
        return st;
    }
    *cmd = (struct store_redis_command){.conn = c, .done = done, .owner = owner};
    *c->tail = cmd;
    c->tail = &cmd->next;
    c->in_flight++;
    c->used = true;
    timer_start(c->loop, &cmd->deadline, deadline_us, on_deadline);
    if (!c->flushing) {
        c->flushing = true;
        loop_defer(c->loop, &c->flush_msg, on_flush);
    }
    if (out != NULL)
        *out = cmd;
    return ST_OK;
}

enum status store_redis_conn_send(struct store_redis_conn *c, const struct span *part,
                                  int parts, uint64_t deadline_us, store_redis_done_fn *done,
                                  void *owner, struct store_redis_command **out)
{
    if (c->state != STORE_REDIS_CONN_READY)
        return ST_UNAVAILABLE;
    return store_redis_conn_enqueue(c, part, parts, deadline_us, done, owner, out);
}

/* --- reading ----------------------------------------------------------------------------- */

/* Redis answers, but will not serve now. */
static bool is_not_now(const redisReply *r)
{
    static const char *const words[] = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",
                                        "BUSY",    "MOVED",      "ASK"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (store_redis_conn_is_error(r, words[i]))
            return true;
    return false;
}

/* This connection is no good any more, though the server may be. */
static bool is_wrong_place(const redisReply *r)
{
    return store_redis_conn_is_error(r, "READONLY") || store_redis_conn_is_error(r, "NOAUTH");
}

/* The server is well: another one has the key. */
static bool is_elsewhere(const struct store_redis_conn *c, const redisReply *r)
{
    return c->cluster &&
           (store_redis_conn_is_error(r, "MOVED") || store_redis_conn_is_error(r, "ASK"));
}

/* The first line of an error, without what is not printable: it is shown. */
static void explain(char *out, size_t cap, const redisReply *r)
{
    size_t n = 0;

    for (size_t i = 0; i < (size_t)r->len && n + 1 < cap && n < 100; i++)
        if (r->str[i] >= 0x20 && r->str[i] < 0x7f)
            out[n++] = r->str[i];
    out[n] = '\0';
}

static void take_reply(struct store_redis_conn *c, const redisReply *r)
{
    struct store_redis_command *cmd = pop(c);
    char why[128];

    if (cmd == NULL) {
        store_redis_conn_drop(c, "a reply to nothing", true);
        return;
    }
    if (c->state == STORE_REDIS_CONN_GREETING || r->type != REDIS_REPLY_ERROR) {
        if (c->state == STORE_REDIS_CONN_READY)
            success(c);
        tell(cmd, r->type == REDIS_REPLY_ERROR ? ST_INVALID : ST_OK, r);
    } else {
        explain(why, sizeof(why), r);
        if (is_elsewhere(c, r)) {
            tell(cmd, ST_INVALID, r);
        } else if (is_wrong_place(r)) {
            tell(cmd, ST_UNAVAILABLE, NULL);
            store_redis_conn_drop(c, why, false);
        } else if (is_not_now(r)) {
            tell(cmd, ST_UNAVAILABLE, NULL);
            failure(c, why);
        } else {
            tell(cmd, ST_INVALID, r);
        }
    }
    free(cmd);
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct store_redis_link *l = owner;
    struct store_redis_conn *c = l->conn;
    void *reply = NULL;

    if (c->link != l)
        return;
    if (st != ST_OK) {
        store_redis_conn_drop(
            c, st == ST_CLOSED ? "closed by Redis" : "the connection was lost", false);
        return;
    }
    l->reply_bytes += data.len;
    if (redisReaderFeed(l->reader, data.ptr, data.len) != REDIS_OK) {
        store_redis_conn_drop(c, "out of memory", true);
        return;
    }
    while (c->link == l) {
        if (redisReaderGetReply(l->reader, &reply) != REDIS_OK) {
            store_redis_conn_drop(c, "this is not the protocol of Redis", true);
            return;
        }
        if (reply == NULL)
            break;
        l->reply_bytes = l->reader->len - l->reader->pos;
        take_reply(c, reply);
        freeReplyObject(reply);
    }
    if (c->link == l && l->reply_bytes > REPLY_BYTES_MAX)
        store_redis_conn_drop(c, "a reply beyond all bounds", true);
}

/* --- the greeting --------------------------------------------------------------------------
 */

uint64_t store_redis_conn_patience_us(const struct store_redis_conn *c)
{
    return c->options.deadline_us > PATIENCE_MIN_US ? c->options.deadline_us : PATIENCE_MIN_US;
}

static void ping_later(struct store_redis_conn *c);

void store_redis_conn_become_ready(struct store_redis_conn *c)
{
    if (c->trouble[0] != '\0')
        log_at(LOG_INFO, NULL, kv_event("redis_recovered"),
               kv_str("address", c->options.url.shown));
    c->state = STORE_REDIS_CONN_READY;
    c->stalled = false;
    c->trouble[0] = '\0';
    c->ready_us = loop_now_us(c->loop);
    breaker_close(&c->breaker);
    ping_later(c);
    c->options.ready(c->options.owner);
}

void store_redis_conn_refused(struct store_redis_conn *c, const redisReply *r)
{
    char why[128];

    c->errors_total++;
    explain(why, sizeof(why), r);
    store_redis_conn_drop(c, why, false);
}

/* --- keeping it alive ------------------------------------------------------------------------
 */

static void on_pong(void *owner, enum status st, const redisReply *r)
{
    (void)owner;
    (void)st;
    (void)r;
}

/* A connection that nobody uses may be dead without anyone having noticed. */
static void on_ping(struct timer *t)
{
    struct store_redis_conn *c = CONTAINER_OF(t, struct store_redis_conn, ping);
    const struct span parts[1] = {SPAN("PING")};

    if (c->state != STORE_REDIS_CONN_READY)
        return;
    if (!c->used && store_redis_conn_enqueue(c, parts, 1, store_redis_conn_patience_us(c),
                                             on_pong, c, NULL) != ST_OK) {
        store_redis_conn_drop(c, "out of memory", true);
        return;
    }
    c->used = false;
    ping_later(c);
}

static void ping_later(struct store_redis_conn *c)
{
    timer_start(c->loop, &c->ping, PING_AFTER_IDLE_US, on_ping);
}

/* --- connecting ------------------------------------------------------------------------------
 */

static void link_release(struct store_redis_link *l)
{
    if (l->reader != NULL)
        redisReaderFree(l->reader);
    buf_release(&l->out);
    buf_release(&l->flying);
    free(l);
}

static void on_link_closed(void *owner)
{
    struct store_redis_link *l = owner;
    struct store_redis_conn *c = l->conn;

    link_release(l);
    c->links--;
    maybe_closed(c);
}

static const struct io_events link_events = {
    .on_read = on_read,
    .on_written = on_written,
    .on_closed = on_link_closed,
};

/* hiredis would allocate whatever number of elements the peer claims. */
static void *create_array_bounded(const redisReadTask *task, int elements)
{
    const struct store_redis_link *l = task->privdata;

    return elements > ELEMENTS_MAX ? NULL : l->create_array(task, elements);
}

static bool reader_open(struct store_redis_link *l)
{
    l->reader = redisReaderCreate();
    if (l->reader == NULL)
        return false;
    l->functions = *l->reader->fn;
    l->create_array = l->functions.createArray;
    l->functions.createArray = create_array_bounded;
    l->reader->fn = &l->functions;
    l->reader->privdata = l;
    return true;
}

static void wait_and_retry(struct store_redis_conn *c);

static bool link_up(struct store_redis_conn *c, struct io *io)
{
    struct store_redis_link *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return false;
    if (!reader_open(l)) {
        free(l);
        return false;
    }
    l->conn = c;
    l->io = io;
    buf_init(&l->out, OUT_BYTES_MAX);
    buf_init(&l->flying, OUT_BYTES_MAX);
    c->link = l;
    c->links++;
    io_attach(io, &link_events, l);
    io_read_start(io);
    return true;
}

static void set_trouble(struct store_redis_conn *c, const char *why)
{
    /* One line when it begins; each try would be one a second. */
    if (c->trouble[0] == '\0')
        log_at(LOG_WARN, NULL, kv_event("redis_down"), kv_str("address", c->options.url.shown),
               kv_str("why", why));
    snprintf(c->trouble, sizeof(c->trouble), "%.60s: %.96s", c->options.url.shown, why);
}

static void on_connected(struct connect_op *op, enum status st, struct io *io, const char *why)
{
    struct store_redis_conn *c = connect_owner(op);

    c->connecting = NULL;
    if (c->state == STORE_REDIS_CONN_CLOSING) {
        if (st == ST_OK)
            io_close(io);
        maybe_closed(c);
        return;
    }
    if (st == ST_OK && link_up(c, io)) {
        c->state = STORE_REDIS_CONN_GREETING;
        store_redis_greeting_start(c);
        return;
    }
    if (st == ST_OK)
        io_close(io);
    set_trouble(c, st == ST_OK ? "out of memory" : why);
    wait_and_retry(c);
    c->options.down(c->options.owner);
}

static void start_connecting(struct store_redis_conn *c)
{
    const struct redis_url *u = &c->options.url;
    struct endpoint to = {.host = u->host, .port = u->port, .tls = c->options.tls};

    if (u->unix_socket)
        to.unix_path = u->host;
    c->state = STORE_REDIS_CONN_CONNECTING;
    if (connect_start(c->connector, &to, store_redis_conn_patience_us(c), on_connected, c,
                      &c->connecting) != ST_OK) {
        c->connecting = NULL;
        set_trouble(c, "cannot connect");
        wait_and_retry(c);
    }
}

static void on_retry(struct timer *t)
{
    start_connecting(CONTAINER_OF(t, struct store_redis_conn, retry));
}

/* The breaker's pause is the back-off. */
static void wait_and_retry(struct store_redis_conn *c)
{
    uint64_t now_us = loop_now_us(c->loop);

    c->state = STORE_REDIS_CONN_WAITING;
    if (breaker_pause_left_us(&c->breaker, now_us) == 0) {
        c->breaker.failures = c->breaker.failures_max;
        breaker_failure(&c->breaker, now_us);
    }
    timer_start(c->loop, &c->retry, breaker_pause_left_us(&c->breaker, now_us), on_retry);
}

/* The one way a connection ends, whatever the reason. */
void store_redis_conn_drop(struct store_redis_conn *c, const char *why, bool reset)
{
    struct store_redis_link *l = c->link;

    if (l == NULL) /* closed by what a reply led to */
        return;
    set_trouble(c, why);
    c->link = NULL;
    timer_stop(c->loop, &c->ping);
    if (reset)
        io_reset(l->io);
    else
        io_close(l->io);
    wait_and_retry(c);
    fail_all(c, ST_UNAVAILABLE);
    c->options.down(c->options.owner);
}

/* --- opening and closing
 * ----------------------------------------------------------------------- */

enum status store_redis_conn_open(struct loop *loop, struct connector *connector,
                                  const struct store_redis_conn_options *o,
                                  struct store_redis_conn **out)
{
    struct store_redis_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return ST_NOMEM;
    c->loop = loop;
    c->connector = connector;
    c->options = *o;
    c->tail = &c->head;
    breaker_init(&c->breaker, FAILURES_MAX, PAUSE_MIN_US, PAUSE_MAX_US, clock_now_us());
    start_connecting(c);
    *out = c;
    return ST_OK;
}

static void on_closed(struct loop_msg *m)
{
    struct store_redis_conn *c = CONTAINER_OF(m, struct store_redis_conn, closed_msg);
    void (*closed)(void *owner) = c->closed;
    void *owner = c->closed_owner;

    free(c);
    closed(owner);
}

static void maybe_closed(struct store_redis_conn *c)
{
    /* A flush that was deferred before runs before. */
    if (c->state == STORE_REDIS_CONN_CLOSING && c->links == 0 && c->connecting == NULL)
        loop_defer(c->loop, &c->closed_msg, on_closed);
}

void store_redis_conn_close(struct store_redis_conn *c, void (*closed)(void *owner),
                            void *owner)
{
    struct store_redis_link *l = c->link;

    assert(c->state != STORE_REDIS_CONN_CLOSING);
    c->state = STORE_REDIS_CONN_CLOSING;
    c->closed = closed;
    c->closed_owner = owner;
    timer_stop(c->loop, &c->retry);
    timer_stop(c->loop, &c->ping);
    c->link = NULL;
    if (l != NULL)
        io_close(l->io);
    fail_all(c, ST_CANCELED);
    if (c->connecting != NULL)
        connect_cancel(c->connecting);
    maybe_closed(c);
}

bool store_redis_conn_is_ready(const struct store_redis_conn *c)
{
    return c->state == STORE_REDIS_CONN_READY;
}

bool store_redis_conn_is_cluster(const struct store_redis_conn *c)
{
    return c->cluster;
}

void store_redis_conn_describe(const struct store_redis_conn *c, char *out, size_t cap)
{
    snprintf(out, cap, "%.80s%s%s", c->options.url.shown,
             c->version[0] != '\0' ? ", version " : "", c->version);
}

size_t store_redis_conn_in_flight(const struct store_redis_conn *c)
{
    return c->in_flight;
}

void store_redis_conn_stats(const struct store_redis_conn *c,
                            struct store_redis_conn_stats *out)
{
    *out = (struct store_redis_conn_stats){.ready = c->state == STORE_REDIS_CONN_READY,
                                           .breaker_open = c->stalled,
                                           .timeouts_total = c->timeouts_total,
                                           .errors_total = c->errors_total,
                                           .trouble = c->trouble};
}
