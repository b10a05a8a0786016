#define _GNU_SOURCE /* memmem */
#include "privacy/restorer.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "privacy/texts.h"
#include "privacy/vault.h"

#define SCRATCH_CHUNK 8192
#define SCRATCH_MAX   (64u * 1024 * 1024)
#define HELD_MAX      16 /* events that wait: one of each choice */
#define PARTS_MAX     8
#define INDEXES_MAX   16

/* A text that goes on from event to event, by its path and the numbers on it. */
struct channel {
    uint64_t id;    /* of both */
    uint64_t path;  /* without the numbers */
    uint64_t first; /* the first number on the path, plus one; 0: there is none */
};

/* The end of such a text, which may be the beginning of a placeholder. */
struct part {
    struct channel of;
    char text[VAULT_PLACEHOLDER_MAX];
    size_t len;
    bool moved; /* to the next event */
};

struct parts {
    struct part list[PARTS_MAX];
    size_t count;
};

struct event {
    struct buf raw;
    size_t json_at, json_len; /* in raw */
    struct parts before;      /* what its texts get in front */
    struct parts after;       /* what they end in */
};

struct restorer {
    const struct vault *vault;
    enum restorer_form form;
    size_t bytes_max;
    struct buf in; /* what is no whole event yet, or the document */
    size_t seen;   /* of it: lines that were looked at */
    struct event held[HELD_MAX];
    size_t held_count;
    struct event now; /* the one at hand */
    struct arena scratch;
    struct buf text, joined; /* of one text */
    uint64_t count;
};

enum status restorer_open(const struct vault *vault, enum restorer_form form, size_t bytes_max,
                          struct restorer **out)
{
    struct restorer *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return ST_NOMEM;
    r->vault = vault;
    r->form = form;
    r->bytes_max = bytes_max;
    buf_init(&r->in, bytes_max);
    buf_init(&r->now.raw, bytes_max);
    for (size_t i = 0; i < HELD_MAX; i++)
        buf_init(&r->held[i].raw, bytes_max);
    buf_init(&r->text, 8 * bytes_max);
    buf_init(&r->joined, 2 * bytes_max);
    arena_init(&r->scratch, SCRATCH_CHUNK, SCRATCH_MAX);
    *out = r;
    return ST_OK;
}

void restorer_close(struct restorer *r)
{
    if (r == NULL)
        return;
    buf_release(&r->in);
    buf_release(&r->now.raw);
    for (size_t i = 0; i < HELD_MAX; i++)
        buf_release(&r->held[i].raw);
    buf_release(&r->text);
    buf_release(&r->joined);
    arena_release(&r->scratch);
    free(r);
}

uint64_t restorer_count(const struct restorer *r)
{
    return r->count;
}

/* --- one text -------------------------------------------------------------------------------
 */

static enum status put_value(struct buf *out, struct span value, bool in_json)
{
    size_t at = out->len;
    enum status st;

    if (!in_json)
        return buf_append(out, value);
    st = json_write_string(out, value);
    if (st != ST_OK)
        return st;
    /* Without its quotes. */
    memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 2);
    out->len -= 2;
    return ST_OK;
}

static enum status restore(struct restorer *r, struct span text, bool in_json, struct buf *out)
{
    struct span value;
    size_t at, len;
    enum status st = ST_OK;

    while (st == ST_OK && vault_find(r->vault, text, &at, &len, &value)) {
        st = buf_append(out, (struct span){text.ptr, at});
        if (st == ST_OK)
            st = put_value(out, value, in_json);
        text.ptr += at + len;
        text.len -= at + len;
        r->count++;
    }
    return st == ST_OK ? buf_append(out, text) : st;
}

