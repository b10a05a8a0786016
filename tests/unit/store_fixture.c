#include "store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "check.h"
#include "rt/connect.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define WAIT_MAX_US (60u * 1000 * 1000)
#define DIMENSIONS  8

void store_fixture_init(struct fixture *f, const char *url)
{
    const struct connector_options c = {.dns_ttl_max_s = 1};

    memset(f, 0, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/ibid-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->url, sizeof(f->url), "%s", url);
    f->options = (struct store_options){.url = f->url,
                                        .data_dir = f->folder,
                                        .entries_max = 100000,
                                        .bytes_max = 64u << 20,
                                        .deadline_ms = 2000,
                                        .queue_max = 4096,
                                        .prefix = "ibid-test:"};
    CHECK_STATUS(ST_OK, loop_open(&f->loop));
    CHECK_STATUS(ST_OK, connector_open(f->loop, &c, &f->connector));
}

/* Its files, and those of stores that a test put a level or two below. */
static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    char path[512];

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (unlink(path) != 0)
            remove_folder(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(folder);
}

void store_fixture_release(struct fixture *f)
{
    if (f->store != NULL)
        store_fixture_close(f);
    connector_close(f->connector);
    loop_run(f->loop);
    CHECK_STATUS(ST_OK, loop_close(f->loop));
    remove_folder(f->folder);
}

static void on_lost(void *owner, const struct digest *key, const struct digest *partition)
{
    struct fixture *f = owner;
    struct digest want;
    uint64_t n;

    memcpy(&n, key->bytes + 8, sizeof(n));
    want = store_fixture_partition(n);
    assert_true(digest_eq(partition, &want));
    f->lost++;
    f->last_lost = *key;
}

enum status store_fixture_try_open(struct fixture *f)
{
    enum status st =
        store_open(f->loop, f->connector, &f->options, &f->store, f->why, sizeof(f->why));

    if (st != ST_OK) {
        f->store = NULL;
        return st;
    }
    f->store->lost = on_lost;
    f->store->lost_owner = f;
    return ST_OK;
}

void store_fixture_open(struct fixture *f)
{
    enum status st = store_fixture_try_open(f);

    if (st != ST_OK)
        fail_msg("cannot open '%s': %s: %s", f->url, status_name(st), f->why);
}

static void on_closed(void *owner)
{
    struct fixture *f = owner;

    f->store = NULL;
}

static bool is_closed(struct fixture *f, uint64_t arg)
{
    (void)arg;
    return f->store == NULL;
}

void store_fixture_close(struct fixture *f)
{
    f->store->ops->close(f->store, on_closed, f);
    store_fixture_wait(f, is_closed, 0);
}

struct tick {
    struct timer timer;
    struct loop *loop;
};

static void on_tick(struct timer *t)
{
    loop_stop(CONTAINER_OF(t, struct tick, timer)->loop);
}

void store_fixture_wait(struct fixture *f, bool (*done)(struct fixture *f, uint64_t arg),
                        uint64_t arg)
{
    uint64_t start = clock_now_us();
    struct tick tick = {.loop = f->loop};

    loop_turn(f->loop);
    while (!done(f, arg)) {
        if (clock_now_us() - start > WAIT_MAX_US)
            fail_msg("what was waited for did not come");
        timer_start(f->loop, &tick.timer, 1000, on_tick);
        loop_ref(f->loop);
        loop_run(f->loop);
        loop_unref(f->loop);
        timer_stop(f->loop, &tick.timer);
    }
}

struct store_stats store_fixture_stats(struct fixture *f)
{
    struct store_stats s;

    f->store->ops->stats(f->store, &s);
    return s;
}

static bool is_up(struct fixture *f, uint64_t arg)
{
    (void)arg;
    return store_fixture_stats(f).up;
}

void store_fixture_wait_up(struct fixture *f)
{
    store_fixture_wait(f, is_up, 0);
}

static bool is_settled(struct fixture *f, uint64_t puts)
{
    struct store_stats s = store_fixture_stats(f);

    return s.puts_total + s.dropped_total + s.errors_total >= puts;
}

void store_fixture_settle(struct fixture *f, uint64_t puts)
{
    store_fixture_wait(f, is_settled, puts);
}

struct digest store_fixture_key(uint64_t n)
{
    struct digest d = {{0}};
    uint64_t mixed = hash_bytes((struct span){(const char *)&n, sizeof(n)}, 1);

    memcpy(d.bytes, &mixed, sizeof(mixed));
    memcpy(d.bytes + 8, &n, sizeof(n));
    return d;
}

struct digest store_fixture_partition(uint64_t n)
{
    struct digest d = {{0}};

    d.bytes[0] = (uint8_t)(n % 7);
    d.bytes[31] = 1;
    return d;
}

