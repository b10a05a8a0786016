/* The embedded store. The loop knows every key (keyset), so a miss never leaves it;
 * one thread reads, one writes, both through a bounded queue:
 *
 *   get   keyset -> still being written? from the queue : reader thread -> done
 *   put   keyset, a turn's together -> queue -> writer thread, batched -> done on the loop
 *   scan  the reader, a few records at a time, so that look-ups come in between
 *
 * Records are numbered in the order of puts; the keyset holds the number of a key's
 * latest. The oldest go first when room is short, whether read or not: what is read
 * often lives in memory before this store, and a time to live ends it anyway.
 *
 * All of this file runs on the loop thread, except where it says otherwise. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/seal.h"
#include "cache/entry.h"
#include "cache/entry_seal.h"
#include "cache/keyset.h"
#include "cache/store.h"
#include "cache/store_kinds.h"
#include "cache/store_lmdb_ahead.h"
#include "cache/store_lmdb_file.h"
#include "cache/store_lmdb_write.h"
#include "rt/loop.h"
#include "rt/timer.h"
#include "rt/work.h"

#define WRITE_BATCH_MAX 2048
/* A transaction costs as much as a dozen entries, and a wait for the disk: under load they
 * begin no closer than this. */
#define WRITE_GATHER_US  20000
#define READ_BATCH_MAX   16
#define READ_QUEUE_MAX   1024
#define REMOVE_QUEUE_MAX 1024                /* removals that wait beside the puts */
#define QUEUE_BYTES_MAX  (64u * 1024 * 1024) /* entries that wait to be written */
#define SCAN_CHUNK       32
#define PURGE_EVERY_US   (30u * 1000 * 1000)
/* Answers that are looked at when the file is opened, for whether they can be read. */
#define SEAL_CHECK_MAX    256
#define CLOSE_DEADLINE_US (5u * 1000 * 1000)

struct store_lmdb {
    struct store store;
    struct loop *loop;            /* borrowed (outlives) */
    struct store_lmdb_file *file; /* owned */
    struct work_pool *reader;     /* owned */
    struct work_pool *writer;     /* owned */
    struct store_lmdb_writer out; /* the writer thread's */
    struct keyset keys;
    uint64_t next_number;
    uint64_t deadline_us;

    /* Entries on their way to the file, by number: numbers in flight are consecutive
     * but for drops, so a ring of a power of two holds them. */
    struct store_lmdb_write **ring; /* owned */
    size_t ring_size, puts_max;
    size_t puts_in_flight, groups_in_flight, reads_in_flight;
    struct store_lmdb_group *group; /* owned; fills during this turn; NULL: nothing yet */
    struct loop_msg group_msg;      /* sends it at the end of the turn */
    bool group_due;                 /* … is on its way */
    uint64_t queue_bytes;

    struct timer purge;
    struct timer close_deadline;
    struct store_stats stats;
    struct loop_msg closing_msg;
    bool closing;
    void (*closed)(void *owner);
    void *closed_owner;
};

/* A look-up on its way. Outlives its `op` when the deadline comes first. */
struct lmdb_read {
    struct work work;
    struct loop_msg soon;
    struct timer deadline;
    struct store_lmdb *store;
    struct store_get *op; /* NULL: it has been answered */
    struct digest key;
    uint64_t number;
    bool canceled, by_work;
    /* out */
    enum status st;
    struct entry *entry;
    struct store_lmdb_record record; /* valid when `bad` */
    bool bad;                        /* corrupt or expired: to be forgotten */
    bool unreadable;                 /* stays for who has the key */
};

struct lmdb_scan {
    struct work work;
    struct store_lmdb *store;
    store_visit_fn *visit;
    store_scanned_fn *scanned;
    void *owner;
    uint64_t from, end; /* records [from, end) are to be visited */
    uint64_t visited, corrupt, unreadable;
    struct store_lmdb_ahead ahead; /* the reader's */
    bool stop;
    enum status st;
};

static struct store_lmdb *of(struct store *s)
{
    return CONTAINER_OF(s, struct store_lmdb, store);
}

static void maybe_closed(struct store_lmdb *s);

/* --- what is known of the file ------------------------------------------------------------ */

static void lost(struct store_lmdb *s, const struct store_lmdb_record *r)
{
    if (s->store.lost != NULL)
        s->store.lost(s->store.lost_owner, &r->key, &r->partition);
}

