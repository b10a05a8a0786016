/* What only the embedded store has: bounds, a file that may be damaged, a folder
 * that may be taken, a disk that may be full. */
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/store_lmdb_check.h"
#include "check.h"
#include "rt/loop.h"
#include "store_fixture.h"

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    store_fixture_init(&f, "lmdb:");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_fixture_release(&f);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", f.folder, name);
    return path;
}

static uint64_t file_bytes(const char *name)
{
    struct stat st;

    return stat(path_of(name), &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* --- bounds ------------------------------------------------------------------------------ */

static void the_oldest_entries_go_first(void **state)
{
    struct store_stats s;

    (void)state;
    f.options.entries_max = 100;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 300; i++)
        store_fixture_put(&f, i, 100);
    store_fixture_settle(&f, 300);
    s = store_fixture_stats(&f);
    assert_int_equal(s.entries, 100);
    assert_int_equal(s.evictions_total, 200);
    assert_int_equal(f.lost, 200);
    for (unsigned i = 0; i < 300; i++)
        CHECK_STATUS(i < 200 ? ST_NOTFOUND : ST_OK, store_fixture_get(&f, i));
    store_fixture_close(&f);
    f.options.entries_max = 10; /* smaller than what is there */
    store_fixture_open(&f);
    assert_int_equal(store_fixture_stats(&f).entries, 100);
    store_fixture_put(&f, 1000, 100);
    store_fixture_settle(&f, 1);
    assert_int_equal(store_fixture_stats(&f).entries, 10);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 1000));
}

static void bytes_are_bounded_and_the_file_with_them(void **state)
{
    struct store_stats s;

    (void)state;
    f.options.bytes_max = 2u << 20;
    f.options.queue_max = 8192;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 6000; i++) {
        store_fixture_put(&f, i, i % 10 * 1500);
        if (i % 50 == 0)
            store_fixture_settle(&f, i + 1);
    }
    store_fixture_settle(&f, 6000);
    s = store_fixture_stats(&f);
    assert_int_equal(s.errors_total + s.dropped_total, 0);
    assert_true(s.bytes <= f.options.bytes_max);
    assert_true(s.entries > 100);
    assert_int_equal(s.entries + s.evictions_total, 6000);
    assert_true(file_bytes("entries.lmdb") < 2 * f.options.bytes_max);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 5999));
}

static void what_is_larger_than_the_store_is_dropped(void **state)
{
    (void)state;
    f.options.bytes_max = 1u << 20;
    store_fixture_open(&f);
    store_fixture_put(&f, 1, 2u << 20);
    assert_int_equal(store_fixture_stats(&f).dropped_total, 1);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
}

static void a_full_queue_drops_and_counts(void **state)
{
    struct store_stats s;

    (void)state;
    f.options.queue_max = 4;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 100; i++)
        store_fixture_put(&f, i, 1000);
    store_fixture_settle(&f, 100);
    s = store_fixture_stats(&f);
    assert_int_equal(s.puts_total, 4);
    assert_int_equal(s.dropped_total, 96);
    for (unsigned i = 0; i < 100; i++)
        CHECK_STATUS(i < 4 ? ST_OK : ST_NOTFOUND, store_fixture_get(&f, i));
}

static void the_queue_is_bounded_in_bytes_too(void **state)
{
    struct store_stats s;

    (void)state;
    f.options.bytes_max = 1u << 30;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 40; i++)
        store_fixture_put(&f, i, 4u << 20);
    store_fixture_settle(&f, 40);
    s = store_fixture_stats(&f);
    assert_true(s.dropped_total >= 20 && s.puts_total >= 10);
    assert_int_equal(s.errors_total, 0);
}

/* Of one turn of the loop, more than go to the writer in one piece; closed in that very turn.
 */
static void a_turns_writes_keep_their_order(void **state)
{
    struct digest key = store_fixture_key(7);

    (void)state;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 40; i++)
        store_fixture_put(&f, i, 100);
    store_fixture_put(&f, 5, 200); /* another entry of the same key */
    CHECK_STATUS(ST_OK, f.store->ops->remove(f.store, &key));
    store_fixture_put(&f, 40, 100);
    store_fixture_close(&f);
    store_fixture_open(&f);
    assert_int_equal(store_fixture_stats(&f).entries, 40);
    for (unsigned i = 0; i <= 40; i++)
        CHECK_STATUS(i == 7 ? ST_NOTFOUND : ST_OK, store_fixture_get(&f, i));
}