/* --- channels -------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t mix_name(uint64_t h, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return mix(h, s.len);
}

static void number(struct channel *c, uint64_t n)
{
    c->id = mix(c->id, n + 1);
    if (c->first == 0)
        c->first = n + 1;
}

static struct channel channel_of(const struct texts_walk *w)
{
    static const struct span indexes[] = {
        {"index", 5}, {"output_index", 12}, {"content_index", 13}, {"summary_index", 13}};
    struct channel c = {UINT64_C(0xcbf29ce484222325), UINT64_C(0xcbf29ce484222325), 0};

    for (size_t i = 0; i < w->depth; i++) {
        const struct json *v = w->stack[i].node;
        bool in_list = i > 0 && w->stack[i - 1].node->type == JSON_ARRAY, told = false;
        uint64_t n;

        for (size_t k = 0; v->type == JSON_OBJECT && k < sizeof(indexes) / sizeof(indexes[0]);
             k++) {
            if (!json_u64(json_get(v, indexes[k]), &n))
                continue;
            number(&c, n);
            told = true;
        }
        if (in_list && !told)
            number(&c, w->stack[i].at);
        if (!in_list) {
            c.path = mix_name(c.path, v->key);
            c.id = mix_name(c.id, v->key);
        }
    }
    return c;
}

/* Texts that come piece by piece, in any dialect. */
static bool is_running(const struct texts_walk *w)
{
    static const struct span names[] = {
        {"content", 7},       {"text", 4},     {"delta", 5},      {"arguments", 9},
        {"partial_json", 12}, {"thinking", 8}, {"reasoning", 9},  {"reasoning_content", 17},
        {"refusal", 7},       {"response", 8}, {"transcript", 10}};
    struct span name = w->stack[w->depth - 1].node->key;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq(name, names[i]))
            return true;
    }
    return false;
}

static struct part *part_of(struct parts *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].of.id == id)
            return &p->list[i];
    }
    return NULL;
}

/* --- what an event has to do with those that wait -------------------------------------------
 */

struct view {
    struct restorer *r;
    struct channel running[PARTS_MAX];
    size_t running_count;
    uint64_t first[INDEXES_MAX];
    size_t first_count;
    bool crowded; /* more of either than we keep */
};

static enum status see(void *owner, const struct texts_walk *w, struct span text, bool is_name,
                       struct buf *out, bool *changed)
{
    struct view *v = owner;
    struct channel c;
    bool known = false;

    (void)text;
    (void)out;
    (void)changed;
    if (is_name)
        return ST_OK;
    c = channel_of(w);
    for (size_t i = 0; i < v->first_count; i++)
        known |= v->first[i] == c.first;
    if (c.first != 0 && !known) {
        if (v->first_count < INDEXES_MAX)
            v->first[v->first_count++] = c.first;
        else
            v->crowded = true;
    }
    if (!is_running(w))
        return ST_OK;
    if (v->running_count < PARTS_MAX)
        v->running[v->running_count++] = c;
    else
        v->crowded = true;
    return ST_OK;
}

static bool has_channel(const struct view *v, uint64_t id)
{
    for (size_t i = 0; i < v->running_count; i++) {
        if (v->running[i].id == id)
            return true;
    }
    return false;
}

/* Is this event about something else, so that the one that waits may wait on: another choice,
 * another call beside it? */
static bool is_beside(const struct view *v, const struct part *p)
{
    bool same = false;

    if (v->crowded || has_channel(v, p->of.id))
        return false;
    for (size_t i = 0; i < v->first_count; i++)
        same |= v->first[i] == p->of.first;
    if (v->first_count > 0 && !same)
        return true;
    for (size_t i = 0; i < v->running_count; i++) {
        if (v->running[i].path == p->of.path)
            return true;
    }
    return false;
}

static bool all_beside(const struct view *v, const struct event *e)
{
    for (size_t i = 0; i < e->after.count; i++) {
        if (!is_beside(v, &e->after.list[i]))
            return false;
    }
    return true;
}

/* --- writing an event -----------------------------------------------------------------------
 */

struct rewrite {
    struct restorer *r;
    struct event *e;
    bool measure; /* only finds out what its texts end in */
};

