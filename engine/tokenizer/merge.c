#include "engine/tokenizer/merge.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* For each part: n - 1 at the start, and two more for each of n - 1 merges. */
#define CANDIDATES 3

struct candidate {
    double key;
    uint32_t left, right; /* places in parts */
    uint32_t len;         /* of both together: another by now, and it is out of date */
    uint32_t into;
};

struct heap {
    struct candidate *items; /* owned; the best first */
    size_t count;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->key != b->key ? a->key > b->key : a->left < b->left;
}

static void push(struct heap *h, struct candidate c)
{
    size_t i = h->count++;

    while (i > 0 && before(&c, &h->items[(i - 1) / 2])) {
        h->items[i] = h->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->items[i] = c;
}

static struct candidate pop(struct heap *h)
{
    struct candidate best = h->items[0], last = h->items[--h->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (child >= h->count || !before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return best;
}

static void consider(struct heap *h, const struct merge_part *parts, uint32_t left,
                     uint32_t right, merge_find_fn *find, const void *arg)
{
    struct candidate c = {.left = left, .right = right};

    if (left == NONE || right == NONE ||
        !find(arg, &parts[left], &parts[right], &c.key, &c.into))
        return;
    c.len = parts[left].len + parts[right].len;
    push(h, c);
}

static void join(struct merge_part *parts, const struct candidate *c)
{
    struct merge_part *l = &parts[c->left], *r = &parts[c->right];

    l->id = c->into;
    l->len = c->len;
    l->next = r->next;
    if (r->next != NONE)
        parts[r->next].prev = c->left;
    r->len = 0;
}

static size_t gather(struct merge_part *parts)
{
    size_t n = 0;

    for (uint32_t i = 0; i != NONE; n++) {
        uint32_t next = parts[i].next;

        parts[n] = parts[i];
        i = next;
    }
    return n;
}

size_t merge_bytes(size_t n)
{
    return n * (sizeof(struct merge_part) + CANDIDATES * sizeof(struct candidate));
}

enum status merge_run(struct merge_part *parts, size_t n, merge_find_fn *find, const void *arg,
                      size_t *left)
{
    struct heap h = {NULL, 0};

    *left = n;
    if (n < 2)
        return ST_OK;
    h.items = malloc(CANDIDATES * n * sizeof(*h.items));
    if (h.items == NULL)
        return ST_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        parts[i].prev = i > 0 ? i - 1 : NONE;
        parts[i].next = i + 1 < n ? i + 1 : NONE;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        consider(&h, parts, i, i + 1, find, arg);
    while (h.count > 0) {
        struct candidate c = pop(&h);

        if (parts[c.left].len == 0 || parts[c.left].next != c.right ||
            parts[c.left].len + parts[c.right].len != c.len)
            continue;
        join(parts, &c);
        consider(&h, parts, parts[c.left].prev, c.left, find, arg);
        consider(&h, parts, c.left, parts[c.left].next, find, arg);
    }
    free(h.items);
    *left = gather(parts);
    return ST_OK;
}
