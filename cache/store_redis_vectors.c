/* A partition's vectors are the vector set `<prefix>v8:{<partition>}` (`v32:` when they are
 * kept as they are): the braces keep each on one server of a Cluster, and another way to keep
 * them is another set, for a set can not change it. The element is the fingerprint, in bytes;
 * what else there is to know of it is in its entry. (redis.io/commands: VADD, VSIM, VREM,
 * VCARD, VRANDMEMBER; all since 8.0.0.)
 *
 * Elements do not expire by themselves, entries do. A set ends with the last of its entries:
 * its time is set with each addition, and only ever made longer. Of one that is added to all
 * the time some elements are looked at now and then, drawn by chance, and those without an
 * entry are removed; as with expired keys in Redis itself (redis.io/commands/expire), where as
 * many are removed as are added a bounded share is dead: one of SWEEP_SAMPLE / SWEEP_EVERY.
 * Whoever finds one without an entry on a look-up removes it too.
 *
 * A look-up is one command with the deadline of the store; a Redis that is away is a miss at
 * once. Additions wait in a queue, and few are under way: a look-up waits behind these. */
#include "cache/store_redis_vectors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/span.h"
#include "cache/entry.h"
#include "cache/store_redis_call.h"
#include "rt/loop.h"
#include "rt/timer.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "VADD and VSIM take FP32 with the low byte first"
#endif

#define PREFIX_BYTES_MAX  160
#define KEY_BYTES_MAX     256
#define HEX_BYTES         (2 * DIGEST_BYTES)
#define WRITE_DEADLINE_US (1000u * 1000)
#define PROBE_DEADLINE_US (1000u * 1000)
#define CLOSE_DEADLINE_US (1000u * 1000)
#define ADDS_UNDER_WAY    2
/* Nodes looked at by a search: recall against latency, bench/vectors.py. */
#define EXPLORE      "200"
#define SWEEP_EVERY  8
#define SWEEP_SAMPLE 32

enum fitness { UNKNOWN, FIT, UNFIT };

/* A vector that is to be added. */
struct addition {
    struct addition *next;
    struct digest partition, key;
    uint64_t expires_ms;
    uint32_t dimensions;
    float vector[];
};

struct store_redis_vectors {
    struct loop *loop; /* borrowed (outlives) */
    struct store_redis_vectors_options options;
    char prefix[PREFIX_BYTES_MAX];
    struct store_redis_nodes *redis; /* owned; NULL: closed */
    enum fitness fitness;
    bool was_fit, probing;
    struct addition *head, **tail; /* owned; the oldest first */
    unsigned waiting, under_way;   /* additions */
    unsigned adds_until_sweep, sweep_waiting;
    struct digest swept; /* the partition whose sample is being looked at */
    struct store_vectors_stats stats;

    bool closing, redis_closing;
    struct timer close_deadline;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct search {
    struct store_redis_vectors *vectors;
    struct store_near *op;
    struct store_redis_call *call; /* until it is answered */
    struct loop_msg canceled;
};

/* One element of a sample, while it is asked whether its entry is there. */
struct doubt {
    struct store_redis_vectors *vectors;
    struct digest key;
};

static struct span write_set_name(const struct store_redis_vectors *v,
                                  const struct digest *partition, char out[KEY_BYTES_MAX])
{
    char hex[HEX_BYTES + 1];
    int n;

    digest_hex(partition->bytes, DIGEST_BYTES, hex);
    n = snprintf(out, KEY_BYTES_MAX, "%s%s:{%s}", v->prefix,
                 v->options.kind == STORE_VECTORS_INT8 ? "v8" : "v32", hex);
    return (struct span){out, (size_t)n};
}

static struct span element_of(const struct digest *key)
{
    return (struct span){(const char *)key->bytes, DIGEST_BYTES};
}

static struct span bytes_of(const float *vector, uint32_t dimensions)
{
    return (struct span){(const char *)vector, dimensions * sizeof(*vector)};
}

/* --- what Redis can do -------------------------------------------------------------------- */

static void take_unfit(struct store_redis_vectors *v, struct span key)
{
    char server[128];

    if (v->fitness == UNFIT)
        return;
    v->fitness = UNFIT;
    store_redis_nodes_describe(v->redis, key, server, sizeof(server));
    snprintf(v->stats.trouble, sizeof(v->stats.trouble),
             "%s has no vector sets: cache.index: redis wants version 8.0 or later, else set "
             "cache.index: local",
             server);
    log_at(LOG_ERROR, NULL, kv_event("redis_without_vector_sets"),
           kv_str("why", v->stats.trouble));
    if (!v->was_fit && v->options.unfit != NULL)
        v->options.unfit(v->options.owner, v->stats.trouble);
}

static void take_fit(struct store_redis_vectors *v)
{
    if (v->stats.trouble[0] != '\0')
        log_at(LOG_INFO, NULL, kv_event("redis_vectors_recovered"));
    v->fitness = FIT;
    v->was_fit = true;
    v->stats.trouble[0] = '\0';
}

static bool is_unknown_command(const redisReply *r)
{
    static const char words[] = "ERR unknown command";

    return (size_t)r->len >= sizeof(words) - 1 && memcmp(r->str, words, sizeof(words) - 1) == 0;
}

/* An error of Redis about a command: r is one. What follows its first word may quote keys. */
static void take_error(struct store_redis_vectors *v, const redisReply *r, const char *verb,
                       struct span key)
{
    int n = 0;