static void set_trouble(struct store_lmdb *s, const char *why)
{
    /* A full disk fails every batch: one line when it begins and one when it ends. */
    if (why[0] != '\0' && s->stats.up)
        log_at(LOG_WARN, NULL, kv_event("store_write_failed"), kv_str("why", why));
    if (why[0] == '\0' && !s->stats.up)
        log_at(LOG_INFO, NULL, kv_event("store_write_recovered"));
    s->stats.up = why[0] == '\0';
    snprintf(s->stats.trouble, sizeof(s->stats.trouble), "%s", why);
}

/* --- writing -------------------------------------------------------------------------------
 */

/* On the writer. */
static void run_write(struct work *first, unsigned worker)
{
    struct store_lmdb_group *g = CONTAINER_OF(first, struct store_lmdb_group, work);

    (void)worker;
    store_lmdb_write_batch(&g->store->out, g);
}

static void take_batch_result(struct store_lmdb *s, struct store_lmdb_group *g)
{
    for (size_t i = 0; i < g->gone_count; i++) {
        const struct store_lmdb_gone *gone = &g->gone[i];

        if (!gone->expired)
            s->stats.evictions_total++;
        if (keyset_remove(&s->keys, &gone->record.key, gone->record.number))
            lost(s, &gone->record);
    }
    s->stats.bytes = g->size.bytes;
    set_trouble(s, !g->failed ? "" : g->why != NULL ? g->why : "out of memory");
    free(g->why);
    free(g->gone);
}

static void take_put_result(struct store_lmdb *s, struct store_lmdb_write *w, enum status st)
{
    struct entry *e = w->entry;

    s->ring[w->number & (s->ring_size - 1)] = NULL;
    s->puts_in_flight--;
    s->queue_bytes -= w->bytes;
    if (st == ST_OK && w->st == ST_OK) {
        s->stats.puts_total++;
    } else {
        s->stats.errors_total++;
        if (keyset_remove(&s->keys, &e->key, w->number) && s->store.lost != NULL)
            s->store.lost(s->store.lost_owner, &e->key, &e->partition);
    }
    entry_unref(e);
}

static void on_group_done(struct work *work, enum status st)
{
    struct store_lmdb_group *g = CONTAINER_OF(work, struct store_lmdb_group, work);
    struct store_lmdb *s = g->store;

    s->groups_in_flight--;
    for (unsigned i = 0; i < g->count; i++) {
        if (g->item[i].entry != NULL)
            entry_expect(g->item[i].entry);
    }
    /* Results first: what the batch evicted may be one of these very entries. */
    if (g->first)
        take_batch_result(s, g);
    for (unsigned i = 0; i < g->count; i++) {
        if (g->item[i].entry != NULL)
            take_put_result(s, &g->item[i], st);
    }
    free(g);
    maybe_closed(s);
}

static struct store_lmdb_group *new_group(struct store_lmdb *s)
{
    struct store_lmdb_group *g = malloc(sizeof(*g));

    if (g == NULL)
        return NULL;
    memset(g, 0, offsetof(struct store_lmdb_group, item));
    g->store = s;
    return g;
}

/* The older record, if there was one, is as good as it was. */
static void drop_put(struct store_lmdb *s, struct store_lmdb_write *w)
{
    struct entry *e = w->entry;
    bool latest = keyset_find(&s->keys, &e->key) == w->number;

    s->stats.dropped_total++;
    s->ring[w->number & (s->ring_size - 1)] = NULL;
    s->puts_in_flight--;
    s->queue_bytes -= w->bytes;
    if (latest && (w->old == 0 || keyset_set(&s->keys, &e->key, w->old) != ST_OK) &&
        keyset_remove(&s->keys, &e->key, w->number) && s->store.lost != NULL)
        s->store.lost(s->store.lost_owner, &e->key, &e->partition);
    entry_unref(e);
}

/* What this turn has gathered so far. */
static void send_group(struct store_lmdb *s)
{
    struct store_lmdb_group *g = s->group;

    s->group = NULL;
    if (g == NULL)
        return;
    if (work_submit(s->writer, &g->work, s->loop, run_write, on_group_done) == ST_OK) {
        s->groups_in_flight++;
        return;
    }
    for (unsigned i = g->count; i-- > 0;)
        drop_put(s, &g->item[i]);
    free(g);
}

