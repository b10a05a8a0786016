#include "cache/index_nearest.h"

#include "base/status.h"
#include "cache/index_large.h"

#define NAMES 128 /* looked at together */

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

/* Measured again, as what is there now, whatever was there when it was listed. */
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

/* Some names of a list. */
static void look_at(struct search *s, const struct index_name *names, size_t n)
{
    const struct index_run *r = &s->p->run;
    const int8_t *vectors[NAMES];
    float similarity[NAMES], scales[NAMES];
    int32_t sums[NAMES];

    for (size_t i = 0; i < n; i++) {
        /* The first stands for one that is gone. */
        vectors[i] = index_run_vector(r, names[i].at < r->count ? names[i].at : 0);
        scales[i] = names[i].scale;
        sums[i] = names[i].sum;
    }
    vector_scan_at(&s->q->bytes, vectors, scales, sums, n, r->dims, similarity);
    for (size_t i = 0; i < n; i++) {
        if (similarity[i] >= s->q->floor && similarity[i] > bar(s))
            measure(s, names[i].at);
    }
}

static void look_through(struct search *s)
{
    const struct index_list *lists[INDEX_LARGE_LISTS_MAX];
    size_t n = index_large_near(s->p->large, &s->q->bytes, lists);

    for (size_t i = 0; i < n && s->p->run.count > 0; i++) {
        for (size_t k = 0; k < lists[i]->n; k += NAMES)
            look_at(s, lists[i]->names + k, lists[i]->n - k < NAMES ? lists[i]->n - k : NAMES);
    }
}

void index_nearest_find(const struct index_partition *p, const struct index_items *items,
                        const struct index_query *q, struct index_nearest *out)
{
    struct search s = {p, items, q, out};

    out->n = 0;
    if (p->large != NULL)
        look_through(&s);
    scan(&s, p->large != NULL ? p->named : 0);
}
