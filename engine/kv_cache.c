#include "engine/kv_cache.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/size.h"

#define ALIGNMENT 64
#define NONE      UINT32_MAX
/* What stands before the first page of a sequence, by partition: no page's serial. */
#define ROOT(partition) (UINT64_C(1) << 63 | (partition))

/* Found by (parent, ids). Serials are given once, so a page whose parent was given up is
 * never found again, and no two beginnings are taken for the same. */
struct page {
    struct list_node node; /* in `free` or, without references, in `kept` */
    uint32_t refs;
    uint32_t next; /* in its bucket */
    bool indexed;
    uint64_t serial, parent;
    uint32_t ids[ATTEND_PAGE];
};

struct kv_cache {
    struct kv_shape shape;
    size_t slot_bytes, count;
    uint8_t *memory, *slots;     /* memory owned; slots: where in it they begin */
    struct page *pages;          /* owned: [count] */
    uint32_t *buckets;           /* owned: [bucket_count] */
    size_t bucket_count;         /* a power of two */
    struct list_node free, kept; /* kept: the longest unused first */
    uint64_t serial;
    struct kv_counts counts;
};

uint64_t kv_cache_bytes(const struct kv_shape *shape, size_t pages)
{
    return (uint64_t)shape->layers * shape->heads *
           attend_slot_bytes(shape->type, shape->width) * pages;
}

static bool take_memory(struct kv_cache *c)
{
    size_t bytes = c->shape.layers * c->shape.heads;

    c->bucket_count = 1;
    while (c->bucket_count < c->count)
        c->bucket_count *= 2;
    if (!size_mul(bytes, c->slot_bytes, &bytes) || !size_mul(bytes, c->count, &bytes) ||
        !size_add(bytes, ALIGNMENT, &bytes))
        return false;
    c->memory = calloc(bytes, 1);
    c->pages = calloc(c->count, sizeof(*c->pages));
    c->buckets = malloc(c->bucket_count * sizeof(*c->buckets));
    return c->memory != NULL && c->pages != NULL && c->buckets != NULL;
}

enum status kv_cache_open(const struct kv_shape *shape, size_t pages, struct kv_cache **out)
{
    struct kv_cache *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return ST_NOMEM;
    assert(pages > 0 && pages < NONE);
    c->shape = *shape;
    c->count = pages;
    c->slot_bytes = attend_slot_bytes(shape->type, shape->width);
    if (!take_memory(c)) {
        kv_cache_close(c);
        return ST_NOMEM;
    }
    c->slots = c->memory + (ALIGNMENT - (uintptr_t)c->memory % ALIGNMENT) % ALIGNMENT;
    memset(c->buckets, 0xff, c->bucket_count * sizeof(*c->buckets));
    list_init(&c->free);
    list_init(&c->kept);
    for (size_t i = 0; i < pages; i++)
        list_append(&c->free, &c->pages[i].node);
    c->counts.pages = pages;
    *out = c;
    return ST_OK;
}

void kv_cache_close(struct kv_cache *c)
{
    free(c->memory);
    free(c->pages);
    free(c->buckets);
    free(c);
}

void kv_cache_counts(const struct kv_cache *c, struct kv_counts *out)
{
    *out = c->counts;
}

/* --- the index ------------------------------------------------------------------------ */

static uint32_t *bucket_of(struct kv_cache *c, uint64_t parent, const uint32_t *ids)
{
    struct span bytes = {(const char *)ids, ATTEND_PAGE * sizeof(*ids)};

    return &c->buckets[hash_bytes(bytes, parent) & (c->bucket_count - 1)];
}

static uint32_t find(struct kv_cache *c, uint64_t parent, const uint32_t *ids)
{
    uint32_t i = *bucket_of(c, parent, ids);

    while (i != NONE && (c->pages[i].parent != parent ||
                         memcmp(c->pages[i].ids, ids, sizeof(c->pages[i].ids)) != 0))
        i = c->pages[i].next;
    return i;
}

static void add_to_index(struct kv_cache *c, uint32_t page, uint64_t parent)
{
    struct page *p = &c->pages[page];
    uint32_t *bucket = bucket_of(c, parent, p->ids);

    p->parent = parent;
    p->serial = ++c->serial;
    p->indexed = true;
    p->next = *bucket;
    *bucket = page;
}

static void remove_from_index(struct kv_cache *c, struct page *p)
{
    uint32_t *at = bucket_of(c, p->parent, p->ids);

    while (&c->pages[*at] != p)
        at = &c->pages[*at].next;
    *at = p->next;
    p->indexed = false;
}

/* --- pages ---------------------------------------------------------------------------- */

static void reference(struct kv_cache *c, uint32_t page)
{
    struct page *p = &c->pages[page];

    if (p->refs++ > 0) {
        c->counts.shared++;
        return;
    }
    if (p->indexed)
        c->counts.kept--;
    list_remove(&p->node);
    c->counts.used++;
}

static void drop(struct kv_cache *c, uint32_t page)
{
    struct page *p = &c->pages[page];

    if (--p->refs > 0) {
        c->counts.shared--;
        return;
    }
    c->counts.used--;
    if (p->indexed) {
        c->counts.kept++;
        list_append(&c->kept, &p->node);
    } else {
        list_append(&c->free, &p->node);
    }
}

static size_t available(const struct kv_cache *c)
{
    return c->count - c->counts.used;
}

/* available() > 0. */
static uint32_t take_page(struct kv_cache *c)
{
    struct list_node *node = list_empty(&c->free) ? c->kept.next : c->free.next;
    struct page *p = CONTAINER_OF(node, struct page, node);
    uint32_t page = (uint32_t)(p - c->pages);

    reference(c, page);
    if (p->indexed) {
        remove_from_index(c, p);
        c->counts.evicted++;
    }
    return page;
}

