/* Entries in a Redis that may be shared: SET key frame PX, GET, UNLINK, over one
 * pipelined connection per server (store_redis_nodes.c). Keys are `<prefix>e:<fingerprint>`.
 *
 * Nothing here waits for Redis: without a connection a look-up is refused at once and
 * a write is dropped. Values are a peer's: what is no whole entry of this key is a
 * miss. Redis evicts and expires by itself; who misses an entry tells the index.
 *
 * When Redis refuses writes (OOM, MISCONF, NOREPLICAS) reads go on; a breaker of their
 * own keeps writes back for a while. Loop thread only. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/breaker.h"
#include "cache/entry.h"
#include "cache/entry_seal.h"
#include "cache/store.h"
#include "cache/store_kinds.h"
#include "cache/store_redis_call.h"
#include "cache/store_redis_lease.h"
#include "cache/store_redis_news.h"
#include "cache/store_redis_nodes.h"
#include "cache/store_redis_scan.h"
#include "cache/store_redis_vectors.h"
#include "rt/io_tls.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define PREFIX_BYTES_MAX   128
#define KEY_BYTES_MAX      (PREFIX_BYTES_MAX + 2 + 2 * DIGEST_BYTES + 1)
#define NEWS_WAITING_MAX   256
#define STORED_WAITING_MAX 4096
#define WRITE_DEADLINE_US  (1000u * 1000)
/* Under way at once. A look-up waits behind them on the same connection. */
#define WRITE_BYTES_MAX    (8u * 1024 * 1024)
#define WRITE_FAILURES_MAX 3
#define WRITE_PAUSE_MIN_US (500u * 1000)
#define WRITE_PAUSE_MAX_US (1000u * 1000)
#define CLOSE_DEADLINE_US  (1000u * 1000)
#define FRAME_KEEP_BYTES   (1024u * 1024)

struct store_redis {
    struct store store;
    struct loop *loop;                   /* borrowed (outlives) */
    struct io_tls_ctx *tls;              /* owned; NULL: none */
    struct store_redis_nodes *redis;     /* owned; NULL: closed */
    struct store_redis_scan *scan;       /* NULL: none under way */
    struct store_redis_news *news;       /* owned; of removals and reports */
    struct store_redis_news *stored;     /* owned; of entries */
    struct store_redis_vectors *vectors; /* owned; NULL: not kept, or closed */
    char prefix[PREFIX_BYTES_MAX + 3];   /* with "e:" */
    char password_file[1024];            /* empty: none */
    char sentinel[128];                  /* likewise */
    uint64_t deadline_us;

    const struct seal_ring *seal; /* borrowed; NULL: none */
    struct buf frame;             /* one entry's, used again and again */
    size_t puts_max, puts_in_flight, put_bytes;
    struct breaker writes;
    char write_trouble[128]; /* why writes are kept back; empty: they are not */

