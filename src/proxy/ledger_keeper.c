#include "proxy/ledger_keeper.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/day.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/energy.h"
#include "proxy/ledger.h"
#include "proxy/ledger_file.h"
#include "rt/loop.h"
#include "rt/timer.h"
#include "rt/work.h"

#define PATH_BYTES (CONFIG_TEXT_MAX + 64)
/* Our own CPU time alone is no reason to write more often. */
#define QUIET_WRITE_MS 3600000
/* How often it is looked whether the file is free. */
#define FREE_LOOK_MS 1000

struct ledger_keeper {
    struct ledger ledger;
    struct ledger_rates rates;
    struct energy energy;
    struct loop *loop;      /* borrowed */
    struct work_pool *pool; /* NULL: nothing is written */
    struct timer timer;     /* the next look */
    uint64_t flush_ms;
    uint64_t written_ms; /* wall clock; of the last writing that was begun */
    size_t rows_max;
    int lock_fd;
    char path[PATH_BYTES], lock_path[PATH_BYTES];
    uint64_t writes_total, failures_total;

    struct work work;
    bool writing;
    struct buf text;    /* the worker's while `writing` */
    struct ledger copy; /* likewise */
    enum status result;

    struct loop_msg last;
    void (*closed)(void *owner); /* not NULL: closing */
    void *owner;
};

/* --- writing --------------------------------------------------------------------------- */

/* The loop goes on counting; the worker turns the copy into text. */
static bool copy_ledger(struct ledger_keeper *k)
{
    size_t bytes = k->ledger.row_count * sizeof(*k->ledger.rows);

    k->copy = k->ledger;
    k->copy.slots = NULL;
    k->copy.rows = malloc(bytes > 0 ? bytes : 1);
    if (k->copy.rows == NULL)
        return false;
    if (bytes > 0)
        memcpy(k->copy.rows, k->ledger.rows, bytes);
    return true;
}

static enum status write_copy(struct ledger_keeper *k)
{
    enum status st;

    buf_clear(&k->text);
    st = ledger_file_write(&k->copy, &k->rates, k->written_ms, &k->text);
    return st == ST_OK ? ledger_file_save(k->path, buf_span(&k->text)) : st;
}

static void run(struct work *first, unsigned worker)
{
    struct ledger_keeper *k = CONTAINER_OF(first, struct ledger_keeper, work);

    (void)worker;
    k->result = write_copy(k);
}

static void note_result(struct ledger_keeper *k)
{
    ledger_release(&k->copy);
    if (k->result == ST_OK) {
        k->writes_total++;
        return;
    }
    k->failures_total++;
    k->ledger.dirty = true;
    log_at(LOG_WARN, NULL, kv_event("ledger_not_written"), kv_str("path", k->path),
           kv_status(k->result));
}

static void finish(struct ledger_keeper *k);

static void on_written(struct work *w, enum status st)
{
    struct ledger_keeper *k = CONTAINER_OF(w, struct ledger_keeper, work);

    if (st != ST_OK)
        k->result = st;
    k->writing = false;
    note_result(k);
    if (k->closed != NULL)
        finish(k);
}

static void begin_write(struct ledger_keeper *k, uint64_t now_ms)
{
    if (k->pool == NULL || k->writing || !copy_ledger(k))
        return;
    k->written_ms = now_ms;
    k->ledger.dirty = false;
    k->result = ST_OK;
    if (work_submit(k->pool, &k->work, k->loop, run, on_written) == ST_OK)
        k->writing = true;
    else
        ledger_release(&k->copy);
}

/* --- looking ---------------------------------------------------------------------------- */

static void look(struct ledger_keeper *k, uint64_t now_ms)
{
    struct energy_part part;
    struct ledger_day own = {.day = 0};

    energy_take(&k->energy, &part);
    own.cpu_s = part.cpu_s;
    own.measured_wh = part.measured_wh;
    own.estimated_wh = part.estimated_wh;
    ledger_add_own(&k->ledger, &own);
    ledger_set_day(&k->ledger, now_ms);
}

static void on_timer(struct timer *t);

/* A day ends when it ends. */
static void start_timer(struct ledger_keeper *k, uint64_t now_ms)
{
    uint64_t left_ms = DAY_MS - now_ms % DAY_MS;
    uint64_t next_ms = k->pool != NULL ? k->flush_ms : FREE_LOOK_MS;

    timer_start(k->loop, &k->timer, (next_ms < left_ms ? next_ms : left_ms) * 1000, on_timer);
}

static void look_for_file(struct ledger_keeper *k);

static void on_timer(struct timer *t)
{
    struct ledger_keeper *k = CONTAINER_OF(t, struct ledger_keeper, timer);
    uint64_t now_ms = clock_wall_ms();

    look(k, now_ms);
    if (k->pool == NULL)
        look_for_file(k);
    if (k->ledger.dirty || now_ms - k->written_ms > QUIET_WRITE_MS)
        begin_write(k, now_ms);
    start_timer(k, now_ms);
}

/* --- opening ------------------------------------------------------------------------------ */

static void set_aside(const char *path, const char *why)
{
    char bad[PATH_BYTES + 8];

    (void)snprintf(bad, sizeof(bad), "%s.bad", path);
    log_at(LOG_WARN, NULL, kv_event("ledger_unreadable"), kv_str("path", path),
           kv_str("why", why), kv_str("moved_to", bad));
    (void)!rename(path, bad);
}