/* As many removals as may wait: what is put behind them is not taken. */
static bool fill_with_removals(unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        struct digest key = store_fixture_key(i);

        if (f.store->ops->remove(f.store, &key) != ST_OK)
            return true;
    }
    return false;
}

/* Whether the writer comes in between, nobody can say: again until it does not. */
static void what_the_writer_refuses_is_counted_and_forgotten(void **state)
{
    const unsigned entries = 3000, tries = 200;
    struct store_stats s;

    (void)state;
    for (unsigned i = 0; i < tries; i++) {
        f.options.queue_max = entries;
        store_fixture_open(&f);
        for (unsigned n = 0; n < entries; n++)
            store_fixture_put(&f, n, 10);
        store_fixture_settle(&f, entries);
        store_fixture_close(&f);
        f.options.queue_max = 1;
        store_fixture_open(&f);
        if (fill_with_removals(entries)) {
            store_fixture_put(&f, entries, 10);
            store_fixture_settle(&f, 1);
            s = store_fixture_stats(&f);
            assert_int_equal(s.puts_total + s.dropped_total, 1);
            CHECK_STATUS(s.dropped_total > 0 ? ST_NOTFOUND : ST_OK,
                         store_fixture_get(&f, entries));
            if (s.dropped_total > 0)
                return;
        }
        store_fixture_close(&f);
    }
    fail_msg("the writer always came in between");
}

/* Only what runs on the loop's clock; the entries' own time is the wall's. */
static void expired_entries_leave_without_being_asked_for(void **state)
{
    uint64_t soon = clock_wall_ms() + 20;

    (void)state;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 10; i++)
        store_fixture_put_until(&f, i, 10, soon);
    store_fixture_settle(&f, 10);
    while (clock_wall_ms() <= soon)
        loop_turn(f.loop);
    loop_set_now_us(f.loop, loop_now_us(f.loop) + 60u * 1000 * 1000);
    loop_run(f.loop);
    assert_int_equal(store_fixture_stats(&f).entries, 0);
    assert_int_equal(f.lost, 10);
    assert_int_equal(store_fixture_stats(&f).evictions_total, 0);
}

/* --- damage ------------------------------------------------------------------------------ */

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *out = fopen(path_of(name), "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

static size_t read_file(const char *name, char **out)
{
    size_t n = file_bytes(name);
    FILE *in = fopen(path_of(name), "rb");

    *out = malloc(n + 1);
    assert_non_null(in);
    assert_non_null(*out);
    assert_int_equal(fread(*out, 1, n, in), n);
    fclose(in);
    return n;
}

/* The store opens, empty or not, and works. */
static void check_usable(bool set_aside)
{
    store_fixture_open(&f);
    if ((file_bytes("entries.lmdb.bad") > 0) != set_aside)
        fail_msg("set aside: want %d", set_aside);
    store_fixture_put(&f, 9999, 10);
    store_fixture_settle(&f, 1);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 9999));
    store_fixture_close(&f);
    unlink(path_of("entries.lmdb.bad"));
}

static void a_file_that_is_none_is_set_aside(void **state)
{
    char junk[10000];

    (void)state;
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (char)(i * 7919 >> 3);
    write_file("entries.lmdb", junk, sizeof(junk));
    check_usable(true);
    write_file("entries.lmdb", "hello\n", 6);
    check_usable(true);
    write_file("entries.lmdb", "", 0);
    check_usable(false);
}

static void a_file_that_was_cut_is_set_aside(void **state)
{
    char *whole;
    size_t n;

    (void)state;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 200; i++)
        store_fixture_put(&f, i, 3000);
    store_fixture_settle(&f, 200);
    store_fixture_close(&f);
    n = read_file("entries.lmdb", &whole);
    assert_true(n > 100000);
    for (size_t cut = 1; cut < n; cut += n / 37) {
        write_file("entries.lmdb", whole, cut);
        check_usable(true);
    }
    write_file("entries.lmdb", whole, n);
    check_usable(false);
    free(whole);
}

