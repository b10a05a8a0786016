#include "admin/metrics_heap.h"

#include <inttypes.h>

#include "rt/heap_keeper.h"

enum status metrics_heap_write(struct buf *out, struct heap_keeper *heap)
{
    struct heap_keeper_stats s;
    enum status st;

    if (heap == NULL)
        return ST_OK;
    heap_keeper_stats(heap, &s);
    if (s.trims_total == 0)
        return ST_OK; /* nothing is known yet */
    st = buf_printf(out,
                    "# HELP ibid_heap_bytes What the allocator has: in use, and free "
                    "(resident or given back); models mapped from files are not in it.\n"
                    "# TYPE ibid_heap_bytes gauge\n"
                    "ibid_heap_bytes{state=\"used\"} %" PRIu64 "\n"
                    "ibid_heap_bytes{state=\"free\"} %" PRIu64 "\n",
                    s.used_bytes, s.free_bytes);
    if (st == ST_OK)
        st = buf_printf(out,
                        "# HELP ibid_heap_returns_total Times that free memory was given back "
                        "to the system.\n"
                        "# TYPE ibid_heap_returns_total counter\n"
                        "ibid_heap_returns_total %" PRIu64 "\n",
                        s.trims_total);
    if (st == ST_OK)
        st = buf_printf(out,
                        "# HELP ibid_heap_return_seconds_max The longest of them.\n"
                        "# TYPE ibid_heap_return_seconds_max gauge\n"
                        "ibid_heap_return_seconds_max %.6f\n",
                        (double)s.us_max / 1e6);
    return st;
}