/* What the text is with what goes before it. */
static enum status join(struct rewrite *x, uint64_t id, struct span text, struct span *out)
{
    const struct part *before = part_of(&x->e->before, id);
    struct buf *b = &x->r->joined;
    enum status st;

    *out = text;
    if (before == NULL)
        return ST_OK;
    buf_clear(b);
    st = buf_append(b, (struct span){before->text, before->len});
    if (st == ST_OK)
        st = buf_append(b, text);
    *out = buf_span(b);
    return st;
}

static void note_end(struct rewrite *x, struct channel c, struct span text)
{
    struct parts *p = &x->e->after;
    size_t n = vault_open_end(x->r->vault, text);

    if (n == 0 || p->count == PARTS_MAX)
        return;
    p->list[p->count] = (struct part){.of = c, .len = n};
    memcpy(p->list[p->count++].text, text.ptr + text.len - n, n);
}

static enum status on_text(void *owner, const struct texts_walk *w, struct span text,
                           bool is_name, struct buf *out, bool *changed)
{
    struct rewrite *x = owner;
    bool running = !is_name && is_running(w);
    struct channel c = {0};
    const struct part *after;
    enum status st = ST_OK;

    if (running) {
        c = channel_of(w);
        st = join(x, c.id, text, &text);
    }
    if (st != ST_OK)
        return st;
    if (x->measure) {
        if (running)
            note_end(x, c, text);
        return ST_OK;
    }
    after = running ? part_of(&x->e->after, c.id) : NULL;
    if (after != NULL && after->moved)
        text.len -= after->len;
    *changed = true;
    return restore(x->r, text, !is_name && texts_is_json(w), out);
}

static bool untouched(const struct restorer *r, const struct event *e)
{
    struct span raw = buf_span(&e->raw);

    for (size_t i = 0; i < e->after.count; i++) {
        if (e->after.list[i].moved)
            return false;
    }
    return e->before.count == 0 &&
           memmem(raw.ptr, raw.len, r->vault->mark, VAULT_MARK + 1) == NULL &&
           memmem(raw.ptr, raw.len, "\\u00", 4) == NULL;
}

/* The lines behind the first one of data say the rest of it, which is written there now. */
static enum status put_tail(const struct event *e, struct buf *out)
{
    const char *p = e->raw.ptr + e->json_at + e->json_len, *end = e->raw.ptr + e->raw.len;
    enum status st = ST_OK;

    while (st == ST_OK && p < end) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        size_t n = line != NULL ? (size_t)(line - p) + 1 : (size_t)(end - p);

        if (n < 5 || memcmp(p, "data:", 5) != 0)
            st = buf_append(out, (struct span){p, n});
        p += n;
    }
    return st;
}

static enum status put_event(struct restorer *r, struct event *e, const struct json *root,
                             struct buf *out)
{
    struct rewrite x = {r, e, false};
    enum status st;

    if (untouched(r, e))
        return buf_append(out, buf_span(&e->raw));
    st = buf_append(out, (struct span){e->raw.ptr, e->json_at});
    if (st == ST_OK)
        st = texts_walk(root, on_text, &x, &r->text, out);
    return st == ST_OK ? put_tail(e, out) : st;
}

/* Its data: one line's, or those of several joined (WHATWG HTML 9.2.6). */
static enum status data_of(struct restorer *r, struct event *e, struct span *out)
{
    struct span raw = buf_span(&e->raw);
    size_t lines = 0;
    enum status st = ST_OK;