/* Which of the file's pages are free, by LMDB itself; how many it counts in all. */
static size_t free_pages(bool *is_free, size_t room)
{
    MDB_val key, value;
    MDB_envinfo info;
    MDB_cursor *c;
    MDB_env *env;
    MDB_txn *txn;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(
        mdb_env_open(env, path_of("entries.lmdb"), MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_env_info(env, &info), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_cursor_open(txn, 0, &c), 0); /* 0: the tree of free pages */
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        const size_t *list = value.mv_data;

        for (size_t i = 1; i <= list[0]; i++) {
            assert_true(list[i] < room);
            is_free[list[i]] = true;
        }
    }
    mdb_cursor_close(c);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return info.me_last_pgno + 1;
}

/* A transaction that takes pages and gives them back never writes them: then the file ends
 * before the last page that it counts, and nothing is missing. */
static void a_file_without_its_last_free_pages_is_whole(void **state)
{
    static bool is_free[4096];
    size_t pages, kept, n;
    uint64_t visited;
    char *whole;

    (void)state;
    memset(is_free, 0, sizeof(is_free));
    store_fixture_open(&f);
    for (unsigned i = 0; i < 300; i++)
        store_fixture_put(&f, i, 3000);
    store_fixture_settle(&f, 300);
    for (unsigned i = 100; i < 300; i++) {
        struct digest key = store_fixture_key(i);

        CHECK_STATUS(ST_OK, f.store->ops->remove(f.store, &key));
    }
    /* Commits that move what is in use from the end of the file to pages that are free now. */
    for (unsigned i = 0; i < 8; i++) {
        store_fixture_put(&f, 300 + i, 10);
        store_fixture_settle(&f, 301 + i);
    }
    store_fixture_close(&f);
    pages = free_pages(is_free, ARRAY_LEN(is_free));
    n = read_file("entries.lmdb", &whole);
    for (kept = pages; is_free[kept - 1]; kept--)
        ;
    assert_true(pages - kept > 10);
    write_file("entries.lmdb", whole, kept * 4096);
    store_fixture_open(&f);
    store_fixture_wait_up(&f);
    CHECK_STATUS(ST_OK, store_fixture_scan(&f, UINT64_MAX, &visited));
    assert_int_equal(visited, 108);
    for (unsigned i = 400; i < 500; i++) /* what was not there can be used */
        store_fixture_put(&f, i, 3000);
    store_fixture_settle(&f, 100);
    CHECK_STATUS(ST_OK, store_fixture_scan(&f, UINT64_MAX, &visited));
    assert_int_equal(visited, 208);
    store_fixture_close(&f);
    assert_int_equal(access(path_of("entries.lmdb.bad"), F_OK), -1);
    /* One page more is one that is in use. */
    write_file("entries.lmdb", whole, (kept - 1) * 4096);
    check_usable(true);
    assert_true(n >= kept * 4096);
    free(whole);
}

static void another_programs_database_is_set_aside(void **state)
{
    char text[] = "not ours";
    MDB_val v = {sizeof(text), text};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    (void)state;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path_of("entries.lmdb"), MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &v, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    check_usable(true);
}

/* Values among the keys, many in one transaction: their pages lie anywhere in memory then,
 * and where a value lies must not be taken for what it is. */
static void small_entries_are_replaced_again_and_again(void **state)
{
    enum { KEYS = 100, ROUNDS = 400 };

    (void)state;
    store_fixture_open(&f);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < KEYS; i++)
            store_fixture_put(&f, i, (round * 7 + i * 13) % 1200);
        store_fixture_settle(&f, (round + 1) * KEYS);
    }
    assert_int_equal(store_fixture_stats(&f).errors_total, 0);
    assert_int_equal(store_fixture_stats(&f).puts_total, KEYS * ROUNDS);
    assert_int_equal(store_fixture_stats(&f).entries, KEYS);
    store_fixture_close(&f);
}

/* Some 40 commits that write, replace and evict leave a tree with branches, values on
 * pages of their own and a list of free pages. */
static size_t write_tree(char **whole)
{
    const char *why = "";

    f.options.entries_max = 1500;
    store_fixture_open(&f);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 60; i++)
            store_fixture_put(&f, round * 50 + i, i % 7 == 0 ? 9000 : 100);
        store_fixture_settle(&f, (round + 1) * 60);
        /* While it is open, too: what was committed is whole. */
        if (store_lmdb_check(path_of("entries.lmdb"), &why) != ST_OK)
            fail_msg("round %u: %s", round, why);
    }
    store_fixture_close(&f);
    return read_file("entries.lmdb", whole);
}

