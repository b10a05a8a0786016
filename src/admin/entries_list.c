#include "admin/entries_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/compiler.h"
#include "base/json_writer.h"
#include "cache/browse.h"
#include "cache/cache.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/proxy.h"

#define PAGE_DEFAULT   25
#define BODY_MAX_BYTES (1024 * 1024)

/* --- the query -------------------------------------------------------------------------- */

static struct span next_part(struct span *rest, char mark)
{
    const char *at = rest->len > 0 ? memchr(rest->ptr, mark, rest->len) : NULL;
    struct span part = {rest->ptr, at != NULL ? (size_t)(at - rest->ptr) : rest->len};

    rest->len -= part.len + (at != NULL);
    rest->ptr += part.len + (at != NULL);
    return part;
}

static bool read_number(struct span s, uint64_t *out)
{
    *out = 0;
    if (s.len == 0 || s.len > 18)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-encoding (RFC 3986, section 2.1). */
static bool read_words(struct span s, struct browse_filter *f)
{
    for (size_t i = 0; i < s.len; i++) {
        int high, low;
        char c = s.ptr[i];

        if (c == '%') {
            if (i + 2 >= s.len)
                return false;
            high = hex_digit(s.ptr[i + 1]);
            low = hex_digit(s.ptr[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (f->words_len == sizeof(f->words))
            return false;
        f->words[f->words_len++] = c;
    }
    return true;
}

/* "MS-KEY", the `next` of the page before. */
static bool read_after(struct span s, struct browse_filter *f)
{
    struct span ms = next_part(&s, '-');

    return read_number(ms, &f->after_ms) && f->after_ms > 0 && digest_from_hex(s, &f->after);
}

/* NULL, or what is wrong with it. */
static const char *read_word(struct span name, struct span value, struct browse *b)
{
    struct browse_filter *f = &b->filter;
    uint64_t n;

    if (span_eq(name, SPAN("partition"))) {
        f->by_partition = true;
        return digest_from_hex(value, &f->partition)
                   ? NULL
                   : "'partition' must be 64 hexadecimal digits";
    }
    if (span_eq(name, SPAN("tenant"))) {
        f->by_tenant = true;
        return digest_from_hex(value, &f->tenant) ? NULL
                                                  : "'tenant' must be 64 hexadecimal digits";
    }
    if (span_eq(name, SPAN("q")))
        return read_words(value, f) ? NULL : "'q' must be up to 128 bytes, percent-encoded";
    if (span_eq(name, SPAN("after")))
        return read_after(value, f) ? NULL : "'after' must be the 'next' of the page before";
    if (span_eq(name, SPAN("limit"))) {
        if (!read_number(value, &n) || n < 1 || n > BROWSE_PAGE_MAX)
            return "'limit' must be 1 to 100";
        b->page = (size_t)n;
        return NULL;
    }
    return "the query knows q, partition, tenant, limit and after";
}

static const char *read_query(struct span query, struct browse *b)
{
    while (query.len > 0) {
        struct span value = next_part(&query, '&');
        struct span name = next_part(&value, '=');
        const char *trouble = read_word(name, value, b);

        if (trouble != NULL)
            return trouble;
    }
    return NULL;
}

/* --- the answer ------------------------------------------------------------------------- */

static void write_name(struct json_writer *w, const char *name, const struct digest *key)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(key->bytes, DIGEST_BYTES, hex);
    json_writer_text(w, name, span_of(hex));
}

static void write_item(struct json_writer *w, const struct browse_item *e, bool texts)
{
    json_writer_open(w, NULL, '{');
    write_name(w, "entry", &e->key);
    write_name(w, "partition", &e->partition);
    write_name(w, "tenant", &e->tenant);
    json_writer_text(w, "model", (struct span){e->model, e->model_len});
    if (texts)
        json_writer_text(w, "question", (struct span){e->question, e->question_len});
    json_writer_u64(w, "created_ms", e->created_ms);
    json_writer_u64(w, "expires_ms", e->expires_ms);
    json_writer_real(w, "took_seconds", (double)e->took_us / 1e6);
    json_writer_u64(w, "prompt_tokens", e->prompt_tokens);
    json_writer_u64(w, "completion_tokens", e->completion_tokens);
    json_writer_u64(w, "answer_bytes", e->answer_bytes);
    json_writer_bool(w, "semantic", e->semantic);
    json_writer_close(w, '}');
}

static void write_group(struct json_writer *w, const struct browse_group *g)
{
    json_writer_open(w, NULL, '{');
    write_name(w, "partition", &g->partition);
    write_name(w, "tenant", &g->tenant);
    json_writer_text(w, "model", (struct span){g->model, g->model_len});
    json_writer_u64(w, "entries", g->entries);
    json_writer_u64(w, "answer_bytes", g->answer_bytes);
    json_writer_u64(w, "oldest_ms", g->oldest_ms);
    json_writer_u64(w, "newest_ms", g->newest_ms);
    json_writer_close(w, '}');
}

static int most_entries_first(const void *x, const void *y)
{
    const struct browse_group *a = x, *b = y;

    return (a->entries < b->entries) - (a->entries > b->entries);
}

static void write_page(struct json_writer *w, struct browse *b, bool whole)
{
    bool texts = b->filter.questions;

    qsort(b->groups, b->group_count, sizeof(b->groups[0]), most_entries_first);
    json_writer_open(w, NULL, '{');
    json_writer_bool(w, "questions", texts);
    /* Whether all was looked through in time. */
    json_writer_bool(w, "whole", whole);
    json_writer_u64(w, "matched", b->matched);
    if (b->count == b->page && b->count > 0) {
        const struct browse_item *last = &b->items[b->count - 1];
        char hex[2 * DIGEST_BYTES + 1], next[sizeof(hex) + 24];

        digest_hex(last->key.bytes, DIGEST_BYTES, hex);
        (void)snprintf(next, sizeof(next), "%" PRIu64 "-%s", last->created_ms, hex);
        json_writer_text(w, "next", span_of(next));
    }
    json_writer_open(w, "entries", '[');
    for (size_t i = 0; i < b->count; i++)
        write_item(w, &b->items[i], texts);
    json_writer_close(w, ']');
    json_writer_u64(w, "ungrouped", b->ungrouped);
    json_writer_open(w, "partitions", '[');
    for (size_t i = 0; i < b->group_count; i++)
        write_group(w, &b->groups[i]);
    json_writer_close(w, ']');
    json_writer_close(w, '}');
    json_writer_raw(w, SPAN("\n"));
}

static void respond_page(struct admin_call *c, bool whole)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, BODY_MAX_BYTES);
    w = (struct json_writer){&out, ST_OK, false};
    write_page(&w, c->browse, whole);
    if (w.st == ST_OK)
        call_respond(c, 200, JSON_TYPE, buf_span(&out));
    else
        call_refuse(c, 500, "the answer does not fit its buffer");
    buf_release(&out);
}

struct browsing {
    struct browse browse;
    struct admin_call *call; /* borrowed: waits for done */
};

static void on_browsed(struct browse *b, enum status st)
{
    struct browsing *own = CONTAINER_OF(b, struct browsing, browse);
    struct admin_call *c = own->call;

    if (c->stream != NULL && (st == ST_OK || st == ST_TIMEOUT))
        respond_page(c, st == ST_OK);
    else if (c->stream != NULL)
        call_refuse(c, 503, "the store could not be read to the end; ask again");
    c->browse = NULL;
    free(own);
    admin_call_gone(c);
}

void entries_list(struct admin_call *c)
{
    struct proxy *p = c->view->proxy;
    struct browsing *own = calloc(1, sizeof(*own));
    const char *trouble;

    if (own == NULL) {
        call_refuse(c, 503, "out of memory");
        return;
    }
    own->call = c;
    own->browse.page = PAGE_DEFAULT;
    own->browse.done = on_browsed;
    own->browse.filter.questions = p->parts.config->explain.show_questions;
    trouble = read_query(http_stream_head(c->stream)->query, &own->browse);
    if (trouble != NULL) {
        free(own);
        call_refuse(c, 400, trouble);
        return;
    }
    if (cache_browse(p->parts.cache, &own->browse) != ST_OK) {
        free(own);
        call_refuse(c, 503, "the store is being read for something else; ask again");
        return;
    }
    c->browse = &own->browse;
}