    if (is_unknown_command(r)) {
        take_unfit(v, key);
        return;
    }
    while (n < (int)r->len && n < 40 && r->str[n] > ' ' && r->str[n] < 0x7f)
        n++;
    if (v->stats.trouble[0] == '\0')
        log_at(LOG_WARN, NULL, kv_event("redis_vectors_refused"), kv_str("command", verb),
               kv_span("why", (struct span){r->str, (size_t)n}));
    snprintf(v->stats.trouble, sizeof(v->stats.trouble), "Redis refuses %s: %.*s", verb, n,
             r->str);
}

static struct span probe_name(const struct store_redis_vectors *v, char out[KEY_BYTES_MAX])
{
    static const struct digest nobodys;

    return write_set_name(v, &nobodys, out);
}

static void go_on(struct store_redis_vectors *v);

static void on_probed(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_vectors *v = owner;
    char name[KEY_BYTES_MAX];

    v->probing = false;
    if (st == ST_OK)
        take_fit(v);
    else if (st == ST_INVALID)
        take_error(v, r, "VCARD", probe_name(v, name));
    go_on(v);
}

/* The version alone does not tell: others count theirs in another way. */
static void on_ready(void *owner)
{
    struct store_redis_vectors *v = owner;
    char name[KEY_BYTES_MAX];
    struct span parts[2] = {SPAN("VCARD"), probe_name(v, name)};

    if (v->redis == NULL || v->closing || v->probing) /* NULL: it is just being opened */
        return;
    v->probing = store_redis_call_send(v->redis, parts[1], parts, 2, PROBE_DEADLINE_US,
                                       on_probed, v, NULL) == ST_OK;
}

static void on_down(void *owner)
{
    (void)owner; /* its commands end by themselves */
}

/* --- searching ---------------------------------------------------------------------------- */

/* 1 is the same direction, 0 the opposite one: (1 + cosine) / 2. */
static bool read_score(const redisReply *r, float *cosine)
{
    char *end;
    double score;

    if (r->type != REDIS_REPLY_STRING || r->len == 0)
        return false;
    score = strtod(r->str, &end);
    if (end != r->str + r->len || !isfinite(score) || score < -0.01 || score > 1.01)
        return false;
    *cosine = (float)fmin(fmax(2 * score - 1, -1), 1);
    return true;
}

/* Elements and scores in turn. What is not so is not ours, and passed over. */
static enum status take_nearest(struct store_near *op, const redisReply *r)
{
    if (r->type != REDIS_REPLY_ARRAY)
        return ST_INVALID;
    for (size_t i = 0; i + 1 < r->elements && op->count < op->wanted; i += 2) {
        const redisReply *element = r->element[i];

        if (element->type != REDIS_REPLY_STRING || (size_t)element->len != DIGEST_BYTES ||
            !read_score(r->element[i + 1], &op->similarity[op->count]))
            continue;
        memcpy(op->keys[op->count++].bytes, element->str, DIGEST_BYTES);
    }
    return ST_OK;
}

static void end_search(struct search *s, enum status st)
{
    struct store_near *op = s->op;

    free(s);
    op->state = NULL;
    op->done(op, st);
}

static void on_found(void *owner, enum status st, const redisReply *r)
{
    struct search *s = owner;
    struct store_redis_vectors *v = s->vectors;
    char name[KEY_BYTES_MAX];

    s->call = NULL;
    if (st == ST_OK) {
        take_fit(v);
        st = take_nearest(s->op, r);
    } else if (st == ST_INVALID) {
        take_error(v, r, "VSIM", write_set_name(v, &s->op->partition, name));
    }
    if (st != ST_OK)
        v->stats.failures_total++;
    end_search(s, st == ST_INVALID ? ST_UNAVAILABLE : st);
}

static enum status send_search(struct search *s)
{
    struct store_redis_vectors *v = s->vectors;
    const struct store_near *op = s->op;
    char name[KEY_BYTES_MAX], count[16];
    struct span parts[] = {SPAN("VSIM"),       write_set_name(v, &op->partition, name),
                           SPAN("FP32"),       bytes_of(op->vector, op->dimensions),
                           SPAN("WITHSCORES"), SPAN("COUNT"),
                           {count, 0},         SPAN("EF"),
                           SPAN(EXPLORE)};

