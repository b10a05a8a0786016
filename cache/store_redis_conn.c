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
#include "cache/store_redis_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/breaker.h"
#include "cache/entry.h"
#include "rt/connect.h"
#include "rt/io.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define ARGS_MAX           24
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

enum conn_state { WAITING, CONNECTING, GREETING, READY, CLOSING };

struct store_redis_command {
    struct store_redis_conn *conn;
    struct store_redis_command *next;
    struct timer deadline;
    store_redis_done_fn *done; /* NULL: answered, or nobody cares */
    void *owner;
};

/* One connection's worth of state; outlives its use until the io is closed. */
struct link {
    struct store_redis_conn *conn;
    struct io *io;                       /* owned */
    redisReader *reader;                 /* owned */
    redisReplyObjectFunctions functions; /* of reader: hiredis' own, but for arrays */
    void *(*create_array)(const redisReadTask *task, int elements);
    size_t reply_bytes; /* fed since the last whole reply */
    struct buf out, flying;
    bool writing;
};

struct store_redis_conn {
    struct loop *loop;           /* borrowed (outlives) */
    struct connector *connector; /* borrowed (outlives) */
    struct store_redis_conn_options options;
    enum conn_state state;
    struct breaker breaker;
    struct timer retry, ping;
    struct connect_op *connecting;
    struct link *link; /* the present one; NULL: none */
    unsigned links;    /* not yet closed, the present one included */

    struct store_redis_command *head, **tail; /* in the order of sending */
    size_t in_flight;
    uint64_t ready_us; /* since when */
    bool used;         /* since the last look of the ping timer */
    bool stalled;      /* dropped because it did not answer */
    bool plain_auth;   /* no HELLO: an older server or a proxy */
    bool cluster;      /* a member of one, by its own word */

    struct loop_msg flush_msg;
    bool flushing;
    struct loop_msg closed_msg;
    void (*closed)(void *owner);
    void *closed_owner;

    uint64_t timeouts_total, errors_total;
    char trouble[160];
};