static void on_group_due(struct loop_msg *m)
{
    struct store_lmdb *s = CONTAINER_OF(m, struct store_lmdb, group_msg);

    s->group_due = false;
    send_group(s);
}

/* A place in this turn's group; NULL: no memory. */
static struct store_lmdb_write *next_write(struct store_lmdb *s)
{
    if (s->group != NULL && s->group->count == STORE_LMDB_GROUP_MAX)
        send_group(s);
    if (s->group == NULL)
        s->group = new_group(s);
    if (s->group == NULL)
        return NULL;
    if (!s->group_due) {
        s->group_due = true;
        loop_defer(s->loop, &s->group_msg, on_group_due);
    }
    return &s->group->item[s->group->count++];
}

/* At once, and behind all that was put before it. 0: nothing is removed but what expired. */
static enum status submit_removal(struct store_lmdb *s, uint64_t number)
{
    struct store_lmdb_group *g;
    enum status st;

    send_group(s);
    g = new_group(s);
    if (g == NULL)
        return ST_NOMEM;
    g->count = 1;
    g->item[0] = (struct store_lmdb_write){.old = number};
    st = work_submit(s->writer, &g->work, s->loop, run_write, on_group_done);
    if (st == ST_OK)
        s->groups_in_flight++;
    else
        free(g);
    return st;
}

/* The ring slot is free unless an older put with the same remainder waits still. */
static bool has_room(const struct store_lmdb *s, const struct entry *e)
{
    return !s->closing && s->puts_in_flight < s->puts_max &&
           s->ring[s->next_number & (s->ring_size - 1)] == NULL &&
           entry_bytes(e) <= s->out.bytes_max &&
           s->queue_bytes + entry_bytes(e) <= QUEUE_BYTES_MAX;
}

static void lmdb_put(struct store *store, struct entry *e)
{
    struct store_lmdb *s = of(store);
    uint64_t old = keyset_find(&s->keys, &e->key), number = s->next_number;
    struct store_lmdb_write *w;

    if (!has_room(s, e) || keyset_set(&s->keys, &e->key, number) != ST_OK) {
        s->stats.dropped_total++;
        return;
    }
    w = next_write(s);
    if (w == NULL) {
        s->stats.dropped_total++;
        if (old == 0 || keyset_set(&s->keys, &e->key, old) != ST_OK)
            keyset_remove(&s->keys, &e->key, number);
        return;
    }
    *w = (struct store_lmdb_write){
        .entry = entry_ref(e), .number = number, .old = old, .bytes = entry_bytes(e)};
    s->ring[number & (s->ring_size - 1)] = w;
    s->next_number++;
    s->puts_in_flight++;
    s->queue_bytes += w->bytes;
}

/* Gone from the keyset at once, from the file soon. */
static void forget(struct store_lmdb *s, const struct digest *key, uint64_t number)
{
    if (!keyset_remove(&s->keys, key, number) || s->closing)
        return;
    if (submit_removal(s, number) != ST_OK)
        s->stats.dropped_total++;
}

/* In this order: what stays in the file would come back with the next start. */
static enum status lmdb_remove(struct store *store, const struct digest *key)
{
    struct store_lmdb *s = of(store);
    uint64_t number;
    enum status st;

    send_group(s); /* which may fail, and bring an older record's number back */
    number = keyset_find(&s->keys, key);
    st = number == 0 ? ST_OK : ST_UNAVAILABLE;
    if (number != 0 && !s->closing)
        st = submit_removal(s, number);
    if (number != 0 && st == ST_OK)
        (void)keyset_remove(&s->keys, key, number);
    return st;
}

/* What nobody writes to must lose its expired entries too. */
static void on_purge(struct timer *t)
{
    struct store_lmdb *s = CONTAINER_OF(t, struct store_lmdb, purge);

    if (s->groups_in_flight == 0 && s->group == NULL && s->keys.used > 0 &&
        submit_removal(s, 0) != ST_OK)
        s->stats.errors_total++;
    timer_start(s->loop, &s->purge, PURGE_EVERY_US, on_purge);
}

/* --- reading -------------------------------------------------------------------------------
 */

static void lmdb_expect(struct store *store, const struct digest *key)
{
    keyset_expect(&of(store)->keys, key);
}

static bool lmdb_may_have(struct store *store, const struct digest *key)
{
    return keyset_find(&of(store)->keys, key) != 0;
}