    *out = (struct span){"", 0};
    if (r->form == RESTORER_LINES) {
        while (raw.len > 0 && (raw.ptr[raw.len - 1] == '\n' || raw.ptr[raw.len - 1] == '\r'))
            raw.len--;
        e->json_at = 0;
        e->json_len = raw.len;
        *out = raw;
        return ST_OK;
    }
    buf_clear(&r->joined);
    for (size_t i = 0; st == ST_OK && i < raw.len;) {
        const char *end = memchr(raw.ptr + i, '\n', raw.len - i);
        size_t next = end != NULL ? (size_t)(end - raw.ptr) + 1 : raw.len, stop = next;

        while (stop > i && (raw.ptr[stop - 1] == '\n' || raw.ptr[stop - 1] == '\r'))
            stop--;
        if (stop - i >= 5 && memcmp(raw.ptr + i, "data:", 5) == 0) {
            i += 5 + (size_t)(stop - i > 5 && raw.ptr[i + 5] == ' ');
            if (lines++ == 0) {
                e->json_at = i;
                e->json_len = stop - i;
            } else {
                st = buf_append(&r->joined, SPAN("\n"));
            }
            if (st == ST_OK)
                st = buf_append(&r->joined, (struct span){raw.ptr + i, stop - i});
        }
        i = next;
    }
    *out = buf_span(&r->joined);
    return st;
}

static enum status parse(struct restorer *r, struct event *e, struct json **root)
{
    struct json_error why;
    struct span data;
    enum status st = data_of(r, e, &data);

    if (st != ST_OK)
        return st;
    *root = NULL;
    if (data.len == 0)
        return ST_NOTFOUND;
    if (json_parse(&r->scratch, data, JSON_DEPTH_MAX, root, &why) != ST_OK)
        *root = NULL;
    return ST_OK;
}

/* --- events that wait -----------------------------------------------------------------------
 */

static void drop_held(struct restorer *r, size_t i)
{
    struct buf raw = r->held[i].raw;

    memmove(&r->held[i], &r->held[i + 1], (r->held_count - i - 1) * sizeof(r->held[0]));
    r->held_count--;
    buf_clear(&raw);
    r->held[r->held_count].raw = raw;
}

/* It waits no more; ends that are marked as moved are not in it. */
static enum status release(struct restorer *r, size_t i, struct buf *out)
{
    struct json *root = NULL;
    enum status st = parse(r, &r->held[i], &root);

    if (st == ST_OK)
        st = root != NULL ? put_event(r, &r->held[i], root, out) : ST_INVALID;
    drop_held(r, i);
    return st;
}

static enum status release_all(struct restorer *r, struct buf *out)
{
    enum status st = ST_OK;

    while (st == ST_OK && r->held_count > 0)
        st = release(r, 0, out);
    return st;
}

/* The ends of what waited that go on in the event at hand. */
static void move_parts(struct event *from, struct event *to, const struct view *v)
{
    for (size_t i = 0; i < from->after.count; i++) {
        struct part *p = &from->after.list[i];

        if (!has_channel(v, p->of.id) || to->before.count == PARTS_MAX)
            continue;
        p->moved = true;
        to->before.list[to->before.count++] = *p;
    }
}

static enum status settle_held(struct restorer *r, const struct view *v, struct buf *out)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < r->held_count;) {
        if (all_beside(v, &r->held[i])) {
            i++;
            continue;
        }
        move_parts(&r->held[i], &r->now, v);
        st = release(r, i, out);
    }
    return st;
}

/* An event that says nothing: keep-alives. */
static bool is_ping(const struct json *root)
{
    return span_eq(json_str(json_get(root, SPAN("type"))), SPAN("ping"));
}

static enum status take_json(struct restorer *r, struct json *root, struct buf *out)
{
    struct event *e = &r->now;
    struct view v = {.r = r};
    struct rewrite x = {r, e, true};
    enum status st = texts_walk(root, see, &v, &r->text, NULL);

    if (st == ST_OK)
        st = settle_held(r, &v, out);
    if (st == ST_OK)
        st = texts_walk(root, on_text, &x, &r->text, NULL);
    if (st != ST_OK)
        return st;
    if (e->after.count == 0 || v.crowded || r->held_count == HELD_MAX) {
        e->after.count = 0;
        return put_event(r, e, root, out);
    }
    /* The buffers change places. */
    {
        struct buf raw = r->held[r->held_count].raw;

        r->held[r->held_count++] = *e;
        e->raw = raw;
    }
    return ST_OK;
}