    struct store_stats stats;
    struct timer close_deadline;
    bool closing, redis_closing;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct redis_get {
    struct store_redis *store;
    struct store_get *op;
    struct store_redis_call *call; /* until it is answered */
    struct loop_msg canceled;
};

struct redis_put {
    struct store_redis *store;
    struct entry *entry; /* one reference */
    size_t bytes;        /* of its frame */
};

static struct store_redis *of(struct store *s)
{
    return CONTAINER_OF(s, struct store_redis, store);
}

static size_t write_key(const struct store_redis *s, const struct digest *key,
                        char out[KEY_BYTES_MAX])
{
    size_t n = strlen(s->prefix);

    memcpy(out, s->prefix, n);
    digest_hex(key->bytes, DIGEST_BYTES, out + n);
    return n + 2 * DIGEST_BYTES;
}

/* --- closing -------------------------------------------------------------------------------
 */

static void maybe_released(struct store_redis *s)
{
    void (*closed)(void *owner) = s->closed;
    void *owner = s->closed_owner;

    if (!s->closing || s->redis != NULL || s->scan != NULL || s->vectors != NULL)
        return;
    if (s->tls != NULL)
        io_tls_ctx_close(s->tls);
    store_redis_news_free(s->news);
    store_redis_news_free(s->stored);
    buf_release(&s->frame);
    loop_unref(s->loop);
    free(s);
    closed(owner);
}

static void on_redis_closed(void *owner)
{
    struct store_redis *s = owner;

    s->redis = NULL;
    maybe_released(s);
}

static void on_vectors_closed(void *owner)
{
    struct store_redis *s = owner;

    s->vectors = NULL;
    maybe_released(s);
}

static void close_redis(struct store_redis *s)
{
    if (s->redis_closing)
        return;
    s->redis_closing = true;
    timer_stop(s->loop, &s->close_deadline);
    if (s->vectors != NULL) /* after the last entry has been written */
        store_redis_vectors_close(s->vectors, on_vectors_closed, s);
    store_redis_nodes_close(s->redis, on_redis_closed, s);
}

static void on_close_deadline(struct timer *t)
{
    close_redis(CONTAINER_OF(t, struct store_redis, close_deadline));
}

/* After each reply: were these the last that a close waited for? */
static void maybe_drained(struct store_redis *s)
{
    if (s->closing && !s->redis_closing && store_redis_nodes_in_flight(s->redis) == 0)
        close_redis(s);
}

static void redis_close(struct store *store, void (*closed)(void *owner), void *owner)
{
    struct store_redis *s = of(store);

    assert(!s->closing);
    s->closing = true;
    s->closed = closed;
    s->closed_owner = owner;
    loop_ref(s->loop); /* no connection keeps it alive while Redis is away */
    store_redis_news_close(s->news);
    store_redis_news_close(s->stored);
    if (s->scan != NULL)
        store_redis_scan_stop(s->scan, ST_CANCELED);
    timer_start(s->loop, &s->close_deadline, CLOSE_DEADLINE_US, on_close_deadline);
    maybe_drained(s);
}

/* --- looking up ------------------------------------------------------------------------------
 */

static bool redis_may_have(struct store *store, const struct digest *key)
{
    (void)store;
    (void)key;
    return true;
}

static void count_failure(struct store_redis *s, enum status st)
{
    /* Time-outs are counted where the deadline is. */
    if (st != ST_OK && st != ST_TIMEOUT && st != ST_CANCELED)
        s->stats.errors_total++;
}

/* What another writer put there, or what did not arrive whole, is a miss. */
static enum status take_value(struct store_redis *s, const struct digest *key,
                              const redisReply *r, struct entry **out)
{
    enum status st = ST_INVALID;
    struct entry *e;

    if (r->type == REDIS_REPLY_NIL)
        return ST_NOTFOUND;
    if (r->type == REDIS_REPLY_STRING)
        st = entry_seal_decode(s->seal, (struct span){r->str, (size_t)r->len}, &e);
    if (st != ST_OK) {
        s->stats.unreadable_total += st == ST_UNAVAILABLE;
        s->stats.corrupt_total += st != ST_UNAVAILABLE;
        return ST_NOTFOUND;
    }
    if (!digest_eq(&e->key, key)) {
        s->stats.corrupt_total++;
        entry_unref(e);
        return ST_NOTFOUND;
    }
    if (e->expires_ms <= clock_wall_ms()) {
        entry_unref(e);
        return ST_NOTFOUND;
    }
    s->stats.hits_total++;
    *out = e;
    return ST_OK;
}

static void end_get(struct redis_get *g, enum status st, struct entry *e)
{
    struct store_get *op = g->op;

    free(g);
    op->state = NULL;
    op->done(op, st, e);
}

static void on_value(void *owner, enum status st, const redisReply *r)
{
    struct redis_get *g = owner;
    struct store_redis *s = g->store;
    struct entry *e = NULL;

    g->call = NULL;
    if (st == ST_OK) {
        st = take_value(s, &g->op->key, r, &e);
    } else if (store_redis_conn_is_error(r, "WRONGTYPE")) {
        s->stats.corrupt_total++;
        st = ST_NOTFOUND;
    } else {
        count_failure(s, st);
        if (st == ST_INVALID)
            st = ST_UNAVAILABLE;
    }
    end_get(g, st, e);
    maybe_drained(s);
}

static enum status redis_get(struct store *store, struct store_get *op)
{
    struct store_redis *s = of(store);
    char key[KEY_BYTES_MAX];
    struct span parts[2] = {SPAN("GET"), {key, write_key(s, &op->key, key)}};
    struct redis_get *g;
    enum status st;