static void drop_link(struct store_redis_conn *c, const char *why, bool reset);
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
    if (c->state == READY && breaker_failure(&c->breaker, loop_now_us(c->loop))) {
        c->stalled = true;
        drop_link(c, why, true);
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
    if (c->state == GREETING)
        drop_link(c, "no answer to the greeting in time", true);
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
    struct link *l = c->link;
    struct span part;
    struct buf swap;
    size_t taken = 0;

    if (l == NULL || l->writing || l->out.len == 0)
        return;
    part = buf_span(&l->out);
    if (io_try_write(l->io, &part, 1, &taken) != ST_OK) {
        drop_link(c, "cannot write", false);
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
        drop_link(c, "cannot write", false);
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
    struct link *l = owner;

    l->writing = false;
    buf_clear(&l->flying);
    if (l->flying.cap > READER_KEEP_BYTES)
        buf_release(&l->flying);
    if (l->conn->link != l)
        return;
    if (st != ST_OK)
        drop_link(l->conn, "the connection was lost", false);
    else
        flush(l->conn);
}

static enum status append_command(struct buf *out, const struct span *part, int parts)
{
    const char *argv[ARGS_MAX];
    size_t lengths[ARGS_MAX];
    char *command = NULL;
    enum status st;
    int n;

    assert(parts <= ARGS_MAX);
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

static enum status enqueue(struct store_redis_conn *c, const struct span *part, int parts,
                           uint64_t deadline_us, store_redis_done_fn *done, void *owner,
                           struct store_redis_command **out)
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
    if (c->state != READY)
        return ST_UNAVAILABLE;
    return enqueue(c, part, parts, deadline_us, done, owner, out);
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
        drop_link(c, "a reply to nothing", true);
        return;
    }
    if (c->state == GREETING || r->type != REDIS_REPLY_ERROR) {
        if (c->state == READY)
            success(c);
        tell(cmd, r->type == REDIS_REPLY_ERROR ? ST_INVALID : ST_OK, r);
    } else {
        explain(why, sizeof(why), r);
        if (is_elsewhere(c, r)) {
            tell(cmd, ST_INVALID, r);
        } else if (is_wrong_place(r)) {
            tell(cmd, ST_UNAVAILABLE, NULL);
            drop_link(c, why, false);
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
    struct link *l = owner;
    struct store_redis_conn *c = l->conn;
    void *reply = NULL;

    if (c->link != l)
        return;
    if (st != ST_OK) {
        drop_link(c, st == ST_CLOSED ? "closed by Redis" : "the connection was lost", false);
        return;
    }
    l->reply_bytes += data.len;
    if (redisReaderFeed(l->reader, data.ptr, data.len) != REDIS_OK) {
        drop_link(c, "out of memory", true);
        return;
    }
    while (c->link == l) {
        if (redisReaderGetReply(l->reader, &reply) != REDIS_OK) {
            drop_link(c, "this is not the protocol of Redis", true);
            return;
        }
        if (reply == NULL)
            break;
        l->reply_bytes = l->reader->len - l->reader->pos;
        take_reply(c, reply);
        freeReplyObject(reply);
    }
    if (c->link == l && l->reply_bytes > REPLY_BYTES_MAX)
        drop_link(c, "a reply beyond all bounds", true);
}

/* --- the greeting --------------------------------------------------------------------------
 */

static uint64_t patience_us(const struct store_redis_conn *c)
{
    return c->options.deadline_us > PATIENCE_MIN_US ? c->options.deadline_us : PATIENCE_MIN_US;
}

static void ping_later(struct store_redis_conn *c);

static void become_ready(struct store_redis_conn *c)
{
    if (c->trouble[0] != '\0')
        log_at(LOG_INFO, NULL, kv_event("redis_recovered"),
               kv_str("address", c->options.url.shown));
    c->state = READY;
    c->stalled = false;
    c->trouble[0] = '\0';
    c->ready_us = loop_now_us(c->loop);
    breaker_close(&c->breaker);
    ping_later(c);
    c->options.ready(c->options.owner);
}

static void greet_or_drop(struct store_redis_conn *c, const struct span *part, int parts,
                          store_redis_done_fn *done)
{
    if (enqueue(c, part, parts, patience_us(c), done, c, NULL) != ST_OK)
        drop_link(c, "out of memory", true);
}

static void refused(struct store_redis_conn *c, const redisReply *r)
{
    char why[128];

    c->errors_total++;
    explain(why, sizeof(why), r);
    drop_link(c, why, false);
}

/* An answer is enough: a user who may not ping may well read. */
static void on_first_pong(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK || store_redis_conn_is_error(r, "NOPERM"))
        become_ready(c);
    else if (st == ST_INVALID)
        refused(c, r);
}

/* All before is answered while a server loads or has lost its master; this is not. One that was
 * left because look-ups waited for it in vain must be as fast as a look-up now: else each time
 * it is back a few of them would wait again. */
static void ping(struct store_redis_conn *c)
{
    const struct span parts[1] = {SPAN("PING")};
    uint64_t deadline_us = c->stalled ? c->options.deadline_us : patience_us(c);

    if (enqueue(c, parts, 1, deadline_us, on_first_pong, c, NULL) != ST_OK)
        drop_link(c, "out of memory", true);
}

static void on_selected(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK)
        ping(c);
    else if (st == ST_INVALID)
        refused(c, r);
}

static void select_db(struct store_redis_conn *c)
{
    char text[16];
    struct span parts[2] = {SPAN("SELECT"), {text, 0}};

    if (c->options.url.db == 0) {
        ping(c);
        return;
    }
    parts[1].len = (size_t)snprintf(text, sizeof(text), "%u", c->options.url.db);
    greet_or_drop(c, parts, 2, on_selected);
}

static void on_authenticated(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK)
        select_db(c);
    else if (st == ST_INVALID)
        refused(c, r);
}

/* A server that knows no HELLO (before 6, or a proxy) knows no users either, unless
 * one is named. */
static void authenticate(struct store_redis_conn *c)
{
    const struct redis_url *u = &c->options.url;
    struct span parts[3] = {SPAN("AUTH")};
    int n = 1;

    if (u->password[0] == '\0') {
        select_db(c);
        return;
    }
    if (strcmp(u->user, "default") != 0)
        parts[n++] = span_of(u->user);
    parts[n++] = span_of(u->password);
    greet_or_drop(c, parts, n, on_authenticated);
}

/* HELLO answers with names and values in turn. */
static bool says_cluster(const redisReply *r)
{
    if (r->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const redisReply *name = r->element[i], *value = r->element[i + 1];

        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, "mode") == 0)
            return strcmp(value->str, "cluster") == 0;
    }
    return false;
}