    parts[6].len = (size_t)snprintf(count, sizeof(count), "%" PRIu32, op->wanted);
    return store_redis_call_send(v->redis, parts[1], parts, ARRAY_LEN(parts),
                                 v->options.redis.deadline_us, on_found, s, &s->call);
}

enum status store_redis_vectors_near(struct store_redis_vectors *v, struct store_near *op)
{
    struct search *s;
    enum status st = ST_UNAVAILABLE;

    op->count = 0;
    v->stats.searches_total++;
    s = v->closing || v->fitness == UNFIT ? NULL : malloc(sizeof(*s));
    if (s != NULL) {
        *s = (struct search){.vectors = v, .op = op};
        st = send_search(s);
    }
    if (st != ST_OK) {
        v->stats.failures_total++;
        free(s);
        return st;
    }
    op->state = s;
    return ST_OK;
}

static void on_canceled(struct loop_msg *m)
{
    end_search(CONTAINER_OF(m, struct search, canceled), ST_CANCELED);
}

/* The reply, when it comes, is nobody's. */
void store_redis_vectors_cancel(struct store_near *op)
{
    struct search *s = op->state;

    if (s == NULL || s->call == NULL)
        return;
    store_redis_call_forget(s->call);
    s->call = NULL;
    loop_defer(s->vectors->loop, &s->canceled, on_canceled);
}

/* --- removing ----------------------------------------------------------------------------- */

static void on_removed(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_vectors *v = owner;

    v->stats.removes_total += st == ST_OK && r->type == REDIS_REPLY_INTEGER && r->integer == 1;
}

/* One that is not removed now is when it is next found without its entry. */
void store_redis_vectors_remove(struct store_redis_vectors *v, const struct digest *partition,
                                const struct digest *key)
{
    char name[KEY_BYTES_MAX];
    struct span parts[3] = {SPAN("VREM"), write_set_name(v, partition, name), element_of(key)};

    if (!v->closing && v->fitness != UNFIT &&
        store_redis_call_send(v->redis, parts[1], parts, 3, WRITE_DEADLINE_US, on_removed, v,
                              NULL) != ST_OK)
        log_at(LOG_DEBUG, NULL, kv_event("vector_not_removed"));
}

/* --- what has lost its entry -------------------------------------------------------------- */

static void on_doubt(void *owner, enum status st, const redisReply *r)
{
    struct doubt *d = owner;
    struct store_redis_vectors *v = d->vectors;

    v->sweep_waiting--;
    if (st == ST_OK && r->type == REDIS_REPLY_INTEGER && r->integer == 0)
        store_redis_vectors_remove(v, &v->swept, &d->key);
    free(d);
}

static void look_at(struct store_redis_vectors *v, const redisReply *element)
{
    char name[KEY_BYTES_MAX], hex[HEX_BYTES + 1];
    struct span parts[2] = {SPAN("EXISTS"), {name, 0}};
    struct doubt *d;

    if (element->type != REDIS_REPLY_STRING || (size_t)element->len != DIGEST_BYTES)
        return;
    d = malloc(sizeof(*d));
    if (d == NULL)
        return;
    d->vectors = v;
    memcpy(d->key.bytes, element->str, DIGEST_BYTES);
    digest_hex(d->key.bytes, DIGEST_BYTES, hex);
    parts[1].len = (size_t)snprintf(name, sizeof(name), "%se:%s", v->prefix, hex);
    if (store_redis_call_send(v->redis, parts[1], parts, 2, WRITE_DEADLINE_US, on_doubt, d,
                              NULL) == ST_OK)
        v->sweep_waiting++;
    else
        free(d);
}

static void on_sample(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_vectors *v = owner;

    v->sweep_waiting--;
    if (st == ST_OK && r->type == REDIS_REPLY_ARRAY && !v->closing) {
        for (size_t i = 0; i < r->elements && i < SWEEP_SAMPLE; i++)
            look_at(v, r->element[i]);
    }
}

/* Of the partition that has just been added to: so those that grow are looked at most. */
static void maybe_sweep(struct store_redis_vectors *v, const struct digest *partition)
{
    char name[KEY_BYTES_MAX], count[8];
    struct span parts[3] = {
        SPAN("VRANDMEMBER"), write_set_name(v, partition, name), {count, 0}};

    if (++v->adds_until_sweep < SWEEP_EVERY || v->sweep_waiting > 0)
        return;
    v->adds_until_sweep = 0;
    v->swept = *partition;
    parts[2].len = (size_t)snprintf(count, sizeof(count), "%d", SWEEP_SAMPLE);
    v->sweep_waiting = store_redis_call_send(v->redis, parts[1], parts, 3, WRITE_DEADLINE_US,
                                             on_sample, v, NULL) == ST_OK;
}

/* --- adding ------------------------------------------------------------------------------- */

static void on_added(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_vectors *v = owner;
    char name[KEY_BYTES_MAX];

    v->under_way--;
    if (st == ST_OK) {
        v->stats.adds_total++;
        take_fit(v);
    } else {
        v->stats.dropped_total++;
        if (st == ST_INVALID)
            take_error(v, r, "VADD", probe_name(v, name));
    }
    go_on(v);
}

static void on_time_set(void *owner, enum status st, const redisReply *r)
{
    (void)owner;
    (void)st;
    (void)r;
}

/* The set lives as long as the longest of its entries. GT takes a set without a time for one
 * that never ends, hence NX before it (redis.io/commands/pexpire, since 7.0). */
static void set_time(struct store_redis_vectors *v, struct span name, uint64_t ttl_ms)
{
    static const char *const when[] = {"NX", "GT"};
    char ttl[24];
    struct span parts[4] = {SPAN("PEXPIRE"), name, {ttl, 0}};

    parts[2].len = (size_t)snprintf(ttl, sizeof(ttl), "%" PRIu64, ttl_ms);
    for (size_t i = 0; i < ARRAY_LEN(when); i++) {
        parts[3] = span_of(when[i]);
        if (store_redis_call_send(v->redis, name, parts, 4, WRITE_DEADLINE_US, on_time_set, v,
                                  NULL) != ST_OK)
            return;
    }
}

static enum status send_add(struct store_redis_vectors *v, const struct addition *a,
                            struct span name)
{
    struct span parts[] = {
        SPAN("VADD"),
        name,
        SPAN("FP32"),
        bytes_of(a->vector, a->dimensions),
        element_of(&a->key),
        SPAN("CAS"), /* its search for neighbours is no work of Redis' one thread */
        v->options.kind == STORE_VECTORS_INT8 ? SPAN("Q8") : SPAN("NOQUANT")};