/* On the reader. */
static bool visit_one(void *owner, const struct store_lmdb_record *record, struct span frame)
{
    struct lmdb_read *r = owner;

    if (record->number != r->number || !digest_eq(&record->key, &r->key))
        return false;
    r->st = entry_seal_decode(r->store->out.seal, frame, &r->entry);
    if (r->st == ST_OK && !digest_eq(&r->entry->key, &r->key)) {
        entry_unref(r->entry);
        r->entry = NULL;
        r->st = ST_INVALID;
    }
    r->unreadable = r->st == ST_UNAVAILABLE;
    if (r->unreadable)
        r->st = ST_NOTFOUND;
    r->bad = r->st == ST_INVALID || (r->st == ST_OK && r->entry->expires_ms <= clock_wall_ms());
    r->record = *record;
    return false;
}

/* On the reader. */
static void read_one(struct lmdb_read *r)
{
    uint64_t next;
    enum status st;

    r->st = ST_NOTFOUND;
    st = store_lmdb_file_walk(r->store->file, r->number, 1, visit_one, r, &next);
    if (st != ST_OK)
        r->st = ST_UNAVAILABLE;
}

static void run_scan(struct lmdb_scan *scan);

/* On the reader: look-ups and pieces of a scan, told apart by their `done`. */
static void on_scan_done(struct work *work, enum status st);
static void run_read(struct work *first, unsigned worker)
{
    struct store_lmdb_file *file = NULL;

    (void)worker;
    for (struct work *w = first; w != NULL; w = w->next) {
        if (w->done == on_scan_done) {
            struct lmdb_scan *scan = CONTAINER_OF(w, struct lmdb_scan, work);

            run_scan(scan);
            file = scan->store->file;
        } else {
            struct lmdb_read *r = CONTAINER_OF(w, struct lmdb_read, work);

            if (!work_canceled(w))
                read_one(r);
            file = r->store->file;
        }
    }
    store_lmdb_file_trim(file, false);
}

/* Settles counters and the keyset; turns what is no answer into a miss. */
static void take_read_result(struct lmdb_read *r)
{
    struct store_lmdb *s = r->store;

    if (r->st == ST_INVALID)
        s->stats.corrupt_total++;
    else if (r->unreadable)
        s->stats.unreadable_total++;
    else if (r->st != ST_OK && r->st != ST_NOTFOUND)
        s->stats.errors_total++;
    if (r->bad) {
        bool known = keyset_find(&s->keys, &r->key) == r->number;

        entry_unref(r->entry);
        r->entry = NULL;
        r->st = ST_NOTFOUND;
        forget(s, &r->key, r->number);
        if (known)
            lost(s, &r->record);
    }
}

static void answer(struct lmdb_read *r, enum status st, struct entry *e)
{
    struct store_get *op = r->op;

    r->op = NULL;
    if (op == NULL) {
        entry_unref(e);
        return;
    }
    timer_stop(r->store->loop, &r->deadline);
    op->state = NULL;
    if (st == ST_OK)
        r->store->stats.hits_total++;
    op->done(op, st, e);
}

static void end_read(struct lmdb_read *r)
{
    struct store_lmdb *s = r->store;

    answer(r, r->canceled ? ST_CANCELED : r->st, r->canceled ? NULL : r->entry);
    if (r->canceled)
        entry_unref(r->entry);
    free(r);
    s->reads_in_flight--;
    maybe_closed(s);
}

static void on_read_done(struct work *work, enum status st)
{
    struct lmdb_read *r = CONTAINER_OF(work, struct lmdb_read, work);

    if (st == ST_CANCELED)
        r->canceled = true;
    else
        take_read_result(r);
    end_read(r);
}

static void on_soon(struct loop_msg *m)
{
    end_read(CONTAINER_OF(m, struct lmdb_read, soon));
}

/* The disk did not answer in time; the caller goes on, the read ends when it may. */
static void on_deadline(struct timer *t)
{
    struct lmdb_read *r = CONTAINER_OF(t, struct lmdb_read, deadline);

    if (!r->canceled)
        r->store->stats.timeouts_total++;
    answer(r, r->canceled ? ST_CANCELED : ST_TIMEOUT, NULL);
}

/* The entry, when it is still on its way to the file. */
static struct entry *pending(const struct store_lmdb *s, uint64_t number,
                             const struct digest *key)
{
    struct store_lmdb_write *w = s->ring[number & (s->ring_size - 1)];

    if (w == NULL || w->number != number || !digest_eq(&w->entry->key, key))
        return NULL;
    return w->entry;
}