    if (s->closing)
        return ST_UNAVAILABLE;
    g = calloc(1, sizeof(*g));
    if (g == NULL)
        return ST_NOMEM;
    g->store = s;
    g->op = op;
    st = store_redis_call_send(s->redis, parts[1], parts, 2, s->deadline_us, on_value, g,
                               &g->call);
    if (st != ST_OK) {
        free(g);
        return st;
    }
    op->state = g;
    s->stats.gets_total++;
    return ST_OK;
}

static void on_canceled(struct loop_msg *m)
{
    end_get(CONTAINER_OF(m, struct redis_get, canceled), ST_CANCELED, NULL);
}

/* The reply, when it comes, is nobody's. */
static void redis_cancel(struct store_get *op)
{
    struct redis_get *g = op->state;

    if (g == NULL || g->call == NULL)
        return;
    store_redis_call_forget(g->call);
    g->call = NULL;
    loop_defer(g->store->loop, &g->canceled, on_canceled);
}

/* --- writing
 * ----------------------------------------------------------------------------------- */

static void write_refused(struct store_redis *s, const redisReply *r)
{
    /* The words Redis begins an error with; what follows may quote our key. */
    int n = 0;

    while (n < (int)r->len && n < 40 && r->str[n] > ' ' && r->str[n] < 0x7f)
        n++;
    if (!breaker_failure(&s->writes, loop_now_us(s->loop)) || s->write_trouble[0] != '\0')
        return;
    snprintf(s->write_trouble, sizeof(s->write_trouble), "Redis refuses writes: %.*s", n,
             r->str);
    log_at(LOG_WARN, NULL, kv_event("redis_write_refused"),
           kv_span("why", (struct span){r->str, (size_t)n}));
}

static void write_taken(struct store_redis *s)
{
    s->stats.puts_total++;
    breaker_success(&s->writes);
    if (s->write_trouble[0] != '\0')
        log_at(LOG_INFO, NULL, kv_event("redis_write_recovered"));
    s->write_trouble[0] = '\0';
}

/* The others can find it by meaning once it is in their indexes, or in the one in Redis. Not
 * before it is there itself: who finds a vector without its entry removes it. */
static void make_known(struct store_redis *s, const struct entry *e)
{
    static const struct digest none;
    const struct store_news news = {
        .kind = STORE_NEWS_STORED, .key = e->key, .partition = e->partition};

    if (e->vector == NULL || digest_eq(&e->partition, &none))
        return;
    if (s->vectors != NULL)
        store_redis_vectors_add(s->vectors, e);
    else if (!s->store.vectors && store_redis_news_tell(s->stored, &news) != ST_OK)
        s->stats.untold_total++;
}

static void on_put(void *owner, enum status st, const redisReply *r)
{
    struct redis_put *p = owner;
    struct store_redis *s = p->store;
    struct entry *e = p->entry;

    s->puts_in_flight--;
    s->put_bytes -= p->bytes;
    free(p);
    if (st == ST_OK) {
        write_taken(s);
        make_known(s, e);
    } else {
        count_failure(s, st);
        if (st == ST_INVALID)
            write_refused(s, r);
        if (s->store.lost != NULL)
            s->store.lost(s->store.lost_owner, &e->key, &e->partition);
    }
    entry_unref(e);
    maybe_drained(s);
}

static enum status send_put(struct store_redis *s, struct redis_put *p, struct span key,
                            uint64_t ttl_ms)
{
    char ttl[24];
    struct span parts[5] = {SPAN("SET"), key, buf_span(&s->frame), SPAN("PX"), {ttl, 0}};

    parts[4].len = (size_t)snprintf(ttl, sizeof(ttl), "%" PRIu64, ttl_ms);
    return store_redis_call_send(s->redis, parts[1], parts, 5, WRITE_DEADLINE_US, on_put, p,
                                 NULL);
}

static enum status try_put(struct store_redis *s, struct entry *e, uint64_t now_ms)
{
    char text[KEY_BYTES_MAX];
    struct span key = {text, write_key(s, &e->key, text)};
    struct redis_put *p;
    enum status st;