    return store_redis_call_send(v->redis, name, parts, ARRAY_LEN(parts), WRITE_DEADLINE_US,
                                 on_added, v, NULL);
}

static void send_one(struct store_redis_vectors *v, const struct addition *a)
{
    char text[KEY_BYTES_MAX];
    struct span name = write_set_name(v, &a->partition, text);
    uint64_t now_ms = clock_wall_ms();

    if (a->expires_ms <= now_ms)
        return;
    if (v->fitness == UNFIT || send_add(v, a, name) != ST_OK) {
        v->stats.dropped_total++;
        return;
    }
    v->under_way++;
    set_time(v, name, a->expires_ms - now_ms);
    maybe_sweep(v, &a->partition);
}

static void maybe_drained(struct store_redis_vectors *v);

/* What can be added now is. A Redis that is away takes nothing, so nothing waits for it. */
static void go_on(struct store_redis_vectors *v)
{
    while (v->head != NULL && v->under_way < ADDS_UNDER_WAY && !v->redis_closing) {
        struct addition *a = v->head;

        v->head = a->next;
        if (v->head == NULL)
            v->tail = &v->head;
        v->waiting--;
        send_one(v, a);
        free(a);
    }
    maybe_drained(v);
}

void store_redis_vectors_add(struct store_redis_vectors *v, const struct entry *e)
{
    size_t bytes = e->dimensions * sizeof(*e->vector);
    struct addition *a = NULL;

    if (!v->closing && v->fitness != UNFIT && v->waiting < v->options.queue_max)
        a = malloc(sizeof(*a) + bytes);
    if (a == NULL) {
        v->stats.dropped_total++;
        return;
    }
    *a = (struct addition){.partition = e->partition,
                           .key = e->key,
                           .expires_ms = e->expires_ms,
                           .dimensions = e->dimensions};
    memcpy(a->vector, e->vector, bytes);
    *v->tail = a;
    v->tail = &a->next;
    v->waiting++;
    go_on(v);
}

/* --- opening and closing ------------------------------------------------------------------ */

enum status store_redis_vectors_open(struct loop *loop, struct connector *connector,
                                     const struct store_redis_vectors_options *o,
                                     struct store_redis_vectors **out)
{
    struct store_redis_vectors *v = calloc(1, sizeof(*v));
    enum status st;