static enum status lmdb_get(struct store *store, struct store_get *op)
{
    struct store_lmdb *s = of(store);
    struct lmdb_read *r;
    struct entry *e;
    enum status st;

    if (s->closing)
        return ST_UNAVAILABLE;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return ST_NOMEM;
    *r = (struct lmdb_read){.store = s, .op = op, .key = op->key, .st = ST_NOTFOUND};
    r->number = keyset_find(&s->keys, &op->key);
    e = r->number == 0 ? NULL : pending(s, r->number, &op->key);
    r->by_work = r->number != 0 && e == NULL;
    if (r->by_work) {
        st = work_submit(s->reader, &r->work, s->loop, run_read, on_read_done);
        if (st != ST_OK) {
            free(r);
            return st;
        }
        timer_start(s->loop, &r->deadline, s->deadline_us, on_deadline);
    } else {
        if (e != NULL && e->expires_ms > clock_wall_ms()) {
            r->entry = entry_ref(e);
            r->st = ST_OK;
        }
        loop_defer(s->loop, &r->soon, on_soon);
    }
    op->state = r;
    s->stats.gets_total++;
    s->reads_in_flight++;
    return ST_OK;
}

static void lmdb_cancel(struct store_get *op)
{
    struct lmdb_read *r = op->state;

    if (r == NULL)
        return;
    r->canceled = true;
    if (r->by_work && r->store->reader != NULL)
        work_cancel(&r->work);
}

/* --- scanning ------------------------------------------------------------------------------
 */

/* On the reader. A record that is no entry is left: who asks for it will find out. */
static bool visit_scan(void *owner, const struct store_lmdb_record *record, struct span frame)
{
    struct lmdb_scan *scan = owner;
    struct entry *e;
    enum status st;

    if (record->number >= scan->end || work_canceled(&scan->work)) {
        scan->stop = true;
        return false;
    }
    if (record->expires_ms <= clock_wall_ms())
        return true;
    store_lmdb_ahead(&scan->ahead, frame.ptr);
    st = entry_seal_decode(scan->store->out.seal, frame, &e);
    if (st != ST_OK) {
        scan->unreadable += st == ST_UNAVAILABLE;
        scan->corrupt += st != ST_UNAVAILABLE;
        return true;
    }
    scan->visited++;
    scan->stop = !scan->visit(scan->owner, e);
    entry_unref(e);
    return !scan->stop;
}

/* On the reader. */
static void run_scan(struct lmdb_scan *scan)
{
    uint64_t next = 0;

    scan->st = store_lmdb_file_walk(scan->store->file, scan->from, SCAN_CHUNK, visit_scan, scan,
                                    &next);
    if (scan->st != ST_OK || next == 0)
        scan->stop = true;
    scan->from = next;
    if (scan->stop)
        store_lmdb_file_trim(scan->store->file, true);
}

static void end_scan(struct lmdb_scan *scan, enum status st)
{
    struct store_lmdb *s = scan->store;

    s->stats.corrupt_total += scan->corrupt;
    s->stats.unreadable_total += scan->unreadable;
    s->reads_in_flight--;
    scan->scanned(scan->owner, st, scan->visited);
    free(scan);
    maybe_closed(s);
}

static void on_scan_done(struct work *work, enum status st)
{
    struct lmdb_scan *scan = CONTAINER_OF(work, struct lmdb_scan, work);
    struct store_lmdb *s = scan->store;

    if (st == ST_CANCELED || s->closing) {
        end_scan(scan, ST_CANCELED);
        return;
    }
    if (!scan->stop) {
        st = work_submit(s->reader, &scan->work, s->loop, run_read, on_scan_done);
        if (st != ST_OK)
            end_scan(scan, st);
        return;
    }
    end_scan(scan, scan->st);
}