static void a_whole_file_is_found_whole(void **state)
{
    const char *why = "";
    char *whole;

    (void)state;
    write_tree(&whole);
    CHECK_STATUS(ST_OK, store_lmdb_check(path_of("entries.lmdb"), &why));
    CHECK_STATUS(ST_OK, store_lmdb_check(path_of("no such file"), &why));
    store_fixture_open(&f);
    assert_int_equal(store_fixture_stats(&f).entries, 1500);
    store_fixture_close(&f);
    assert_int_equal(file_bytes("entries.lmdb.bad"), 0);
    free(whole);
}

/* Whichever bit of a page of the tree: found, or harmless. LMDB itself would crash. */
static void a_damaged_tree_is_no_crash(void **state)
{
    unsigned random = 1, set_aside = 0;
    const char *why = "";
    char *whole;
    size_t n, page;

    (void)state;
    n = write_tree(&whole);
    for (unsigned round = 0; round < 400; round++) {
        size_t at;

        do {
            random = random * 1103515245u + 12345u;
            page = (random >> 8) % (n / 4096) * 4096;
        } while (page >= 8192 && whole[page + 10] != 1 && whole[page + 10] != 2);
        random = random * 1103515245u + 12345u;
        /* Heads and tables of pages more often than what is behind them. */
        at = page + (random >> 8) % (round % 2 == 0 ? 64 : 4096);
        whole[at] = (char)(whole[at] ^ 1 << (round & 7));
        write_file("entries.lmdb", whole, n);
        whole[at] = (char)(whole[at] ^ 1 << (round & 7));
        set_aside += store_lmdb_check(path_of("entries.lmdb"), &why) == ST_INVALID;
        if (round % 4 == 0) {
            store_fixture_open(&f);
            store_fixture_put(&f, 9999, 10);
            store_fixture_settle(&f, 1);
            CHECK_STATUS(ST_OK, store_fixture_get(&f, 9999));
            store_fixture_close(&f);
            unlink(path_of("entries.lmdb.bad"));
        }
    }
    /* Many rounds hit what matters, or there is no check. */
    assert_true(set_aside > 30);
    free(whole);
}

static void a_damaged_answer_is_a_miss(void **state)
{
    char *bytes, pattern[65];
    size_t n, at = 0;

    (void)state;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 3; i++)
        store_fixture_put(&f, i, 5000);
    store_fixture_settle(&f, 3);
    store_fixture_close(&f);
    n = read_file("entries.lmdb", &bytes);
    for (unsigned i = 0; i < 64; i++)
        pattern[i] = (char)('a' + (1 + i) % 26);
    while (at + 64 < n && memcmp(bytes + at, pattern, 64) != 0)
        at++;
    assert_true(at + 64 < n);
    /* The pattern of every entry is in every other one, shifted: find the start. */
    while (memcmp(bytes + at - 11, "question 1", 10) != 0 &&
           memcmp(bytes + at - 10, "question 1", 10) != 0 && at + 64 < n)
        at++;
    assert_true(at + 64 < n);
    bytes[at + 1000] ^= 1;
    write_file("entries.lmdb", bytes, n);
    free(bytes);
    store_fixture_open(&f);
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 0));
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    CHECK_STATUS(ST_OK, store_fixture_get(&f, 2));
    assert_int_equal(store_fixture_stats(&f).corrupt_total, 1);
    assert_int_equal(store_fixture_stats(&f).entries, 2);
    assert_int_equal(f.lost, 1);
    CHECK_STATUS(ST_NOTFOUND, store_fixture_get(&f, 1));
    assert_int_equal(store_fixture_stats(&f).corrupt_total, 1);
}

/* --- the machine ------------------------------------------------------------------------- */

/* Runs `body` in a process of its own; what it returns is its exit status. */
static void in_child(int (*body)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(body());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        fail_msg("the child says %d", WEXITSTATUS(status));
}

static int try_folder_in_use(void)
{
    enum status st = store_fixture_try_open(&f);
    char want[64];

    snprintf(want, sizeof(want), "in use by process %ld", (long)getppid());
    if (st != ST_UNAVAILABLE)
        return 1;
    return strstr(f.why, want) != NULL ? 0 : 2;
}