/* All or nothing, as half a ledger would be a wrong one: read aside first. */
static enum status add_text(struct ledger_keeper *k, struct span text, char *why,
                            size_t why_cap)
{
    struct ledger aside;
    enum status st;

    ledger_init(&aside, k->rows_max, clock_wall_ms());
    st = ledger_file_read(text, &aside, NULL, NULL, why, why_cap);
    ledger_release(&aside);
    return st == ST_OK ? ledger_file_read(text, &k->ledger, NULL, NULL, why, why_cap) : st;
}

/* What the file has is added to what there is. */
static void add_file(struct ledger_keeper *k)
{
    char why[192] = "";
    struct buf text;
    enum status st;

    buf_init(&text, LEDGER_FILE_BYTES_MAX);
    st = ledger_file_load(k->path, &text);
    if (st == ST_OK)
        st = add_text(k, buf_span(&text), why, sizeof(why));
    else if (st != ST_NOTFOUND)
        (void)snprintf(why, sizeof(why), "%s", status_text(st));
    buf_release(&text);
    if (st != ST_OK && st != ST_NOTFOUND)
        set_aside(k->path, why);
}

static bool take_lock(struct ledger_keeper *k)
{
    if (k->lock_fd < 0)
        k->lock_fd = open(k->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return k->lock_fd >= 0 && flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0;
}

static enum status open_pool(struct ledger_keeper *k)
{
    const struct work_pool_options o = {
        .threads = 1, .queue_max = 1, .batch_max = 1, .rank = WORK_BEHIND, .owner = k};

    return work_pool_open(&o, &k->pool);
}

static enum status open_file(struct ledger_keeper *k, const struct config *c)
{
    (void)snprintf(k->path, sizeof(k->path), "%s/%s", c->data_dir, LEDGER_FILE_NAME);
    (void)snprintf(k->lock_path, sizeof(k->lock_path), "%s/ledger.lock", c->data_dir);
    if (!take_lock(k)) {
        log_at(LOG_WARN, NULL, kv_event("ledger_waits"), kv_str("path", k->path));
        return ST_OK;
    }
    add_file(k);
    return open_pool(k);
}

/* Is the file free by now? */
static void look_for_file(struct ledger_keeper *k)
{
    enum status st;

    if (!take_lock(k))
        return;
    add_file(k);
    st = open_pool(k);
    k->ledger.dirty = true;
    log_at(st == ST_OK ? LOG_INFO : LOG_ERROR, NULL, kv_event("ledger_taken_over"),
           kv_str("path", k->path), kv_status(st));
}

static void release(struct ledger_keeper *k)
{
    energy_close(&k->energy);
    ledger_release(&k->ledger);
    buf_release(&k->text);
    if (k->lock_fd >= 0)
        close(k->lock_fd);
    free(k);
}

enum status ledger_keeper_open(struct loop *loop, const struct config *c,
                               struct ledger_keeper **out)
{
    struct ledger_keeper *k = calloc(1, sizeof(*k));
    uint64_t now_ms = clock_wall_ms();
    enum status st;

    if (k == NULL)
        return ST_NOMEM;
    k->loop = loop;
    k->rows_max = c->account.rows_max;
    k->lock_fd = -1;
    k->flush_ms = c->account.flush_s * 1000;
    k->written_ms = now_ms;
    buf_init(&k->text, LEDGER_FILE_BYTES_MAX);
    ledger_file_rates(c, &k->rates);
    ledger_init(&k->ledger, c->account.rows_max, now_ms);
    energy_open(&k->energy, c->account.powercap_dir, c->account.cpu_watts);
    st = open_file(k, c);
    if (st != ST_OK) {
        release(k);
        return st;
    }
    start_timer(k, now_ms);
    *out = k;
    return ST_OK;
}

struct ledger *ledger_keeper_ledger(struct ledger_keeper *k)
{
    return &k->ledger;
}

enum status ledger_keeper_show(struct ledger_keeper *k, struct buf *out)
{
    uint64_t now_ms = clock_wall_ms();

    look(k, now_ms);
    return ledger_file_write(&k->ledger, &k->rates, now_ms, out);
}

void ledger_keeper_stats(const struct ledger_keeper *k, struct ledger_keeper_stats *out)
{
    *out = (struct ledger_keeper_stats){.writes_total = k->writes_total,
                                        .failures_total = k->failures_total,
                                        .measured = k->energy.zone_count > 0 ? 1 : 0,
                                        .waits = k->pool == NULL};
}

/* --- closing ------------------------------------------------------------------------------ */

static void on_finished(struct loop_msg *m)
{
    struct ledger_keeper *k = CONTAINER_OF(m, struct ledger_keeper, last);
    void (*closed)(void *owner) = k->closed;
    void *owner = k->owner;

    if (k->pool != NULL)
        work_pool_close(k->pool);
    release(k);
    closed(owner);
}

/* Nobody is served any more, so the loop may wait for the disk. */
static void finish(struct ledger_keeper *k)
{
    look(k, clock_wall_ms());
    if (k->pool != NULL && copy_ledger(k)) {
        k->written_ms = clock_wall_ms();
        k->result = write_copy(k);
        note_result(k);
    }
    loop_defer(k->loop, &k->last, on_finished);
}

void ledger_keeper_close(struct ledger_keeper *k, void (*closed)(void *owner), void *owner)
{
    k->closed = closed;
    k->owner = owner;
    timer_stop(k->loop, &k->timer);
    if (!k->writing)
        finish(k);
}