static void on_hello(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK) {
        c->cluster = says_cluster(r);
        select_db(c);
    } else if (st == ST_INVALID && (store_redis_conn_is_error(r, "ERR") ||
                                    store_redis_conn_is_error(r, "NOPROTO"))) {
        c->plain_auth = true;
        authenticate(c);
    } else if (st == ST_INVALID) {
        refused(c, r);
    }
}

/* Anew each time: it may have been changed since. A small local file, so the loop reads it. */
static bool read_password(struct store_redis_conn *c)
{
    struct redis_url *u = &c->options.url;
    size_t n;
    FILE *f = fopen(c->options.password_file, "re");

    if (f == NULL)
        return false;
    n = fread(u->password, 1, sizeof(u->password), f);
    fclose(f);
    while (n > 0 && (u->password[n - 1] == '\n' || u->password[n - 1] == '\r'))
        n--;
    if (n == 0 || n == sizeof(u->password))
        n = 0;
    u->password[n] = '\0';
    return n > 0;
}

static void greet(struct store_redis_conn *c)
{
    const struct redis_url *u = &c->options.url;
    struct span parts[ARGS_MAX] = {SPAN("HELLO"), SPAN("2")};
    int n = 2;

    if (c->options.password_file != NULL && !read_password(c)) {
        drop_link(c, "store.password_file cannot be read, is empty or too long", false);
        return;
    }
    if (c->plain_auth) {
        authenticate(c);
        return;
    }
    if (u->password[0] != '\0') {
        parts[n++] = SPAN("AUTH");
        parts[n++] = span_of(u->user);
        parts[n++] = span_of(u->password);
    }
    greet_or_drop(c, parts, n, on_hello);
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

    if (c->state != READY)
        return;
    if (!c->used && enqueue(c, parts, 1, patience_us(c), on_pong, c, NULL) != ST_OK) {
        drop_link(c, "out of memory", true);
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

static void link_release(struct link *l)
{
    if (l->reader != NULL)
        redisReaderFree(l->reader);
    buf_release(&l->out);
    buf_release(&l->flying);
    free(l);
}

static void on_link_closed(void *owner)
{
    struct link *l = owner;
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
    const struct link *l = task->privdata;

    return elements > ELEMENTS_MAX ? NULL : l->create_array(task, elements);
}

static bool reader_open(struct link *l)
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
    struct link *l = calloc(1, sizeof(*l));

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
    if (c->state == CLOSING) {
        if (st == ST_OK)
            io_close(io);
        maybe_closed(c);
        return;
    }
    if (st == ST_OK && link_up(c, io)) {
        c->state = GREETING;
        greet(c);
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
    c->state = CONNECTING;
    if (connect_start(c->connector, &to, patience_us(c), on_connected, c, &c->connecting) !=
        ST_OK) {
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

    c->state = WAITING;
    if (breaker_pause_left_us(&c->breaker, now_us) == 0) {
        c->breaker.failures = c->breaker.failures_max;
        breaker_failure(&c->breaker, now_us);
    }
    timer_start(c->loop, &c->retry, breaker_pause_left_us(&c->breaker, now_us), on_retry);
}

/* The one way a connection ends, whatever the reason. */
static void drop_link(struct store_redis_conn *c, const char *why, bool reset)
{
    struct link *l = c->link;

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
    if (c->state == CLOSING && c->links == 0 && c->connecting == NULL)
        loop_defer(c->loop, &c->closed_msg, on_closed);
}

void store_redis_conn_close(struct store_redis_conn *c, void (*closed)(void *owner),
                            void *owner)
{
    struct link *l = c->link;

    assert(c->state != CLOSING);
    c->state = CLOSING;
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
    return c->state == READY;
}

bool store_redis_conn_is_cluster(const struct store_redis_conn *c)
{
    return c->cluster;
}

size_t store_redis_conn_in_flight(const struct store_redis_conn *c)
{
    return c->in_flight;
}

void store_redis_conn_stats(const struct store_redis_conn *c,
                            struct store_redis_conn_stats *out)
{
    *out = (struct store_redis_conn_stats){.ready = c->state == READY,
                                           .breaker_open = c->stalled,
                                           .timeouts_total = c->timeouts_total,
                                           .errors_total = c->errors_total,
                                           .trouble = c->trouble};
}
