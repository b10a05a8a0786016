/* Open addressing with linear probing; removal shifts back, so that there are no
 * tombstones to clean up. At most 3/4 full. */
#define _DEFAULT_SOURCE /* madvise() with MADV_HUGEPAGE */
#include "cache/keyset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_FIRST     1024
#define HUGE_PAGE_BYTES ((size_t)2 * 1024 * 1024)

void keyset_init(struct keyset *k)
{
    *k = (struct keyset){.slot = NULL};
}

void keyset_release(struct keyset *k)
{
    free(k->slot);
    keyset_init(k);
}

static uint64_t print_of(const struct digest *key)
{
    uint64_t print;

    memcpy(&print, key->bytes, sizeof(print));
    return print;
}

/* Fibonacci hashing: keys of tests differ in few bits only. */
static size_t home_of(const struct keyset *k, uint64_t print)
{
    return (size_t)((print * 0x9e3779b97f4a7c15u) >> 32) & (k->slots - 1);
}

/* The slot of `print`, or the empty one where it belongs. */
static size_t probe(const struct keyset *k, uint64_t print)
{
    size_t i = home_of(k, print);

    while (k->slot[i].number != 0 && k->slot[i].print != print)
        i = (i + 1) & (k->slots - 1);
    return i;
}

void keyset_expect(const struct keyset *k, const struct digest *key)
{
    if (k->slots > 0)
        __builtin_prefetch(&k->slot[home_of(k, print_of(key))]);
}

uint64_t keyset_find(const struct keyset *k, const struct digest *key)
{
    return k->used == 0 ? 0 : k->slot[probe(k, print_of(key))].number;
}

/* Keys are looked for all over the table. Where it is large, and pages are too, a look does not
 * cost a walk through the page tables beside the slot itself. */
static struct keyset_slot *new_table(size_t slots)
{
    size_t bytes = slots * sizeof(struct keyset_slot);
    void *p;

    if (bytes < HUGE_PAGE_BYTES)
        return calloc(slots, sizeof(struct keyset_slot));
    p = aligned_alloc(HUGE_PAGE_BYTES, bytes); /* both are powers of two */
    if (p == NULL)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)!madvise(p, bytes, MADV_HUGEPAGE); /* only a wish */
#endif
    memset(p, 0, bytes);
    return p;
}

static enum status grow(struct keyset *k)
{
    struct keyset bigger = {.slots = k->slots == 0 ? SLOTS_FIRST : k->slots * 2};

    bigger.slot = new_table(bigger.slots);
    if (bigger.slot == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < k->slots; i++)
        if (k->slot[i].number != 0)
            bigger.slot[probe(&bigger, k->slot[i].print)] = k->slot[i];
    bigger.used = k->used;
    free(k->slot);
    *k = bigger;
    return ST_OK;
}

enum status keyset_set(struct keyset *k, const struct digest *key, uint64_t number)
{
    uint64_t print = print_of(key);
    size_t i;

    assert(number != 0);
    if (k->used >= k->slots / 4 * 3) {
        enum status st = grow(k);

        if (st != ST_OK)
            return st;
    }
    i = probe(k, print);
    if (k->slot[i].number == 0)
        k->used++;
    k->slot[i] = (struct keyset_slot){.print = print, .number = number};
    return ST_OK;
}

/* Moves back what only stands where it does because slot `hole` was taken. */
static void close_gap(struct keyset *k, size_t hole)
{
    size_t mask = k->slots - 1, i = hole;

    for (;;) {
        size_t home;

        i = (i + 1) & mask;
        if (k->slot[i].number == 0)
            break;
        home = home_of(k, k->slot[i].print);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            k->slot[hole] = k->slot[i];
            hole = i;
        }
    }
    k->slot[hole].number = 0;
}

bool keyset_remove(struct keyset *k, const struct digest *key, uint64_t number)
{
    size_t i;

    if (k->used == 0)
        return false;
    i = probe(k, print_of(key));
    if (k->slot[i].number != number || number == 0)
        return false;
    close_gap(k, i);
    k->used--;
    return true;
}
