/* What a store costs: store_bench URL ENTRIES ANSWER_BYTES [FOLDER [PARTITIONS]]
 * Vectors at random, of 1000 partitions or as many as told. Puts, look-ups that hit, closing
 * and opening again, resident memory; what a frame costs in the clear and sealed. With
 * IBID_BENCH_SEAL set the store is sealed. FOLDER (LMDB) is made and left there; default is a
 * temporary one, removed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/seal.h"
#include "cache/entry.h"
#include "cache/entry_seal.h"
#include "cache/store.h"
#include "rt/connect.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define DIMENSIONS 384
#define GETS       20000
#define AT_ONCE    64

struct bench {
    struct loop *loop;
    struct connector *connector;
    struct store *store;
    struct store_options options;
    uint64_t entries, visited, partitions;
    size_t answer_bytes;
    bool done;
};

static double since(uint64_t start_us)
{
    return (double)(clock_now_us() - start_us) / 1e6;
}

/* Resident memory, all and anonymous, MiB; from /proc/self/status. */
static void print_rss(const char *when)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];

    printf("  memory %s:", when);
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "RssAnon:", 8) == 0 ||
            strncmp(line, "RssFile:", 8) == 0)
            printf("  %.*s %.1f MiB", (int)(strchr(line, ':') - line), line,
                   strtod(strchr(line, ':') + 1, NULL) / 1024);
    printf("\n");
    if (f != NULL)
        fclose(f);
}

static struct digest key_of(uint64_t n)
{
    struct digest d;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t h = hash_bytes((struct span){(const char *)&n, sizeof(n)}, i);

        memcpy(d.bytes + 8 * i, &h, sizeof(h));
    }
    return d;
}

static struct entry *make(const struct bench *b, uint64_t n)
{
    static float vector[DIMENSIONS];
    static char answer[1 << 20];
    struct entry in = {.key = key_of(n),
                       .partition = key_of(n % b->partitions),
                       .created_ms = clock_wall_ms(),
                       .model = SPAN("model"),
                       .question = SPAN("what is it that this question is about?"),
                       .vector = vector,
                       .dimensions = DIMENSIONS,
                       .answer = {answer, b->answer_bytes}},
                 *e;

    in.expires_ms = in.created_ms + 86400 * 1000;
    memcpy(answer, &n, sizeof(n));
    for (size_t i = 0; i < DIMENSIONS; i += 32) {
        struct digest d = key_of(~(n * DIMENSIONS + i));

        for (size_t k = 0; k < 32; k++)
            vector[i + k] = (float)(d.bytes[k] - 127.5) * .0007f;
    }
    if (entry_new(&in, &e) != ST_OK)
        exit(1);
    return e;
}

struct tick {
    struct timer timer;
    struct loop *loop;
};

static void on_tick(struct timer *t)
{
    loop_stop(CONTAINER_OF(t, struct tick, timer)->loop);
}

static void run_for_ms(struct bench *b, unsigned ms)
{
    struct tick tick = {.loop = b->loop};

    timer_start(b->loop, &tick.timer, ms * 1000, on_tick);
    loop_ref(b->loop);
    loop_run(b->loop);
    loop_unref(b->loop);
    timer_stop(b->loop, &tick.timer);
}

static struct store_stats stats_of(struct bench *b)
{
    struct store_stats s;

    b->store->ops->stats(b->store, &s);
    return s;
}

static void open_store(struct bench *b)
{
    char why[160];
    uint64_t start_us = clock_now_us();

    if (store_open(b->loop, b->connector, &b->options, &b->store, why, sizeof(why)) != ST_OK) {
        fprintf(stderr, "store_bench: %s\n", why);
        exit(1);
    }
    printf("open: %.3f s, %llu entries\n", since(start_us),
           (unsigned long long)stats_of(b).entries);
    while (!stats_of(b).up && since(start_us) < 5)
        run_for_ms(b, 1);
}

static void on_closed(void *owner)
{
    ((struct bench *)owner)->done = true;
}

static void close_store(struct bench *b)
{
    uint64_t start_us = clock_now_us();

    b->done = false;
    b->store->ops->close(b->store, on_closed, b);
    while (!b->done)
        run_for_ms(b, 1);
    printf("close: %.3f s\n", since(start_us));
}

/* As fast as the store takes them, without a drop. */
static void put_all(struct bench *b)
{
    uint64_t start_us = clock_now_us(), ended = 0, in_puts_us = 0;
    struct store_stats s;

    for (uint64_t n = 0; n < b->entries; n++) {
        struct entry *e = make(b, n);
        uint64_t at_us = clock_now_us();

        b->store->ops->put(b->store, e);
        in_puts_us += clock_now_us() - at_us;
        entry_unref(e);
        while (n + 1 - ended >= b->options.queue_max / 2) {
            run_for_ms(b, 1);
            s = stats_of(b);
            ended = s.puts_total + s.errors_total + s.dropped_total;
        }
    }
    do {
        run_for_ms(b, 1);
        s = stats_of(b);
    } while (s.puts_total + s.errors_total + s.dropped_total < b->entries);
    printf(
        "put: %.0f a second, %.2f us each on the loop; %llu dropped, %llu failed, %.1f MiB\n",
        (double)b->entries / since(start_us), (double)in_puts_us / (double)b->entries,
        (unsigned long long)s.dropped_total, (unsigned long long)s.errors_total,
        (double)s.bytes / (1 << 20));
}

struct one {
    struct store_get get;
    struct bench *bench;
    uint64_t start_us;
    bool busy;
};

static double waits[GETS];
static unsigned waited, started, found;

