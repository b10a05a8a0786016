/* /admin/v1/latency: how long requests took, by who answered and by step, in the buckets of
 * /metrics; the counts are of each bucket alone. */
#include "admin/admin.h"
#include "admin/views.h"
#include "base/json_writer.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"

static void write_histogram(struct json_writer *p, const char *name,
                            const struct account_histogram *h)
{
    json_writer_open(p, name, '{');
    json_writer_u64(p, "total", h->total);
    json_writer_real(p, "sum_seconds", h->sum_s);
    json_writer_open(p, "counts", '[');
    for (unsigned i = 0; i < ACCOUNT_BUCKETS; i++)
        json_writer_u64(p, NULL, h->count[i]);
    json_writer_close(p, ']');
    json_writer_close(p, '}');
}

enum status views_latency(struct buf *out, const struct admin_view *v)
{
    const struct account *a = &v->proxy->account;
    struct json_writer p = {out, ST_OK, false};

    json_writer_open(&p, NULL, '{');
    json_writer_open(&p, "bounds_seconds", '[');
    for (unsigned i = 0; i < ACCOUNT_BUCKETS - 1; i++)
        json_writer_real(&p, NULL, account_bounds_s[i]);
    json_writer_close(&p, ']');
    json_writer_open(&p, "sources", '{');
    for (unsigned i = SOURCE_EXACT; i < SOURCE_COUNT; i++)
        write_histogram(&p, source_name((enum source)i), &a->latency[i]);
    json_writer_close(&p, '}');
    json_writer_open(&p, "steps", '{');
    for (unsigned i = 0; pipeline_step_name(i) != NULL; i++)
        write_histogram(&p, pipeline_step_name(i), &a->step[i]);
    json_writer_close(&p, '}');
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}