    if (s->closing || !store_redis_nodes_has(s->redis, key))
        return ST_UNAVAILABLE;
    buf_clear(&s->frame);
    st = entry_seal_encode(s->seal, e, &s->frame);
    if (st != ST_OK)
        return st;
    if (s->puts_in_flight >= s->puts_max ||
        (s->puts_in_flight > 0 && s->put_bytes + s->frame.len > WRITE_BYTES_MAX))
        return ST_OVERLOAD;
    if (!breaker_allow(&s->writes, loop_now_us(s->loop)))
        return ST_UNAVAILABLE;
    p = malloc(sizeof(*p));
    if (p == NULL)
        return ST_NOMEM;
    *p = (struct redis_put){.store = s, .entry = entry_ref(e), .bytes = s->frame.len};
    st = send_put(s, p, key, e->expires_ms - now_ms);
    if (st != ST_OK) {
        entry_unref(e);
        free(p);
        return st;
    }
    s->puts_in_flight++;
    s->put_bytes += s->frame.len;
    return ST_OK;
}

static void redis_put(struct store *store, struct entry *e)
{
    struct store_redis *s = of(store);
    uint64_t now_ms = clock_wall_ms();

    if (e->expires_ms <= now_ms || try_put(s, e, now_ms) != ST_OK)
        s->stats.dropped_total++;
    if (s->frame.cap > FRAME_KEEP_BYTES)
        buf_release(&s->frame);
}

static void on_removed(void *owner, enum status st, const redisReply *r)
{
    struct store_redis *s = owner;

    (void)r;
    count_failure(s, st);
    maybe_drained(s);
}

static enum status redis_remove(struct store *store, const struct digest *key)
{
    struct store_redis *s = of(store);
    char text[KEY_BYTES_MAX];
    struct span parts[2] = {SPAN("UNLINK"), {text, write_key(s, key, text)}};

    if (s->closing)
        return ST_UNAVAILABLE;
    return store_redis_call_send(s->redis, parts[1], parts, 2, WRITE_DEADLINE_US, on_removed, s,
                                 NULL);
}

/* --- what the others should know --------------------------------------------------------- */

static enum status redis_tell(struct store *store, const struct store_news *news)
{
    return store_redis_news_tell(of(store)->news, news);
}

static void on_news(void *owner, const struct store_news *news, bool old)
{
    struct store_redis *s = owner;

    if (s->store.news != NULL)
        s->store.news(s->store.news_owner, news, old);
}

static void on_news_ended(void *owner)
{
    maybe_drained(owner);
}

/* --- leases ------------------------------------------------------------------------------ */

static void on_leased(void *owner, enum status st, const redisReply *r)
{
    struct store_lease *l = owner;
    struct store_redis *s = of(l->store);

    /* One that is refused (OOM, MISCONF) is no answer that was not kept: writes tell of it. */
    if (st != ST_INVALID)
        count_failure(s, st);
    l->done(l, store_redis_lease_verdict(st, r));
    maybe_drained(s);
}

static enum status redis_lease(struct store *store, struct store_lease *l,
                               enum store_lease_act act)
{
    struct store_redis *s = of(store);
    char prefix[sizeof(s->prefix)];
    bool take = act == STORE_LEASE_TAKE;

    if (s->closing)
        return ST_UNAVAILABLE;
    l->store = store;
    snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(s->prefix) - 2, s->prefix);
    return store_redis_lease_send(s->redis, prefix, l, act,
                                  take ? s->deadline_us : WRITE_DEADLINE_US,
                                  take ? on_leased : on_removed, take ? (void *)l : s);
}

/* --- scanning
 * ------------------------------------------------------------------------------------ */

static void on_scan_ended(void *owner, uint64_t corrupt, uint64_t unreadable)
{
    struct store_redis *s = owner;

    s->scan = NULL;
    s->stats.corrupt_total += corrupt;
    s->stats.unreadable_total += unreadable;
    maybe_released(s);
}