static void start_get(struct one *o)
{
    uint64_t n = (started++ * 7919u) % o->bench->entries;

    o->get.key = key_of(n);
    o->start_us = clock_now_us();
    o->busy = o->bench->store->ops->get(o->bench->store, &o->get) == ST_OK;
}

static void on_got(struct store_get *op, enum status st, struct entry *e)
{
    struct one *o = CONTAINER_OF(op, struct one, get);

    found += st == ST_OK;
    entry_unref(e);
    if (waited < GETS)
        waits[waited++] = (double)(clock_now_us() - o->start_us);
    o->busy = false;
    if (started < GETS)
        start_get(o);
    else if (waited == GETS)
        loop_stop(o->bench->loop);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void get_some(struct bench *b, unsigned at_once)
{
    struct one one[AT_ONCE];
    uint64_t start_us = clock_now_us();

    waited = started = found = 0;
    for (unsigned i = 0; i < at_once; i++) {
        one[i] = (struct one){.get = {.done = on_got, .store = b->store}, .bench = b};
        start_get(&one[i]);
    }
    while (waited < GETS)
        run_for_ms(b, 1000);
    qsort(waits, GETS, sizeof(waits[0]), by_size);
    printf("get, %u at a time: %.0f a second, %u of %u found, p50 %.0f us, p99 %.0f us\n",
           at_once, GETS / since(start_us), found, GETS, waits[GETS / 2],
           waits[GETS * 99 / 100]);
}

static bool on_visit(void *owner, struct entry *e)
{
    (void)e;
    ((struct bench *)owner)->visited++;
    return true;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    (void)st;
    (void)entries;
    ((struct bench *)owner)->done = true;
}

static void scan_all(struct bench *b)
{
    uint64_t start_us = clock_now_us();

    b->done = false;
    b->visited = 0;
    if (b->store->ops->scan(b->store, on_visit, on_scanned, b) != ST_OK)
        return;
    while (!b->done)
        run_for_ms(b, 1);
    printf("scan: %.0f entries a second, %llu visited\n", (double)b->visited / since(start_us),
           (unsigned long long)b->visited);
}

/* What one entry costs on its way to the store and back, without the store. */
static void time_frames(const struct bench *b, const struct seal_ring *keys, const char *name)
{
    struct entry *e = make(b, 1), *back;
    struct buf frame;
    uint64_t start_us = clock_now_us();
    double encode_us;
    bool ok = true;

    buf_init(&frame, ENTRY_FRAME_BYTES_MAX);
    for (unsigned i = 0; i < GETS; i++) {
        buf_clear(&frame);
        ok &= entry_seal_encode(keys, e, &frame) == ST_OK;
    }
    encode_us = since(start_us) * 1e6 / GETS;
    start_us = clock_now_us();
    for (unsigned i = 0; ok && i < GETS; i++) {
        ok = entry_seal_decode(keys, buf_span(&frame), &back) == ST_OK;
        if (ok)
            entry_unref(back);
    }
    printf("frame, %s: %zu bytes, written in %.2f us, read in %.2f us%s\n", name, frame.len,
           encode_us, since(start_us) * 1e6 / GETS, ok ? "" : ": FAILED");
    buf_release(&frame);
    entry_unref(e);
}

/* Of one run. */
static bool make_key(struct seal_ring *out)
{
    uint8_t bytes[SEAL_KEY_BYTES];
    char hex[2 * SEAL_KEY_BYTES + 1], why[160];

    if (digest_random(bytes, sizeof(bytes)) != ST_OK)
        return false;
    digest_hex(bytes, sizeof(bytes), hex);
    return seal_read_keys(span_of(hex), out, why, sizeof(why)) == ST_OK;
}

int main(int argc, char **argv)
{
    struct seal_ring keys;
    const struct connector_options co = {.dns_ttl_max_s = 1};
    char folder[256] = "/tmp/ibid-bench-XXXXXX", path[300];
    struct bench b = {.entries = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000,
                      .answer_bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 2000,
                      .partitions = argc > 5 ? strtoull(argv[5], NULL, 10) : 1000};

    log_set_level(LOG_WARN);
    if (argc > 4)
        snprintf(folder, sizeof(folder), "%s", argv[4]);
    if (argc > 4 ? mkdir(folder, 0700) != 0 && errno != EEXIST : mkdtemp(folder) == NULL) {
        fprintf(stderr, "store_bench: cannot make '%s'\n", folder);
        return 1;
    }
    b.options = (struct store_options){.url = argc > 1 ? argv[1] : "lmdb:",
                                       .data_dir = folder,
                                       .entries_max = 1u << 30,
                                       .bytes_max = (uint64_t)64 << 30,
                                       .deadline_ms = 1000,
                                       .queue_max = 4096,
                                       .prefix = "ibid-bench:"};
    if (loop_open(&b.loop) != ST_OK || connector_open(b.loop, &co, &b.connector) != ST_OK)
        return 1;
    if (!make_key(&keys))
        return 1;
    time_frames(&b, NULL, "in the clear");
    time_frames(&b, &keys, "sealed");
    if (getenv("IBID_BENCH_SEAL") != NULL)
        b.options.seal = &keys;
    open_store(&b);
    print_rss("empty");
    put_all(&b);
    print_rss("after puts");
    close_store(&b);
    open_store(&b);
    print_rss("after opening");
    get_some(&b, 1);
    get_some(&b, AT_ONCE);
    print_rss("after gets");
    scan_all(&b);
    print_rss("after a scan");
    close_store(&b);
    connector_close(b.connector);
    loop_run(b.loop);
    if (argc <= 4) {
        static const char *const names[] = {"entries.lmdb", "entries.lmdb-lock",
                                            "entries.lock"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
            unlink(path);
        }
        rmdir(folder);
    }
    return loop_close(b.loop) == ST_OK ? 0 : 1;
}