static void copy_page(struct kv_cache *c, uint32_t to, uint32_t from)
{
    size_t n = c->slot_bytes;

    memcpy(c->pages[to].ids, c->pages[from].ids, sizeof(c->pages[to].ids));
    for (size_t i = 0; i < c->shape.layers * c->shape.heads; i++) {
        uint8_t *slots = c->slots + i * c->count * n;

        memcpy(slots + to * n, slots + from * n, n);
    }
}

/* --- sequences ------------------------------------------------------------------------ */

static size_t pages_for(uint64_t positions)
{
    return (size_t)((positions + ATTEND_PAGE - 1) / ATTEND_PAGE);
}

enum status kv_cache_init(struct kv_sequence *s, struct kv_cache *c, uint32_t positions)
{
    *s = (struct kv_sequence){.cache = c, .pages_max = pages_for(positions)};
    s->pages = malloc((s->pages_max + 1) * sizeof(*s->pages));
    return s->pages != NULL ? ST_OK : ST_NOMEM;
}

void kv_cache_release(struct kv_sequence *s)
{
    if (s->pages != NULL)
        kv_cache_truncate(s, 0);
    free(s->pages);
    s->pages = NULL;
}

static uint64_t serial_before(const struct kv_sequence *s, size_t page)
{
    return page == 0 ? ROOT(s->partition) : s->cache->pages[s->pages[page - 1]].serial;
}

uint32_t kv_cache_reuse(struct kv_sequence *s, const uint32_t *ids, size_t n)
{
    struct kv_cache *c = s->cache;
    uint32_t before = s->length;
    size_t i = before / ATTEND_PAGE;

    if (before % ATTEND_PAGE != 0 || s->indexed != i)
        return 0;
    for (; i < s->pages_max && (i + 1) * ATTEND_PAGE < n; i++) {
        uint32_t page = find(c, serial_before(s, i), ids + i * ATTEND_PAGE);

        if (page == NONE)
            break;
        reference(c, page);
        s->pages[i] = page;
    }
    s->length = (uint32_t)(i * ATTEND_PAGE);
    s->indexed = (uint32_t)i;
    c->counts.reused += s->length - before;
    return s->length - before;
}

/* Is the last page one that may not be written? */
static bool must_copy(const struct kv_sequence *s)
{
    const struct page *p;

    if (s->length % ATTEND_PAGE == 0)
        return false;
    p = &s->cache->pages[s->pages[s->length / ATTEND_PAGE]];
    return p->refs > 1 || p->indexed;
}

static void own_last_page(struct kv_sequence *s)
{
    uint32_t *last = &s->pages[s->length / ATTEND_PAGE], page = take_page(s->cache);

    copy_page(s->cache, page, *last);
    drop(s->cache, *last);
    *last = page;
}

enum status kv_cache_extend(struct kv_sequence *s, const uint32_t *ids, size_t n)
{
    struct kv_cache *c = s->cache;
    size_t have = pages_for(s->length), want = pages_for((uint64_t)s->length + n);
    bool copy = n > 0 && must_copy(s);

    if (want > s->pages_max || want - have + copy > available(c))
        return ST_LIMIT;
    if (copy)
        own_last_page(s);
    for (size_t i = have; i < want; i++)
        s->pages[i] = take_page(c);
    for (size_t i = 0; i < n; i++, s->length++)
        c->pages[s->pages[s->length / ATTEND_PAGE]].ids[s->length % ATTEND_PAGE] = ids[i];
    return ST_OK;
}

void kv_cache_commit(struct kv_sequence *s)
{
    struct kv_cache *c = s->cache;

    for (; s->indexed < s->length / ATTEND_PAGE; s->indexed++) {
        uint32_t *page = &s->pages[s->indexed];
        uint64_t parent = serial_before(s, s->indexed);
        uint32_t same = find(c, parent, c->pages[*page].ids);

        if (same == NONE) {
            add_to_index(c, *page, parent);
            continue;
        }
        /* Another has computed the same meanwhile. */
        reference(c, same);
        drop(c, *page);
        *page = same;
    }
}

void kv_cache_truncate(struct kv_sequence *s, uint32_t length)
{
    size_t keep = pages_for(length);

    assert(length <= s->length);
    /* From the end: a page is of no use without those before it, so it should go first. */
    for (size_t i = pages_for(s->length); i > keep; i--)
        drop(s->cache, s->pages[i - 1]);
    s->length = length;
    if (s->indexed > length / ATTEND_PAGE)
        s->indexed = length / ATTEND_PAGE;
}

enum status kv_cache_fork(const struct kv_sequence *from, struct kv_sequence *to)
{
    size_t n = pages_for(from->length);

    assert(to->length == 0 && to->cache == from->cache);
    if (n > to->pages_max)
        return ST_LIMIT;
    for (size_t i = 0; i < n; i++) {
        reference(from->cache, from->pages[i]);
        to->pages[i] = from->pages[i];
    }
    to->length = from->length;
    to->indexed = from->indexed;
    return ST_OK;
}

struct attend_keys kv_cache_keys(const struct kv_sequence *s, size_t layer, size_t head)
{
    const struct kv_cache *c = s->cache;
    size_t part = layer * c->shape.heads + head;

    return (struct attend_keys){.type = c->shape.type,
                                .pages = s->pages,
                                .slots = c->slots + part * c->count * c->slot_bytes,
                                .slot_bytes = c->slot_bytes};
}