static enum status redis_scan(struct store *store, store_visit_fn *visit,
                              store_scanned_fn *scanned, void *owner)
{
    struct store_redis *s = of(store);
    struct store_redis_scan_options o = {.redis = s->redis,
                                         .prefix = s->prefix,
                                         .seal = s->seal,
                                         .visit = visit,
                                         .scanned = scanned,
                                         .owner = owner,
                                         .ended = on_scan_ended,
                                         .ended_owner = s};
    enum status st;

    if (s->closing)
        return ST_UNAVAILABLE;
    if (s->scan != NULL)
        return ST_OVERLOAD;
    st = store_redis_scan_open(s->loop, &o, &s->scan);
    if (st == ST_OK && store_redis_nodes_is_ready(s->redis))
        store_redis_scan_start(s->scan);
    return st;
}

static void on_ready(void *owner)
{
    struct store_redis *s = owner;

    if (s->scan != NULL)
        store_redis_scan_start(s->scan);
}

/* A scan that was under way has heard of it by its commands. */
static void on_down(void *owner)
{
    struct store_redis *s = owner;

    if (s->scan != NULL)
        store_redis_scan_stop(s->scan, ST_UNAVAILABLE);
}

/* --- vectors ----------------------------------------------------------------------------- */

static enum status redis_near(struct store *store, struct store_near *op)
{
    struct store_redis *s = of(store);

    op->store = store;
    op->count = 0;
    return s->closing || s->vectors == NULL ? ST_UNAVAILABLE
                                            : store_redis_vectors_near(s->vectors, op);
}

static void redis_vector_remove(struct store *store, const struct digest *partition,
                                const struct digest *key)
{
    struct store_redis *s = of(store);

    if (!s->closing && s->vectors != NULL)
        store_redis_vectors_remove(s->vectors, partition, key);
}

static void on_unfit(void *owner, const char *why)
{
    struct store_redis *s = owner;

    if (s->store.unfit != NULL)
        s->store.unfit(s->store.unfit_owner, why);
}

/* --- opening
 * --------------------------------------------------------------------------------------- */

static void redis_stats(struct store *store, struct store_stats *out)
{
    struct store_redis *s = of(store);
    struct store_redis_conn_stats c;
    struct store_redis_news_stats news;

    *out = s->stats;
    store_redis_news_stats(s->news, &news);
    out->news_sent_total = news.sent_total;
    out->news_heard_total = news.heard_total;
    out->news_waiting = news.waiting;
    store_redis_news_stats(s->stored, &news);
    out->stored_sent_total = news.sent_total;
    out->stored_heard_total = news.heard_total;
    if (s->vectors != NULL)
        store_redis_vectors_stats(s->vectors, &out->vectors);
    if (s->redis == NULL)
        return;
    store_redis_nodes_stats(s->redis, &c);
    out->up = c.ready;
    out->breaker_open = c.breaker_open;
    out->timeouts_total = c.timeouts_total;
    out->errors_total += c.errors_total;
    out->moved_total = store_redis_nodes_moved_total(s->redis);
    snprintf(out->trouble, sizeof(out->trouble), "%s",
             c.trouble[0] != '\0' ? c.trouble : s->write_trouble);
}

static const struct store_ops redis_ops = {
    .may_have = redis_may_have,
    .get = redis_get,
    .cancel = redis_cancel,
    .put = redis_put,
    .remove = redis_remove,
    .tell = redis_tell,
    .lease = redis_lease,
    .scan = redis_scan,
    .stats = redis_stats,
    .near = redis_near,
    .near_cancel = store_redis_vectors_cancel,
    .vector_remove = redis_vector_remove,
    .close = redis_close,
};

/* Without them, for want of memory, the rest goes on. */
static void open_vectors(struct store_redis *s, struct connector *connector,
                         const struct store_redis_nodes_options *redis,
                         const struct store_options *o)
{
    const struct store_redis_vectors_options v = {.redis = *redis,
                                                  .prefix = o->prefix,
                                                  .kind = o->vectors,
                                                  .queue_max = o->queue_max,
                                                  .unfit = on_unfit,
                                                  .owner = s};

    s->store.vectors = o->vectors != STORE_VECTORS_NONE;
    if (s->store.vectors &&
        store_redis_vectors_open(s->loop, connector, &v, &s->vectors) != ST_OK)
        log_at(LOG_ERROR, NULL, kv_event("vectors_not_opened"));
}

