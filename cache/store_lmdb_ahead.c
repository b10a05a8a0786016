#define _DEFAULT_SOURCE /* madvise() */
#include "cache/store_lmdb_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

static void ask(uintptr_t from, uintptr_t to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    from -= from % page;
    /* Beyond the map's end the rest is refused, what is within it is read. */
    (void)!madvise((void *)from, to - from, MADV_WILLNEED);
}

void store_lmdb_ahead(struct store_lmdb_ahead *a, const void *at)
{
    uintptr_t here = (uintptr_t)at;

    if (here < a->from || here >= a->to) {
        a->from = here;
        a->to = here + STORE_LMDB_AHEAD_FIRST;
        ask(a->from, a->to);
        return;
    }
    /* Each time twice as far as it has come since the jump, so that little is read for
     * nothing where records lie in no order. */
    if (a->to - here <= (a->to - a->from) / 2) {
        size_t more = 2 * (a->to - a->from);

        more = more < STORE_LMDB_AHEAD_BYTES ? more : STORE_LMDB_AHEAD_BYTES;
        ask(a->to, here + more);
        a->from = here;
        a->to = here + more;
    }
}
