/* /admin/v1/policy: what the policy `bounded` has learned. */
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/views.h"
#include "base/json_writer.h"
#include "cache/bounded.h"
#include "cache/cache.h"
#include "config/config.h"
#include "proxy/proxy.h"

#define SHOWN 50 /* partitions, those with the most requests */

static void write_model(struct json_writer *p, const char *name, const struct bounded *b,
                        const struct bounded_model *m)
{
    char hex[2 * DIGEST_BYTES + 1];

    json_writer_open(p, name, '{');
    digest_hex(m->partition.bytes, DIGEST_BYTES, hex);
    if (name == NULL)
        json_writer_text(p, "partition", span_of(hex));
    json_writer_u64(p, "requests", m->requests_total);
    json_writer_u64(p, "served", m->served_total);
    json_writer_u64(p, "explored", m->explored_total);
    json_writer_u64(p, "drifts", m->drifts_total);
    json_writer_u64(p, "same", m->same_total);
    json_writer_u64(p, "other", m->other_total);
    json_writer_real(p, "threshold", bounded_threshold(b, m));
    json_writer_real(p, "expected_error", m->spent / m->requests);
    json_writer_open(p, "weights", '[');
    for (int i = 0; i < LOGISTIC_INPUTS; i++)
        json_writer_real(p, NULL, m->logistic.weight[i]);
    json_writer_close(p, ']');
    json_writer_close(p, '}');
}

static int most_requests_first(const void *x, const void *y)
{
    const struct bounded_model *a = x, *b = y;

    return (a->requests_total < b->requests_total) - (a->requests_total > b->requests_total);
}

static void write_partitions(struct json_writer *p, struct bounded *b, size_t count)
{
    struct bounded_model *models = calloc(count + 1, sizeof(*models));
    size_t n = models != NULL ? bounded_models(b, models, count) : 0;

    json_writer_open(p, "partitions", '[');
    if (n > 0)
        qsort(models, n, sizeof(*models), most_requests_first);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        write_model(p, NULL, b, &models[i]);
    json_writer_close(p, ']');
    free(models);
}

enum status views_policy(struct buf *out, const struct admin_view *v)
{
    const struct config *c = v->proxy->parts.config;
    struct bounded *b = cache_bounded(v->proxy->parts.cache);
    struct json_writer p = {out, ST_OK, false};
    struct bounded_stats s;

    json_writer_open(&p, NULL, '{');
    json_writer_text(&p, "policy", span_of(c->cache.policy));
    if (b != NULL) {
        bounded_stats(b, &s);
        json_writer_real(&p, "error_max", c->cache.error_max);
        json_writer_u64(&p, "partition_count", s.partitions);
        json_writer_u64(&p, "grouped_answers", s.groups);
        write_model(&p, "all", b, &s.all);
        write_partitions(&p, b, s.partitions);
    } else {
        json_writer_real(&p, "threshold", c->cache.threshold);
    }
    json_writer_close(&p, '}');
    json_writer_raw(&p, SPAN("\n"));
    return p.st;
}
