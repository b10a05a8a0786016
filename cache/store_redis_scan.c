/* One thing under way at a time: a page of keys, or a batch of GETs, or a batch being
 * visited. So look-ups of the proxy wait for a batch at most, and what is held in
 * memory is a batch. SCAN may name a key twice; to visit it twice is harmless. */
#include "cache/store_redis_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/entry_seal.h"
#include "cache/store_redis_call.h"
#include "cache/store_redis_nodes.h"
#include "rt/loop.h"
#include "rt/work.h"

#define BATCH       16
#define ROUNDS_MAX  3
#define PAGE        "200"
#define DEADLINE_US (2u * 1000 * 1000)
#define HEX_BYTES   (2 * DIGEST_BYTES)
#define PREFIX_MAX  256

struct store_redis_scan {
    struct store_redis_scan_options options;
    struct loop *loop;
    struct work_pool *pool; /* owned */
    struct work work;
    struct loop_msg ended_msg;
    bool started, stopped;
    enum status st;

    unsigned server, rounds;
    uint64_t version;       /* of the servers, when the round began */
    char cursor[32];        /* "0" after a server's last page */
    char (*key)[HEX_BYTES]; /* owned: of this page */
    size_t keys, next;

    struct entry *batch[BATCH]; /* references */
    unsigned batch_count, waiting;
    bool visitor_stopped; /* written by the visitor, read after its `done` */
    uint64_t visited, corrupt, unreadable;
};

static void fetch_page(struct store_redis_scan *s);

static void on_ended(struct loop_msg *m)
{
    struct store_redis_scan *s = CONTAINER_OF(m, struct store_redis_scan, ended_msg);
    struct store_redis_scan_options o = s->options;
    uint64_t corrupt = s->corrupt, unreadable = s->unreadable;

    work_pool_close(s->pool);
    o.scanned(o.owner, s->st, s->visited);
    free(s->key);
    free(s);
    o.ended(o.ended_owner, corrupt, unreadable);
}

/* From nowhere but here, and later: who stops a scan may be in the middle of things. */
static void end(struct store_redis_scan *s, enum status st)
{
    s->st = st;
    loop_defer(s->loop, &s->ended_msg, on_ended);
}

/* --- a batch ------------------------------------------------------------------------------ */

/* On the worker. */
static void run_visits(struct work *first, unsigned worker)
{
    struct store_redis_scan *s = CONTAINER_OF(first, struct store_redis_scan, work);

    (void)worker;
    for (unsigned i = 0; i < s->batch_count; i++) {
        if (!s->visitor_stopped && !work_canceled(first)) {
            s->visited++;
            s->visitor_stopped = !s->options.visit(s->options.owner, s->batch[i]);
        }
        entry_unref(s->batch[i]);
    }
    s->batch_count = 0;
}

static void fetch_batch(struct store_redis_scan *s);

static void on_visited(struct work *w, enum status st)
{
    struct store_redis_scan *s = CONTAINER_OF(w, struct store_redis_scan, work);

    if (s->stopped || st != ST_OK)
        end(s, ST_CANCELED);
    else if (s->visitor_stopped)
        end(s, ST_OK);
    else
        fetch_batch(s);
}

static void drop_batch(struct store_redis_scan *s)
{
    while (s->batch_count > 0)
        entry_unref(s->batch[--s->batch_count]);
}

static void batch_complete(struct store_redis_scan *s)
{
    enum status st = s->st;

    if (s->stopped)
        st = ST_CANCELED;
    if (st == ST_OK)
        st = work_submit(s->pool, &s->work, s->loop, run_visits, on_visited);
    if (st != ST_OK) {
        drop_batch(s);
        end(s, st);
    }
}

/* A value that is gone, of another type, or not ours, is passed over. */
static void on_value(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_scan *s = owner;
    struct entry *e;

    s->waiting--;
    if (st == ST_OK && r->type == REDIS_REPLY_STRING) {
        st = entry_seal_decode(s->options.seal, (struct span){r->str, (size_t)r->len}, &e);
        if (st == ST_UNAVAILABLE)
            s->unreadable++;
        else if (st != ST_OK)
            s->corrupt++;
        else if (e->expires_ms <= clock_wall_ms())
            entry_unref(e);
        else
            s->batch[s->batch_count++] = e;
    } else if (st == ST_INVALID) {
        s->corrupt++;
    } else if (st != ST_OK) {
        s->st = st;
    }
    if (s->waiting == 0)
        batch_complete(s);
}

