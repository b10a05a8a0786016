#include "cache/store_lmdb_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/entry_seal.h"

/* One transaction holds no more than this, so that pages freed by it soon serve. */
#define SEGMENT_BYTES_MAX (16u * 1024 * 1024)
/* Records that one transaction throws out beyond what it adds. */
#define EVICT_MAX        1024
#define FULL_ROUNDS_MAX  4
#define FULL_EVICT_FIRST 64
#define FRAME_KEEP_BYTES (1024u * 1024)

/* The part of a batch that one transaction writes: [from, until). */
struct segment {
    struct store_lmdb_write *from, *until;
};

struct gone_list {
    struct store_lmdb_gone *item; /* owned, then the batch's first item's */
    size_t count, cap;
};

/* One list of all items. */
static void link_items(struct store_lmdb_group *first)
{
    struct store_lmdb_write **tail = NULL;

    for (struct work *at = &first->work; at != NULL; at = at->next) {
        struct store_lmdb_group *g = CONTAINER_OF(at, struct store_lmdb_group, work);

        for (unsigned i = 0; i < g->count; i++) {
            if (tail != NULL)
                *tail = &g->item[i];
            tail = &g->item[i].next;
        }
    }
    *tail = NULL;
}

/* Without memory for the note the loop learns of it when it next reads the key. */
static void note_gone(struct gone_list *g, const struct store_lmdb_record *r, bool expired)
{
    if (g->count == g->cap) {
        size_t cap = g->cap == 0 ? 64 : g->cap * 2;
        struct store_lmdb_gone *p = realloc(g->item, cap * sizeof(*p));

        if (p == NULL)
            return;
        g->item = p;
        g->cap = cap;
    }
    g->item[g->count++] = (struct store_lmdb_gone){.record = *r, .expired = expired};
}

static enum status write_one(struct store_lmdb_writer *w, const struct store_lmdb_write *item)
{
    struct store_lmdb_record r = {.number = item->number};
    enum status st = ST_OK;

    if (item->old != 0) {
        st = store_lmdb_file_delete(w->file, item->old);
        if (st != ST_OK && st != ST_NOTFOUND)
            return st;
    }
    if (item->entry == NULL)
        return ST_OK;
    r.expires_ms = item->entry->expires_ms;
    r.key = item->entry->key;
    r.partition = item->entry->partition;
    buf_clear(&w->frame);
    st = entry_seal_encode(w->seal, item->entry, &w->frame);
    return st != ST_OK ? st : store_lmdb_file_put(w->file, &r, buf_span(&w->frame));
}

/* The oldest go: at least `least` of them, those whose time is over, and as many as
 * the bounds ask for; `last` and later are of this batch and stay. */
static enum status evict(struct store_lmdb_writer *w, size_t least, uint64_t last,
                         struct gone_list *g)
{
    uint64_t now_ms = clock_wall_ms();

    for (size_t n = 0; n < EVICT_MAX || n < least; n++) {
        struct store_lmdb_record r;
        struct store_lmdb_size size;
        bool expired;
        enum status st = store_lmdb_file_oldest(w->file, &r);

        if (st == ST_NOTFOUND || (st == ST_OK && r.number >= last))
            return ST_OK;
        if (st != ST_OK)
            return st;
        expired = r.expires_ms <= now_ms;
        store_lmdb_file_size(w->file, &size);
        if (n >= least && !expired && size.entries <= w->entries_max &&
            size.bytes <= w->bytes_max)
            return ST_OK;
        st = store_lmdb_file_delete(w->file, r.number);
        if (st != ST_OK)
            return st;
        note_gone(g, &r, expired);
    }
    return ST_OK;
}

static enum status finish(struct store_lmdb_writer *w, enum status st)
{
    struct store_lmdb_size size;

    if (st != ST_OK) {
        store_lmdb_file_abort(w->file);
        return st;
    }
    store_lmdb_file_size(w->file, &size);
    st = store_lmdb_file_commit(w->file);
    if (st == ST_OK)
        w->committed = size;
    return st;
}

/* One transaction; what it evicted counts only when it was committed. */
static enum status try_segment(struct store_lmdb_writer *w, struct segment s,
                               struct gone_list *g)
{
    size_t gone_before = g->count;
    enum status st = store_lmdb_file_begin(w->file);

    if (st != ST_OK)
        return st;
    for (struct store_lmdb_write *i = s.from; st == ST_OK && i != s.until; i = i->next) {
        /* Put a moment ago by another thread, and a thousand others since. */
        if (i->next != NULL && i->next->entry != NULL)
            entry_expect_all(i->next->entry, i->next->bytes);
        st = write_one(w, i);
    }
    if (st == ST_OK)
        st = evict(w, 0, UINT64_MAX, g);
    st = finish(w, st);
    if (st != ST_OK)
        g->count = gone_before;
    return st;
}

static enum status make_room(struct store_lmdb_writer *w, size_t least, uint64_t last,
                             struct gone_list *g)
{
    size_t gone_before = g->count;
    enum status st = store_lmdb_file_begin(w->file);

    if (st != ST_OK)
        return st;
    st = finish(w, evict(w, least, last, g));
    if (st != ST_OK)
        g->count = gone_before;
    return st;
}

static uint64_t first_number(struct segment s)
{
    for (struct store_lmdb_write *i = s.from; i != s.until; i = i->next)
        if (i->entry != NULL)
            return i->number;
    return UINT64_MAX;
}

/* Full map or full disk: old entries make room. Pages that a transaction frees are
 * used again from the second one after it, hence the empty one in between. */
static enum status write_segment(struct store_lmdb_writer *w, struct segment s,
                                 struct gone_list *g)
{
    enum status st = try_segment(w, s, g);
    size_t least = FULL_EVICT_FIRST;

    for (unsigned round = 0; st == ST_LIMIT && round < FULL_ROUNDS_MAX; round++) {
        enum status room = make_room(w, least, first_number(s), g);

        if (room == ST_OK)
            room = make_room(w, 1, first_number(s), g);
        if (room != ST_OK)
            return room;
        st = try_segment(w, s, g);
        least *= 4;
    }
    return st;
}

static struct segment take_segment(struct store_lmdb_write *from)
{
    struct segment s = {from, from};
    uint64_t bytes = 0;

    while (s.until != NULL &&
           (s.until == from || bytes + s.until->bytes <= SEGMENT_BYTES_MAX)) {
        bytes += s.until->bytes;
        s.until = s.until->next;
    }
    return s;
}

void store_lmdb_write_batch(struct store_lmdb_writer *w, struct store_lmdb_group *first)
{
    struct gone_list gone = {.item = NULL};
    struct segment s = {first->item, first->item};

    link_items(first);
    first->first = true;
    while (s.until != NULL) {
        enum status st;

        s = take_segment(s.until);
        st = write_segment(w, s, &gone);
        for (struct store_lmdb_write *i = s.from; i != s.until; i = i->next)
            i->st = st;
        if (st == ST_OK)
            continue;
        free(first->why);
        first->why = strdup(store_lmdb_file_why(w->file));
        first->failed = true;
    }
    if (w->frame.cap > FRAME_KEEP_BYTES)
        buf_release(&w->frame);
    /* A batch of nothing is the purge of a store that has nothing else to do. */
    store_lmdb_file_trim(w->file, first->item[0].entry == NULL && first->item[0].old == 0);
    first->gone = gone.item;
    first->gone_count = gone.count;
    first->size = w->committed;
}
