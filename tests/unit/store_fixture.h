/* What the tests of stores share: a loop with a store in a folder of its own, and
 * calls that wait for their answer. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/entry.h"
#include "cache/store.h"

struct connector;
struct loop;

struct fixture {
    struct loop *loop;
    struct connector *connector;
    struct store *store;
    struct store_options options;
    char folder[64];
    char url[128];
    char why[160];
    uint64_t lost;
    struct digest last_lost;
};

/* A temporary folder, a loop and default options; no store yet. */
void store_fixture_init(struct fixture *f, const char *url);
void store_fixture_release(struct fixture *f);

void store_fixture_open(struct fixture *f);
enum status store_fixture_try_open(struct fixture *f);
void store_fixture_close(struct fixture *f);

/* Runs the loop until `done` says so; fails the test after a minute. */
void store_fixture_wait(struct fixture *f, bool (*done)(struct fixture *f, uint64_t arg),
                        uint64_t arg);
/* Until it answers, if it is not there at once. */
void store_fixture_wait_up(struct fixture *f);
/* Until this many puts ended, one way or another. */
void store_fixture_settle(struct fixture *f, uint64_t puts);

/* Entry number n: everything about it follows from n; its tenant is the key of n % 3, and it
 * was created at 1000 + n ms. */
struct entry *store_fixture_entry(uint64_t n, size_t answer_bytes, uint64_t expires_ms);
struct digest store_fixture_key(uint64_t n);
struct digest store_fixture_partition(uint64_t n);
bool store_fixture_is(const struct entry *e, uint64_t n);

void store_fixture_put(struct fixture *f, uint64_t n, size_t answer_bytes);
void store_fixture_put_until(struct fixture *f, uint64_t n, size_t answer_bytes,
                             uint64_t expires_ms);
/* The entry is checked to be number n. */
enum status store_fixture_get(struct fixture *f, uint64_t n);
enum status store_fixture_scan(struct fixture *f, uint64_t stop_after, uint64_t *visited);
struct store_stats store_fixture_stats(struct fixture *f);

#endif