static void a_second_process_is_refused(void **state)
{
    (void)state;
    /* The lock is taken as the store takes it, without the store's threads, which
     * a fork would not take along. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path_of("entries.lock"), O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
    in_child(try_folder_in_use);
    close(fd);
    store_fixture_open(&f);
}

static void a_folder_that_can_not_be_is_an_error(void **state)
{
    (void)state;
    snprintf(f.url, sizeof(f.url), "lmdb:/dev/null/ibid");
    CHECK_STATUS(ST_UNAVAILABLE, store_fixture_try_open(&f));
    assert_true(strstr(f.why, "/dev/null/ibid") != NULL);
    snprintf(f.url, sizeof(f.url), "lmdb:%s/deeper", f.folder);
    store_fixture_open(&f);
    store_fixture_close(&f);
    unlink(path_of("deeper/entries.lmdb"));
    unlink(path_of("deeper/entries.lmdb-lock"));
    unlink(path_of("deeper/entries.lock"));
    assert_int_equal(rmdir(path_of("deeper")), 0);
}

/* A file that may not grow stands for a disk that is full. */
static int write_on_a_full_disk(void)
{
    const struct rlimit limit = {1u << 20, 1u << 20};
    struct store_stats s;
    unsigned put = 0;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    store_fixture_open(&f);
    for (; put < 3000; put++) {
        store_fixture_put(&f, put, 3000);
        if (put % 20 == 19)
            store_fixture_settle(&f, put + 1);
    }
    s = store_fixture_stats(&f);
    if (s.puts_total < 100 || s.dropped_total > 0)
        return 1;
    if (s.puts_total + s.errors_total != 3000)
        return 2;
    if (s.errors_total > 0 && s.up)
        return 3;
    for (unsigned i = 0; i < put; i++)
        if (store_fixture_get(&f, i) == ST_OK)
            return s.corrupt_total == 0 ? 0 : 4;
    return 5; /* nothing at all can be read any more */
}

static void a_full_disk_costs_entries_only(void **state)
{
    (void)state;
    in_child(write_on_a_full_disk);
    check_usable(false); /* and the file is whole when there is room again */
}

/* No room for the map that the bounds ask for: a smaller one, used in turns. */
static int write_with_little_address_space(void)
{
    const struct rlimit limit = {400u << 20, 400u << 20};
    struct store_stats s;

    f.options.bytes_max = (uint64_t)64 << 30;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 1;
    store_fixture_open(&f);
    for (unsigned i = 0; i < 3000; i++) {
        store_fixture_put(&f, i, 200000);
        if (i % 10 == 9)
            store_fixture_settle(&f, i + 1);
    }
    s = store_fixture_stats(&f);
    if (s.errors_total + s.dropped_total > 0)
        return 2;
    if (s.evictions_total == 0 || s.entries < 200)
        return 3;
    return store_fixture_get(&f, 2999) == ST_OK ? 0 : 4;
}

static void little_address_space_makes_a_smaller_store(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their shadow memory is larger than any such limit */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    in_child(write_with_little_address_space);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_oldest_entries_go_first),
        CASE(bytes_are_bounded_and_the_file_with_them),
        CASE(what_is_larger_than_the_store_is_dropped),
        CASE(a_full_queue_drops_and_counts),
        CASE(a_turns_writes_keep_their_order),
        CASE(what_the_writer_refuses_is_counted_and_forgotten),
        CASE(the_queue_is_bounded_in_bytes_too),
        CASE(expired_entries_leave_without_being_asked_for),
        CASE(a_file_that_is_none_is_set_aside),
        CASE(a_file_that_was_cut_is_set_aside),
        CASE(a_file_without_its_last_free_pages_is_whole),
        CASE(another_programs_database_is_set_aside),
        CASE(small_entries_are_replaced_again_and_again),
        CASE(a_whole_file_is_found_whole),
        CASE(a_damaged_tree_is_no_crash),
        CASE(a_damaged_answer_is_a_miss),
        CASE(a_second_process_is_refused),
        CASE(a_folder_that_can_not_be_is_an_error),
        CASE(a_full_disk_costs_entries_only),
        CASE(little_address_space_makes_a_smaller_store),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
