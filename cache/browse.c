/* The store's own thread visits; what memory has and the store has not (yet, or because there
 * is none) is looked at on the loop afterwards. A page is kept in order while the store is
 * read, so that nothing is sorted at the end. */
#include "cache/browse.h"

#include <string.h>

#include "base/clock.h"
#include "base/span.h"
#include "cache/entry.h"
#include "cache/memory.h"
#include "cache/store.h"
#include "rt/loop.h"

#define DEADLINE_US (20ull * 1000 * 1000)
/* Of memory beside a store: what is on its way there is among those used last, and the loop
 * has others to serve. */
#define WALK_MAX 16384

/* --- what is looked for --------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool has_words(const struct browse_filter *f, struct span text)
{
    for (size_t at = 0; at + f->words_len <= text.len; at++) {
        size_t n = 0;

        while (n < f->words_len && lower(text.ptr[at + n]) == lower(f->words[n]))
            n++;
        if (n == f->words_len)
            return true;
    }
    return false;
}

static bool begins_key(const struct browse_filter *f, const struct digest *key)
{
    char hex[2 * DIGEST_BYTES + 1];

    if (f->words_len > 2 * DIGEST_BYTES)
        return false;
    digest_hex(key->bytes, DIGEST_BYTES, hex);
    return memcmp(hex, f->words, f->words_len) == 0;
}

static bool matches(const struct browse_filter *f, const struct entry *e)
{
    if (f->by_partition && !digest_eq(&f->partition, &e->partition))
        return false;
    if (f->by_tenant && !digest_eq(&f->tenant, &e->tenant))
        return false;
    return f->words_len == 0 || has_words(f, e->model) || begins_key(f, &e->key) ||
           (f->questions && has_words(f, e->question));
}

/* --- the page --------------------------------------------------------------------------- */

/* Does (a_ms, a) come before (b_ms, b) on the pages? */
static bool is_before(uint64_t a_ms, const struct digest *a, uint64_t b_ms,
                      const struct digest *b)
{
    if (a_ms != b_ms)
        return a_ms > b_ms;
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) > 0;
}