    if (v == NULL)
        return ST_NOMEM;
    v->loop = loop;
    v->options = *o;
    snprintf(v->prefix, sizeof(v->prefix), "%s", o->prefix);
    v->options.redis.ready = on_ready;
    v->options.redis.down = on_down;
    v->options.redis.owner = v;
    v->tail = &v->head;
    st = store_redis_nodes_open(loop, connector, &v->options.redis, &v->redis);
    if (st != ST_OK) {
        free(v);
        return st;
    }
    *out = v;
    return ST_OK;
}

static void on_redis_closed(void *owner)
{
    struct store_redis_vectors *v = owner;
    void (*closed)(void *owner) = v->closed;
    void *closed_owner = v->closed_owner;

    while (v->head != NULL) {
        struct addition *next = v->head->next;

        free(v->head);
        v->head = next;
    }
    free(v);
    closed(closed_owner);
}

static void close_redis(struct store_redis_vectors *v)
{
    v->redis_closing = true;
    timer_stop(v->loop, &v->close_deadline);
    store_redis_nodes_close(v->redis, on_redis_closed, v);
}

static void maybe_drained(struct store_redis_vectors *v)
{
    if (v->closing && !v->redis_closing && v->head == NULL &&
        (v->under_way == 0 || !store_redis_nodes_is_ready(v->redis)))
        close_redis(v);
}

static void on_close_deadline(struct timer *t)
{
    close_redis(CONTAINER_OF(t, struct store_redis_vectors, close_deadline));
}

void store_redis_vectors_close(struct store_redis_vectors *v, void (*closed)(void *owner),
                               void *owner)
{
    v->closing = true;
    v->closed = closed;
    v->closed_owner = owner;
    timer_start(v->loop, &v->close_deadline, CLOSE_DEADLINE_US, on_close_deadline);
    go_on(v);
}

void store_redis_vectors_stats(const struct store_redis_vectors *v,
                               struct store_vectors_stats *out)
{
    struct store_redis_conn_stats c;

    *out = v->stats;
    store_redis_nodes_stats(v->redis, &c);
    out->up = v->fitness != UNFIT && v->stats.trouble[0] == '\0' && c.ready;
    if (out->trouble[0] == '\0')
        snprintf(out->trouble, sizeof(out->trouble), "%s", c.trouble);
}