static void fill(char *answer, size_t len, uint64_t n)
{
    for (size_t i = 0; i < len; i++)
        answer[i] = (char)('a' + (n + i) % 26);
}

struct entry *store_fixture_entry(uint64_t n, size_t answer_bytes, uint64_t expires_ms)
{
    float vector[DIMENSIONS] = {0};
    char *answer = malloc(answer_bytes + 1), question[64];
    struct entry in = {.key = store_fixture_key(n),
                       .partition = store_fixture_partition(n),
                       .tenant = store_fixture_key(n % 3),
                       .created_ms = 1000 + n,
                       .expires_ms = expires_ms,
                       .model = SPAN("model"),
                       .vector = vector,
                       .dimensions = DIMENSIONS},
                 *e;

    assert_non_null(answer);
    vector[n % DIMENSIONS] = 1;
    snprintf(question, sizeof(question), "question %llu", (unsigned long long)n);
    in.question = span_of(question);
    fill(answer, answer_bytes, n);
    in.answer = (struct span){answer, answer_bytes};
    CHECK_STATUS(ST_OK, entry_new(&in, &e));
    free(answer);
    return e;
}

bool store_fixture_is(const struct entry *e, uint64_t n)
{
    struct digest key = store_fixture_key(n), partition = store_fixture_partition(n);

    if (!digest_eq(&e->key, &key) || !digest_eq(&e->partition, &partition) ||
        e->dimensions != DIMENSIONS || e->vector[n % DIMENSIONS] != 1)
        return false;
    for (size_t i = 0; i < e->answer.len; i++)
        if (e->answer.ptr[i] != (char)('a' + (n + i) % 26))
            return false;
    return true;
}

void store_fixture_put_until(struct fixture *f, uint64_t n, size_t answer_bytes,
                             uint64_t expires_ms)
{
    struct entry *e = store_fixture_entry(n, answer_bytes, expires_ms);

    f->store->ops->put(f->store, e);
    entry_unref(e);
}

void store_fixture_put(struct fixture *f, uint64_t n, size_t answer_bytes)
{
    store_fixture_put_until(f, n, answer_bytes, clock_wall_ms() + 3600 * 1000);
}

struct one_get {
    struct store_get get;
    struct fixture *fixture;
    enum status st;
    struct entry *entry;
    bool done;
};

static struct one_get *current; /* the get under way */

static void on_got(struct store_get *op, enum status st, struct entry *e)
{
    struct one_get *g = CONTAINER_OF(op, struct one_get, get);

    assert_ptr_equal(g, current);
    assert_false(g->done);
    assert_true((st == ST_OK) == (e != NULL));
    g->done = true;
    g->st = st;
    g->entry = e;
    loop_stop(g->fixture->loop);
}

static bool is_got(struct fixture *f, uint64_t arg)
{
    (void)f;
    (void)arg;
    return current->done;
}

enum status store_fixture_get(struct fixture *f, uint64_t n)
{
    struct one_get g = {.get = {.done = on_got, .key = store_fixture_key(n), .store = f->store},
                        .fixture = f};
    enum status st;

    current = &g;
    st = f->store->ops->get(f->store, &g.get);
    if (st != ST_OK)
        return st;
    assert_false(g.done); /* never from inside the call */
    store_fixture_wait(f, is_got, 0);
    if (g.st == ST_OK) {
        if (!store_fixture_is(g.entry, n))
            fail_msg("entry %llu is not what was put", (unsigned long long)n);
        entry_unref(g.entry);
    }
    return g.st;
}

struct one_scan {
    uint64_t visited, stop_after, told;
    enum status st;
    bool done;
};

static bool on_visit(void *owner, struct entry *e)
{
    struct one_scan *s = owner;

    uint64_t n;

    memcpy(&n, e->key.bytes + 8, sizeof(n));
    assert_true(store_fixture_is(e, n));
    return ++s->visited < s->stop_after;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct one_scan *s = owner;

    assert_false(s->done);
    s->done = true;
    s->st = st;
    s->told = entries;
}

static struct one_scan scan;

static bool is_scanned(struct fixture *f, uint64_t arg)
{
    (void)f;
    (void)arg;
    return scan.done;
}

enum status store_fixture_scan(struct fixture *f, uint64_t stop_after, uint64_t *visited)
{
    enum status st;

    scan = (struct one_scan){.stop_after = stop_after};
    st = f->store->ops->scan(f->store, on_visit, on_scanned, &scan);
    if (st != ST_OK)
        return st;
    assert_false(scan.done);
    store_fixture_wait(f, is_scanned, 0);
    *visited = scan.visited;
    if (scan.st == ST_OK)
        assert_int_equal(scan.told, scan.visited);
    return scan.st;
}