/* Whole characters only. */
static size_t keep_text(struct span text, char *to, size_t cap)
{
    size_t n = text.len < cap ? text.len : cap;

    while (n < text.len && n > 0 && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
        n--;
    if (n > 0)
        memcpy(to, text.ptr, n);
    return n;
}

static void put_on_page(struct browse *b, const struct entry *e)
{
    const struct browse_filter *f = &b->filter;
    struct browse_item *item;
    size_t at;

    if (f->after_ms != 0 && !is_before(f->after_ms, &f->after, e->created_ms, &e->key))
        return;
    for (at = b->count; at > 0; at--) {
        item = &b->items[at - 1];
        if (is_before(item->created_ms, &item->key, e->created_ms, &e->key))
            break;
    }
    if (at == b->page)
        return;
    if (b->count < b->page)
        b->count++;
    memmove(&b->items[at + 1], &b->items[at], (b->count - 1 - at) * sizeof(*item));
    item = &b->items[at];
    *item = (struct browse_item){
        .key = e->key,
        .partition = e->partition,
        .tenant = e->tenant,
        .created_ms = e->created_ms,
        .expires_ms = e->expires_ms,
        .took_us = e->took_us,
        .answer_bytes = e->answer.len,
        .prompt_tokens = e->prompt_tokens,
        .completion_tokens = e->completion_tokens,
        .semantic = e->vector != NULL,
    };
    item->model_len = keep_text(e->model, item->model, sizeof(item->model));
    item->question_len = keep_text(e->question, item->question, sizeof(item->question));
}

/* --- by partition ----------------------------------------------------------------------- */

/* A partition belongs to a tenant, but those without one may be of any. */
static struct digest name_of_group(const struct entry *e)
{
    struct digest d;

    for (size_t i = 0; i < DIGEST_BYTES; i++)
        d.bytes[i] = e->partition.bytes[i] ^ e->tenant.bytes[i];
    return d;
}

static struct browse_group *find_group(struct browse *b, const struct entry *e)
{
    struct digest name = name_of_group(e);
    uint64_t place = keyset_find(&b->group_places, &name);

    if (place != 0)
        return &b->groups[place - 1];
    if (b->group_count == BROWSE_GROUPS_MAX ||
        keyset_set(&b->group_places, &name, b->group_count + 1) != ST_OK)
        return NULL;
    b->groups[b->group_count] = (struct browse_group){
        .partition = e->partition, .tenant = e->tenant, .oldest_ms = UINT64_MAX};
    return &b->groups[b->group_count++];
}

static void put_in_group(struct browse *b, const struct entry *e)
{
    struct browse_group *g = find_group(b, e);

    if (g == NULL) {
        b->ungrouped++;
        return;
    }
    g->entries++;
    g->answer_bytes += e->answer.len;
    if (e->created_ms < g->oldest_ms)
        g->oldest_ms = e->created_ms;
    if (e->created_ms >= g->newest_ms) {
        g->newest_ms = e->created_ms;
        g->model_len = keep_text(e->model, g->model, sizeof(g->model));
    }
}

/* --- looking ---------------------------------------------------------------------------- */

/* Of the store on its thread, of memory on the loop; never both at a time. */
static bool visit(void *owner, struct entry *e)
{
    struct browse *b = owner;

    if (atomic_load_explicit(&b->canceled, memory_order_relaxed))
        b->st = ST_CANCELED;
    else if (clock_now_us() > b->deadline_us)
        b->st = ST_TIMEOUT;
    if (b->st != ST_OK)
        return false;
    if (e->expires_ms <= b->now_ms || !matches(&b->filter, e) ||
        keyset_find(&b->seen, &e->key) != 0)
        return true;
    b->st = keyset_set(&b->seen, &e->key, 1);
    if (b->st != ST_OK)
        return false;
    b->matched++;
    put_on_page(b, e);
    put_in_group(b, e);
    return true;
}

static bool visit_memory(void *owner, struct entry *e)
{
    struct browse *b = owner;

    return (b->store == NULL || b->walked++ < WALK_MAX) && visit(b, e);
}

/* The store may have read what was removed, and is not yet from its file. */
static void drop_absent(struct browse *b)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->count; i++) {
        const struct digest *key = &b->items[i].key;

        if (b->store->ops->may_have(b->store, key) || memory_has(b->memory, key, b->now_ms))
            b->items[kept++] = b->items[i];
    }
    b->matched -= b->count - kept;
    b->count = kept;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct browse *b = owner;

    (void)entries;
    if (b->st == ST_OK && st == ST_OK)
        memory_walk(b->memory, visit_memory, b);
    if (b->st != ST_OK)
        st = b->st;
    if (b->store != NULL)
        drop_absent(b);
    keyset_release(&b->seen);
    keyset_release(&b->group_places);
    b->done(b, st);
}

/* Without a store, memory is all there is. */
static void on_no_scan(struct timer *t)
{
    on_scanned(CONTAINER_OF(t, struct browse, timer), ST_OK, 0);
}

enum status browse_start(struct browse *b)
{
    keyset_init(&b->seen);
    keyset_init(&b->group_places);
    b->matched = b->ungrouped = 0;
    b->count = b->group_count = b->walked = 0;
    b->st = ST_OK;
    b->now_ms = clock_wall_ms();
    b->deadline_us = clock_now_us() + DEADLINE_US;
    atomic_init(&b->canceled, false);
    if (b->page > BROWSE_PAGE_MAX)
        b->page = BROWSE_PAGE_MAX;
    if (b->store != NULL)
        return b->store->ops->scan(b->store, visit, on_scanned, b);
    timer_start(b->loop, &b->timer, 0, on_no_scan);
    return ST_OK;
}

void browse_cancel(struct browse *b)
{
    atomic_store_explicit(&b->canceled, true, memory_order_relaxed);
}