static enum status lmdb_scan(struct store *store, store_visit_fn *visit,
                             store_scanned_fn *scanned, void *owner)
{
    struct store_lmdb *s = of(store);
    struct lmdb_scan *scan = calloc(1, sizeof(*scan));
    enum status st;

    if (scan == NULL)
        return ST_NOMEM;
    /* Before the reader begins, so it is one at a time. */
    for (size_t i = 0; i < s->ring_size; i++) {
        const struct store_lmdb_write *w = s->ring[i];

        if (w != NULL && keyset_find(&s->keys, &w->entry->key) == w->number &&
            !visit(owner, w->entry))
            break;
    }
    *scan = (struct lmdb_scan){.store = s,
                               .visit = visit,
                               .scanned = scanned,
                               .owner = owner,
                               .from = 1,
                               .end = s->next_number};
    st = work_submit(s->reader, &scan->work, s->loop, run_read, on_scan_done);
    if (st != ST_OK)
        free(scan);
    else
        s->reads_in_flight++;
    return st;
}

/* --- closing -------------------------------------------------------------------------------
 */

static void close_pools(struct store_lmdb *s)
{
    if (s->reader != NULL)
        work_pool_close(s->reader);
    if (s->writer != NULL)
        work_pool_close(s->writer);
    s->reader = s->writer = NULL;
}

static void release(struct store_lmdb *s)
{
    close_pools(s);
    if (s->file != NULL)
        store_lmdb_file_close(s->file);
    buf_release(&s->out.frame);
    keyset_release(&s->keys);
    free(s->ring);
    free(s);
}

static void on_closed(struct loop_msg *m)
{
    struct store_lmdb *s = CONTAINER_OF(m, struct store_lmdb, closing_msg);
    void (*closed)(void *owner) = s->closed;
    void *owner = s->closed_owner;

    release(s);
    closed(owner);
}

static void maybe_closed(struct store_lmdb *s)
{
    if (!s->closing || s->groups_in_flight > 0 || s->reads_in_flight > 0)
        return;
    timer_stop(s->loop, &s->close_deadline);
    loop_defer(s->loop, &s->closing_msg, on_closed);
}

/* What waits still is dropped; what is being written ends. */
static void on_close_deadline(struct timer *t)
{
    close_pools(CONTAINER_OF(t, struct store_lmdb, close_deadline));
}

static void lmdb_close(struct store *store, void (*closed)(void *owner), void *owner)
{
    struct store_lmdb *s = of(store);

    assert(!s->closing);
    send_group(s);
    s->closing = true;
    s->closed = closed;
    s->closed_owner = owner;
    timer_stop(s->loop, &s->purge);
    timer_start(s->loop, &s->close_deadline, CLOSE_DEADLINE_US, on_close_deadline);
    maybe_closed(s);
}

/* --- opening -------------------------------------------------------------------------------
 */

static void lmdb_stats(struct store *store, struct store_stats *out)
{
    struct store_lmdb *s = of(store);

    *out = s->stats;
    out->entries = s->keys.used;
}

static const struct store_ops lmdb_ops = {
    .expect = lmdb_expect,
    .may_have = lmdb_may_have,
    .get = lmdb_get,
    .cancel = lmdb_cancel,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .scan = lmdb_scan,
    .stats = lmdb_stats,
    .close = lmdb_close,
};

static bool visit_key(void *owner, const struct store_lmdb_record *r, struct span frame)
{
    struct store_lmdb *s = owner;

    (void)frame; /* not looked at, so not read from the disk */
    s->next_number = r->number + 1;
    /* A key that does not fit into memory is an entry that is never asked for. */
    if (keyset_set(&s->keys, &r->key, r->number) != ST_OK)
        s->stats.dropped_total++;
    return true;
}

struct seal_check {
    const struct seal_ring *keys;
    uint64_t now_ms;
    size_t looked_at;
    char missing[2 * SEAL_ID_BYTES + 1]; /* a key that is not there; empty: none is */
};

static bool visit_seal(void *owner, const struct store_lmdb_record *r, struct span frame)
{
    struct seal_check *c = owner;

    if (r->expires_ms <= c->now_ms)
        return true;
    if (seal_is_sealed(frame) && (c->keys == NULL || !seal_has_key(c->keys, frame))) {
        seal_key_name(frame, c->missing);
        return false;
    }
    return ++c->looked_at < SEAL_CHECK_MAX;
}

/* Without the key its entries could not be read, and would be replaced one by one by others:
 * better to leave the file alone and to say so. The oldest are those of the oldest key. */
static enum status check_seal(struct store_lmdb *s, char *why, size_t why_cap)
{
    struct seal_check c = {.keys = s->out.seal, .now_ms = clock_wall_ms()};
    uint64_t next;