static enum status take_event(struct restorer *r, struct span raw, struct buf *out)
{
    struct event *e = &r->now;
    struct json *root = NULL;
    enum status st;

    buf_clear(&e->raw);
    e->before.count = e->after.count = 0;
    st = buf_append(&e->raw, raw);
    if (st == ST_OK)
        st = parse(r, e, &root);
    if (st == ST_NOTFOUND || (st == ST_OK && root != NULL && is_ping(root))) {
        st = buf_append(out, raw);
    } else if (st == ST_OK && root != NULL) {
        st = take_json(r, root, out);
    } else if (st == ST_OK) {
        /* [DONE], or what nobody can read */
        st = release_all(r, out);
        if (st == ST_OK)
            st = restore(r, raw, false, out);
    }
    arena_reset(&r->scratch);
    return st;
}

/* --- framing --------------------------------------------------------------------------------
 */

static bool is_blank(struct span line)
{
    return line.len == 1 || (line.len == 2 && line.ptr[0] == '\r');
}

/* Lines end with LF, or CR LF; a CR alone, which no API sends, ends none here. */
static enum status feed_events(struct restorer *r, struct buf *out)
{
    size_t start = 0, at = r->seen;
    enum status st = ST_OK;

    while (st == ST_OK && at < r->in.len) {
        const char *end = memchr(r->in.ptr + at, '\n', r->in.len - at);
        size_t next;

        if (end == NULL)
            break;
        next = (size_t)(end - r->in.ptr) + 1;
        if (r->form == RESTORER_LINES || is_blank((struct span){r->in.ptr + at, next - at})) {
            st = take_event(r, (struct span){r->in.ptr + start, next - start}, out);
            start = next;
        }
        at = next;
    }
    r->seen = at - start;
    buf_consume(&r->in, start);
    return st;
}

static enum status feed_text(struct restorer *r, struct buf *out)
{
    size_t n = r->in.len - vault_open_end(r->vault, buf_span(&r->in));
    enum status st = restore(r, (struct span){r->in.ptr, n}, false, out);

    buf_consume(&r->in, n);
    return st;
}

enum status restorer_feed(struct restorer *r, struct span bytes, struct buf *out)
{
    enum status st = buf_append(&r->in, bytes);

    if (st != ST_OK || bytes.len == 0)
        return st;
    switch (r->form) {
    case RESTORER_EVENTS:
    case RESTORER_LINES:
        return feed_events(r, out);
    case RESTORER_TEXT:
        return feed_text(r, out);
    case RESTORER_JSON:
        break;
    }
    return ST_OK;
}

static enum status finish_document(struct restorer *r, struct buf *out)
{
    struct event *e = &r->now;
    struct rewrite x = {r, e, false};
    struct json_error why;
    struct json *root;
    enum status st;

    e->before.count = e->after.count = 0;
    if (memmem(r->in.ptr, r->in.len, r->vault->mark, VAULT_MARK + 1) == NULL &&
        memmem(r->in.ptr, r->in.len, "\\u00", 4) == NULL)
        return buf_append(out, buf_span(&r->in));
    if (json_parse(&r->scratch, buf_span(&r->in), JSON_DEPTH_MAX, &root, &why) != ST_OK)
        st = restore(r, buf_span(&r->in), false, out);
    else
        st = texts_walk(root, on_text, &x, &r->text, out);
    arena_reset(&r->scratch);
    return st;
}

enum status restorer_finish(struct restorer *r, bool whole, struct buf *out)
{
    enum status st = ST_OK;

    if (whole && r->in.len > 0 && r->form == RESTORER_JSON)
        st = finish_document(r, out);
    else if (whole && r->in.len > 0 && r->form == RESTORER_TEXT)
        st = restore(r, buf_span(&r->in), false, out);
    else if (whole && r->in.len > 0)
        st = take_event(r, buf_span(&r->in), out); /* its end of line is missing */
    if (st == ST_OK)
        st = release_all(r, out);
    buf_clear(&r->in);
    r->seen = 0;
    return st;
}
