#include "cli/cache_send.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/json.h"
#include "cache/entry.h"
#include "cli/entry_line.h"
#include "cli/fetch.h"
#include "config/config.h"

#define ENTRIES_PATH "/admin/v1/entries"
#define BATCH        64
/* A batch that is longer goes out, so that its loop is not held up for long. */
#define BATCH_BYTES      ((size_t)256 * 1024)
#define ANSWER_BYTES_MAX 65536
#define DEADLINE_MS      30000
/* While its store has no room in its queue; so often in vain. */
#define TRIES    500
#define PAUSE_NS 10000000

static bool ask(struct cache_send *s, const char *path, struct span body, struct buf *answer,
                bool quiet)
{
    struct fetch f = {.address = s->address,
                      .path = path,
                      .token = s->token,
                      .body = body,
                      .deadline_ms = DEADLINE_MS,
                      .cert_file = s->config->tls.cert_file,
                      .own_cert_file = s->config->admin.own_cert_file,
                      .own_key_file = s->config->admin.own_key_file};
    char why[512] = "";

    if (fetch_body(&f, answer, why, sizeof(why)) == ST_OK)
        return true;
    if (!quiet)
        fprintf(stderr, "ibid: %s\n", why);
    return false;
}

bool cache_send_open(struct cache_send *s, const struct config *c, const char *address,
                     bool quiet)
{
    struct buf answer;
    bool ok;

    *s = (struct cache_send){.config = c, .address = address};
    buf_init(&s->batch, BATCH_BYTES + 2 * (size_t)ENTRY_FRAME_BYTES_MAX);
    buf_init(&s->line, 2 * (size_t)ENTRY_FRAME_BYTES_MAX);
    buf_init(&s->frame, ENTRY_FRAME_BYTES_MAX);
    if (!fetch_read_token(c, s->token, sizeof(s->token)))
        return false;
    buf_init(&answer, 8 * 1024 * 1024);
    ok = ask(s, "/admin/v1/models", (struct span){NULL, 0}, &answer, quiet);
    buf_release(&answer);
    return ok;
}

void cache_send_close(struct cache_send *s)
{
    buf_release(&s->batch);
    buf_release(&s->line);
    buf_release(&s->frame);
}

static bool number(const struct json *v, struct span name, uint64_t *out)
{
    return json_u64(json_get(v, name), out);
}

/* How many of the batch's lines are dealt with. */
static bool read_answer(struct cache_send *s, struct span text, uint64_t *lines)
{
    uint64_t taken, expired, refused;
    struct json_error err;
    struct arena arena;
    struct json *v;
    bool ok;

    arena_init(&arena, ANSWER_BYTES_MAX, 4 * ANSWER_BYTES_MAX);
    ok = json_parse(&arena, text, 4, &v, &err) == ST_OK && number(v, SPAN("lines"), lines) &&
         number(v, SPAN("taken"), &taken) && number(v, SPAN("expired"), &expired) &&
         number(v, SPAN("refused"), &refused) && taken + expired + refused == *lines &&
         *lines <= s->entries;
    arena_release(&arena);
    if (ok) {
        s->taken += taken;
        s->lost += refused;
    } else {
        fprintf(stderr, "ibid: '%s': this is not the answer of an ibid that takes entries\n",
                s->address);
    }
    return ok;
}

static void drop_lines(struct cache_send *s, uint64_t lines)
{
    s->entries -= (size_t)lines;
    for (; lines > 0; lines--) {
        const char *end = memchr(s->batch.ptr, '\n', s->batch.len);

        buf_consume(&s->batch, end != NULL ? (size_t)(end + 1 - s->batch.ptr) : s->batch.len);
    }
}

bool cache_send_settle(struct cache_send *s)
{
    const struct timespec pause = {0, PAUSE_NS};
    unsigned tries = 0;
    struct buf answer;
    bool ok = true;

    buf_init(&answer, ANSWER_BYTES_MAX);
    while (ok && s->entries > 0 && tries < TRIES) {
        uint64_t lines = 0;

        buf_clear(&answer);
        ok = ask(s, ENTRIES_PATH, buf_span(&s->batch), &answer, false) &&
             read_answer(s, buf_span(&answer), &lines);
        drop_lines(s, lines);
        tries = lines > 0 ? 0 : tries + 1;
        if (s->entries > 0)
            nanosleep(&pause, NULL);
    }
    buf_release(&answer);
    s->lost += s->entries;
    s->entries = 0;
    buf_clear(&s->batch);
    return ok;
}

bool cache_send_put(struct cache_send *s, const struct entry *e)
{
    if (entry_line_write(&s->line, &s->frame, e) != ST_OK)
        return false;
    if (s->entries > 0 && (s->entries == BATCH || s->batch.len + s->line.len > BATCH_BYTES) &&
        !cache_send_settle(s))
        return false;
    if (buf_append(&s->batch, buf_span(&s->line)) != ST_OK)
        return false;
    s->entries++;
    return true;
}