    /* A file that is none of ours is load_keys()'s. */
    if (store_lmdb_file_walk(s->file, 1, SIZE_MAX, visit_seal, &c, &next) != ST_OK ||
        c.missing[0] == '\0')
        return ST_OK;
    snprintf(why, why_cap,
             "its answers are sealed with the key %s, which store.seal_key_file does not hold: "
             "add that key there, or move the store away; nothing in it was changed",
             c.missing);
    return ST_UNAVAILABLE;
}

static enum status load_keys(struct store_lmdb *s, char *why, size_t why_cap)
{
    uint64_t next;
    enum status st = store_lmdb_file_walk(s->file, 1, SIZE_MAX, visit_key, s, &next);

    if (st == ST_INVALID) {
        keyset_release(&s->keys);
        s->next_number = 1;
        st = store_lmdb_file_renew(s->file, why, why_cap);
        if (st != ST_OK)
            return st;
    } else if (st != ST_OK) {
        snprintf(why, why_cap, "cannot read the keys: %s", status_text(st));
        return st;
    }
    store_lmdb_file_trim(s->file, true);
    st = store_lmdb_file_begin(s->file);
    if (st != ST_OK) {
        snprintf(why, why_cap, "%s", store_lmdb_file_why(s->file));
        return st;
    }
    store_lmdb_file_size(s->file, &s->out.committed);
    store_lmdb_file_abort(s->file);
    s->stats.bytes = s->out.committed.bytes;
    return ST_OK;
}

static enum status open_threads(struct store_lmdb *s, const struct store_options *o)
{
    const struct work_pool_options writer = {.threads = 1,
                                             .queue_max = o->queue_max + REMOVE_QUEUE_MAX,
                                             .batch_max = WRITE_BATCH_MAX,
                                             .gather_us = WRITE_GATHER_US,
                                             /* Behind, a loop that never rests would fill
                                              * its queue, and answers would be dropped. */
                                             .rank = WORK_BESIDE,
                                             .owner = s};
    const struct work_pool_options reader = {
        .threads = 1, .queue_max = READ_QUEUE_MAX, .batch_max = READ_BATCH_MAX, .owner = s};
    enum status st;

    s->puts_max = o->queue_max;
    s->ring_size = 1;
    while (s->ring_size < s->puts_max)
        s->ring_size *= 2;
    s->ring = calloc(s->ring_size, sizeof(struct store_lmdb_write *));
    if (s->ring == NULL)
        return ST_NOMEM;
    st = work_pool_open(&writer, &s->writer);
    return st == ST_OK ? work_pool_open(&reader, &s->reader) : st;
}

/* "lmdb:" is the data folder, "lmdb:/path" another one. */
static const char *folder_of(const struct store_options *o)
{
    const char *path = o->url + strlen("lmdb:");

    return path[0] != '\0' ? path : o->data_dir;
}

enum status store_lmdb_open(struct loop *loop, const struct store_options *o,
                            struct store **out, char *why, size_t why_cap)
{
    struct store_lmdb *s = calloc(1, sizeof(*s));
    enum status st;

    if (s == NULL)
        return ST_NOMEM;
    s->store.ops = &lmdb_ops;
    s->loop = loop;
    s->deadline_us = (uint64_t)o->deadline_ms * 1000;
    s->next_number = 1;
    s->stats = (struct store_stats){.kind = "lmdb", .up = true};
    keyset_init(&s->keys);
    buf_init(&s->out.frame, ENTRY_FRAME_BYTES_MAX);
    st = store_lmdb_file_open(folder_of(o), o->bytes_max, &s->file, why, why_cap);
    s->out.seal = o->seal;
    if (st == ST_OK)
        st = check_seal(s, why, why_cap);
    if (st == ST_OK)
        st = load_keys(s, why, why_cap);
    if (st == ST_OK) {
        s->out.file = s->file;
        s->out.entries_max = o->entries_max;
        s->out.bytes_max = o->bytes_max;
        st = open_threads(s, o);
    }
    if (st != ST_OK) {
        if (why[0] == '\0')
            snprintf(why, why_cap, "%s", status_text(st));
        release(s);
        return st;
    }
    timer_start(loop, &s->purge, PURGE_EVERY_US, on_purge);
    log_at(LOG_INFO, NULL, kv_event("store_open"), kv_str("kind", "lmdb"),
           kv_str("folder", folder_of(o)), kv_u64("entries", s->keys.used),
           kv_u64("bytes", s->stats.bytes));
    *out = &s->store;
    return ST_OK;
}