static enum status open_redis(struct store_redis *s, struct connector *connector,
                              const struct store_options *o, char *why, size_t why_cap)
{
    struct store_redis_nodes_options c = {
        .deadline_us = s->deadline_us, .ready = on_ready, .down = on_down, .owner = s};
    enum status st = redis_url_parse(o->url, &c.url, why, why_cap);

    if (st != ST_OK)
        return st;
    if (o->password_file != NULL) {
        c.password_file = s->password_file;
        snprintf(s->password_file, sizeof(s->password_file), "%s", o->password_file);
        snprintf(c.url.user, sizeof(c.url.user), "%s", o->user != NULL ? o->user : "default");
    }
    if (o->sentinel != NULL) {
        snprintf(s->sentinel, sizeof(s->sentinel), "%s", o->sentinel);
        c.sentinel = s->sentinel;
    }
    if (c.url.tls) {
        st = io_tls_ctx_open(s->loop, o->ca_file, &s->tls, why, why_cap);
        if (st == ST_OK && o->cert_file != NULL)
            st = io_tls_ctx_show(s->tls, o->cert_file, o->key_file, why, why_cap);
        if (st != ST_OK)
            return st;
        c.tls = s->tls;
    }
    st = store_redis_nodes_open(s->loop, connector, &c, &s->redis);
    if (st == ST_OK)
        open_vectors(s, connector, &c, o);
    else
        snprintf(why, why_cap, "%s", status_text(st));
    return st;
}

static enum status open_news(struct store_redis *s, const struct store_options *o)
{
    struct store_redis_news_options n = {.prefix = o->prefix,
                                         .name = "news",
                                         .waiting_max = NEWS_WAITING_MAX,
                                         .deadline_us = s->deadline_us,
                                         .heard = on_news,
                                         .ended = on_news_ended,
                                         .owner = s};
    enum status st = store_redis_news_open(s->loop, &n, &s->news);

    if (st != ST_OK)
        return st;
    n.name = "stored";
    n.from_now = true; /* what is there already is scanned */
    n.waiting_max = STORED_WAITING_MAX;
    st = store_redis_news_open(s->loop, &n, &s->stored);
    if (st != ST_OK)
        store_redis_news_free(s->news);
    return st;
}

static void drop_news(struct store_redis *s)
{
    store_redis_news_close(s->news);
    store_redis_news_free(s->news);
    store_redis_news_close(s->stored);
    store_redis_news_free(s->stored);
}

enum status store_redis_open(struct loop *loop, struct connector *connector,
                             const struct store_options *o, struct store **out, char *why,
                             size_t why_cap)
{
    struct store_redis *s;
    enum status st;

    if (strlen(o->prefix) > PREFIX_BYTES_MAX) {
        snprintf(why, why_cap, "store.prefix is longer than %d bytes", PREFIX_BYTES_MAX);
        return ST_INVALID;
    }
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return ST_NOMEM;
    s->store.ops = &redis_ops;
    s->store.shared = true;
    s->loop = loop;
    s->deadline_us = (uint64_t)o->deadline_ms * 1000;
    s->puts_max = o->queue_max;
    s->seal = o->seal;
    s->stats = (struct store_stats){.kind = "redis"};
    snprintf(s->prefix, sizeof(s->prefix), "%se:", o->prefix);
    buf_init(&s->frame, ENTRY_FRAME_BYTES_MAX);
    breaker_init(&s->writes, WRITE_FAILURES_MAX, WRITE_PAUSE_MIN_US, WRITE_PAUSE_MAX_US,
                 clock_now_us());
    st = open_news(s, o);
    if (st == ST_OK) {
        st = open_redis(s, connector, o, why, why_cap);
        if (st != ST_OK)
            drop_news(s);
    }
    if (st != ST_OK) {
        if (s->tls != NULL)
            io_tls_ctx_close(s->tls);
        free(s);
        return st;
    }
    store_redis_news_start(s->news, s->redis);
    if (!s->store.vectors) /* else there is nothing to tell */
        store_redis_news_start(s->stored, s->redis);
    *out = &s->store;
    return ST_OK;
}
