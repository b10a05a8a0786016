#include "cache/index_nearest.h"

#include "base/status.h"
#include "cache/index_large.h"

/* Asked of a structure beyond k: its codes are coarser than our bytes, and some of what it
 * names may be gone. */
#define EXTRA 24
/* Its similarities may be off by so much. */
#define CODES_ERROR 0.02f

struct search {
    const struct index_partition *p;
    const struct index_items *items;
    const struct index_query *q;
    struct index_nearest *best;
};

/* What must be exceeded to be among the best. */
static float bar(const struct search *s)
{
    return s->best->n == s->q->k ? s->best->similarity[s->best->n - 1] : -2;
}

static void offer(struct search *s, uint32_t item, float similarity)
{
    struct index_nearest *b = s->best;
    size_t i;

    if (item == INDEX_ITEM_NONE || similarity < s->q->floor || similarity <= bar(s) ||
        index_items_at(s->items, item)->expires_ms <= s->q->now_ms)
        return;
    for (i = 0; i < b->n; i++) {
        if (b->items[i] == item)
            return; /* named twice */
    }
    i = b->n < s->q->k ? b->n++ : s->q->k - 1;
    for (; i > 0 && b->similarity[i - 1] < similarity; i--) {
        b->similarity[i] = b->similarity[i - 1];
        b->items[i] = b->items[i - 1];
    }
    b->similarity[i] = similarity;
    b->items[i] = item;
}

/* Positions from..count, one after the other. */
static void scan(struct search *s, size_t from)
{
    const struct index_run *r = &s->p->run;
    float similarity[INDEX_RUN_CHUNK];

    while (from < r->count) {
        const struct index_chunk *c = &r->chunks[from / INDEX_RUN_CHUNK];
        size_t i = from % INDEX_RUN_CHUNK, n = INDEX_RUN_CHUNK - i;

        n = n < r->count - from ? n : r->count - from;
        vector_scan(&s->q->bytes, c->vectors + i * r->dims, c->scales + i, c->sums + i, n,
                    r->dims, similarity);
        for (size_t j = 0; j < n; j++) {
            if (similarity[j] >= s->q->floor)
                offer(s, c->items[i + j], similarity[j]);
        }
        from += n;
    }
}

/* Measured again with our own bytes, which are what is there now, whatever was there when
 * it was named. */
static void measure(struct search *s, size_t at)
{
    struct index_row row;
    float similarity;

    if (at >= s->p->run.count)
        return;
    row = index_run_at(&s->p->run, at);
    if (row.item == INDEX_ITEM_NONE)
        return;
    vector_scan(&s->q->bytes, row.vector, &row.scale, &row.sum, 1, s->p->run.dims, &similarity);
    offer(s, row.item, similarity);
}

/* False when the structure can not say: what is gone or late stands before what there may
 * be. */
static bool ask(struct search *s, size_t want)
{
    int64_t ids[INDEX_LARGE_RESULTS_MAX];
    float similarity[INDEX_LARGE_RESULTS_MAX];
    size_t n;

    if (index_large_search(s->p->large, s->q->vector, want, ids, similarity, &n) != ST_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        measure(s, (size_t)ids[i]);
    return s->best->n == s->q->k || n < want || similarity[n - 1] < s->q->floor - CODES_ERROR;
}

void index_nearest_find(const struct index_partition *p, const struct index_items *items,
                        const struct index_query *q, struct index_nearest *out)
{
    struct search s = {p, items, q, out};

    out->n = 0;
    if (p->large == NULL)
        scan(&s, 0);
    else if (ask(&s, q->k + EXTRA) || ask(&s, INDEX_LARGE_RESULTS_MAX))
        scan(&s, p->named);
    else
        scan(&s, 0);
}