/* What moved from one server to another meanwhile may have been missed: once more then. */
static void next_server(struct store_redis_scan *s)
{
    if (++s->server >= store_redis_nodes_count(s->options.redis)) {
        if (store_redis_nodes_version(s->options.redis) == s->version ||
            ++s->rounds == ROUNDS_MAX) {
            end(s, ST_OK);
            return;
        }
        s->version = store_redis_nodes_version(s->options.redis);
        s->server = 0;
    }
    fetch_page(s);
}

static void fetch_batch(struct store_redis_scan *s)
{
    char key[PREFIX_MAX + HEX_BYTES];
    size_t n = strlen(s->options.prefix);
    struct span parts[2] = {SPAN("GET"), {key, n + HEX_BYTES}};

    if (s->next == s->keys) {
        if (strcmp(s->cursor, "0") != 0)
            fetch_page(s);
        else
            next_server(s);
        return;
    }
    memcpy(key, s->options.prefix, n);
    while (s->next < s->keys && s->waiting < BATCH) {
        enum status st;

        memcpy(key + n, s->key[s->next], HEX_BYTES);
        st = store_redis_call_send(s->options.redis, parts[1], parts, 2, DEADLINE_US, on_value,
                                   s, NULL);
        if (st != ST_OK) {
            s->st = st;
            break;
        }
        s->next++;
        s->waiting++;
    }
    if (s->waiting == 0)
        batch_complete(s);
}

/* --- a page ---------------------------------------------------------------------------------
 */

static bool take_key(struct store_redis_scan *s, const redisReply *r)
{
    size_t n = strlen(s->options.prefix);

    if (r->type != REDIS_REPLY_STRING || (size_t)r->len != n + HEX_BYTES ||
        memcmp(r->str, s->options.prefix, n) != 0)
        return false;
    memcpy(s->key[s->keys++], r->str + n, HEX_BYTES);
    return true;
}

static bool take_page(struct store_redis_scan *s, const redisReply *r)
{
    const redisReply *list;

    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
        r->element[0]->type != REDIS_REPLY_STRING ||
        (size_t)r->element[0]->len >= sizeof(s->cursor) ||
        r->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    memcpy(s->cursor, r->element[0]->str, (size_t)r->element[0]->len + 1);
    list = r->element[1];
    free(s->key);
    s->keys = s->next = 0;
    s->key = malloc((list->elements + 1) * sizeof(*s->key));
    if (s->key == NULL)
        return false;
    for (size_t i = 0; i < list->elements; i++)
        take_key(s, list->element[i]);
    return true;
}

static void on_page(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_scan *s = owner;

    if (s->stopped)
        end(s, ST_CANCELED);
    else if (st != ST_OK)
        end(s, st == ST_INVALID ? ST_UNAVAILABLE : st);
    else if (!take_page(s, r))
        end(s, ST_INVALID);
    else
        fetch_batch(s);
}

/* The prefix is the operator's text, MATCH wants a pattern. */
static size_t write_pattern(const char *prefix, char *out)
{
    size_t n = 0;

    for (; *prefix != '\0'; prefix++) {
        if (strchr("*?[]\\", *prefix) != NULL)
            out[n++] = '\\';
        out[n++] = *prefix;
    }
    out[n++] = '*';
    return n;
}

static void fetch_page(struct store_redis_scan *s)
{
    char pattern[2 * PREFIX_MAX + 1];
    struct span parts[6] = {SPAN("SCAN"),  span_of(s->cursor),
                            SPAN("MATCH"), {pattern, write_pattern(s->options.prefix, pattern)},
                            SPAN("COUNT"), SPAN(PAGE)};
    enum status st = store_redis_call_send_to(s->options.redis, s->server, parts, 6,
                                              DEADLINE_US, on_page, s);

    if (st != ST_OK)
        end(s, st);
}

/* --- from outside
 * ------------------------------------------------------------------------------ */

enum status store_redis_scan_open(struct loop *loop, const struct store_redis_scan_options *o,
                                  struct store_redis_scan **out)
{
    struct store_redis_scan *s;
    enum status st;

    if (strlen(o->prefix) > PREFIX_MAX)
        return ST_LIMIT;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return ST_NOMEM;
    s->options = *o;
    s->loop = loop;
    s->cursor[0] = '0';
    st = work_pool_open(
        &(struct work_pool_options){
            .threads = 1, .queue_max = 1, .batch_max = 1, .rank = WORK_BEHIND, .owner = s},
        &s->pool);
    if (st != ST_OK) {
        free(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void store_redis_scan_start(struct store_redis_scan *s)
{
    if (s->started)
        return;
    s->started = true;
    s->version = store_redis_nodes_version(s->options.redis);
    fetch_page(s);
}

void store_redis_scan_stop(struct store_redis_scan *s, enum status st)
{
    if (s->stopped)
        return;
    s->stopped = true;
    if (!s->started) {
        s->started = true;
        end(s, st);
    }
}
