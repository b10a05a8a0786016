/* An item has fields "n" of blank-separated words: version, origin, kind, three digests
 * in hexadecimal and a time. The stream is trimmed to about LENGTH_MAX items.
 *
 * Who starts reads it from its beginning: reports count again, but what was removed then is
 * not looked for, because it may have been stored anew since (`old`). Or he says that he is
 * there, and reads from a little before that word on (`from_now`). */
#include "cache/store_redis_news.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cache/store_redis_call.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define VERSION           "1"
#define KEY_MAX           192
#define ID_MAX            48
#define TOGETHER_MAX      8 /* in one item */
#define LENGTH_MAX        "10000"
#define READ_MAX          64
#define READ_TEXT         "64"
#define POLL_US           (100u * 1000)
#define DEADLINE_LEAST_US (1000u * 1000)
#define ERROR_MAX         40
#define HEX_BYTES         (2 * DIGEST_BYTES)
#define HERE              "here"
/* What was stored while a scan had begun already, and nobody read yet. */
#define BEFORE_MS 10000u

struct waiting {
    char text[STORE_REDIS_NEWS_BYTES];
    size_t len;
};

struct store_redis_news {
    struct store_redis_news_options options;
    struct store_redis_nodes *redis; /* borrowed; NULL: not started */
    struct loop *loop;               /* borrowed (outlives) */
    char key[KEY_MAX];
    uint64_t origin;   /* this process: it does not listen to itself */
    char last[ID_MAX]; /* the item read last */
    bool old;          /* what is read was there before we were */
    bool closed, reading, sending;
    bool placed;  /* `last` is where to read on */
    size_t going; /* of those that wait, on their way */
    bool refused; /* Redis did, and that was said */
    struct timer poll;
    struct waiting *waiting; /* owned: a ring of options.waiting_max */
    size_t first, count;
    struct store_redis_news_stats stats;
};

/* Commands have their replies one after the other: what look-ups wait for, it waits for. */
static uint64_t deadline_us(const struct store_redis_news *n)
{
    return n->options.deadline_us > DEADLINE_LEAST_US ? n->options.deadline_us
                                                      : DEADLINE_LEAST_US;
}

/* --- an item -------------------------------------------------------------------------- */

static const char *const kinds[] = {
    [STORE_NEWS_GONE] = "gone",       [STORE_NEWS_PURGED] = "purged",
    [STORE_NEWS_REFUSED] = "refused", [STORE_NEWS_ALLOWED] = "allowed",
    [STORE_NEWS_STORED] = "stored",
};

size_t store_redis_news_write(const struct store_news *news, uint64_t origin,
                              char out[STORE_REDIS_NEWS_BYTES])
{
    char hex[3][HEX_BYTES + 1];
    int n;

    digest_hex(news->key.bytes, DIGEST_BYTES, hex[0]);
    digest_hex(news->partition.bytes, DIGEST_BYTES, hex[1]);
    digest_hex(news->tenant.bytes, DIGEST_BYTES, hex[2]);
    n = snprintf(out, STORE_REDIS_NEWS_BYTES, "%s %016" PRIx64 " %s %s %s %s %016" PRIx64,
                 VERSION, origin, kinds[news->kind], hex[0], hex[1], hex[2], news->before_ms);
    return n > 0 ? (size_t)n : 0;
}

static bool next_word(struct span *text, struct span *word)
{
    const char *blank = text->len > 0 ? memchr(text->ptr, ' ', text->len) : NULL;

    *word = (struct span){text->ptr, blank != NULL ? (size_t)(blank - text->ptr) : text->len};
    text->len -= word->len + (blank != NULL);
    text->ptr += word->len + (blank != NULL);
    return word->len > 0;
}

static bool read_number(struct span *text, uint64_t *out)
{
    struct span w;

    *out = 0;
    if (!next_word(text, &w) || w.len != 16)
        return false;
    for (size_t i = 0; i < w.len; i++) {
        char c = w.ptr[i];

        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static bool read_digest(struct span *text, struct digest *out)
{
    struct span w;

    return next_word(text, &w) && digest_from_hex(w, out);
}

static bool read_kind(struct span *text, enum store_news_kind *out)
{
    struct span w;

    if (!next_word(text, &w))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (span_eq(w, span_of(kinds[i]))) {
            *out = (enum store_news_kind)i;
            return true;
        }
    }
    return false;
}

bool store_redis_news_read(struct span text, struct store_news *out, uint64_t *origin)
{
    struct span version;

    *out = (struct store_news){.kind = STORE_NEWS_GONE};
    return next_word(&text, &version) && span_eq(version, SPAN(VERSION)) &&
           read_number(&text, origin) && read_kind(&text, &out->kind) &&
           read_digest(&text, &out->key) && read_digest(&text, &out->partition) &&
           read_digest(&text, &out->tenant) && read_number(&text, &out->before_ms) &&
           text.len == 0;
}

/* --- reading -------------------------------------------------------------------------- */

static void take_text(struct store_redis_news *n, const redisReply *text)
{
    struct store_news news;
    uint64_t origin;

    if (text->type != REDIS_REPLY_STRING ||
        !store_redis_news_read((struct span){text->str, (size_t)text->len}, &news, &origin) ||
        origin == n->origin)
        return;
    n->stats.heard_total++;
    n->options.heard(n->options.owner, &news, n->old);
}

/* [id, ["n", text, …]]; of what is not ours only the id counts. */
static void take_item(struct store_redis_news *n, const redisReply *item)
{
    const redisReply *id, *fields;

    if (item->type != REDIS_REPLY_ARRAY || item->elements != 2)
        return;
    id = item->element[0];
    fields = item->element[1];
    if (id->type != REDIS_REPLY_STRING || (size_t)id->len >= sizeof(n->last))
        return;
    memcpy(n->last, id->str, (size_t)id->len + 1);
    if (fields->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 1; i < fields->elements; i += 2)
        take_text(n, fields->element[i]);
}

/* [[key, items]], or nil when there is nothing new. Returns how many there were. */
static size_t take_items(struct store_redis_news *n, const redisReply *r)
{
    const redisReply *stream, *items;

    if (r->type != REDIS_REPLY_ARRAY || r->elements != 1)
        return 0;
    stream = r->element[0];
    if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2)
        return 0;
    items = stream->element[1];
    if (items->type != REDIS_REPLY_ARRAY)
        return 0;
    for (size_t i = 0; i < items->elements; i++)
        take_item(n, items->element[i]);
    return items->elements;
}

/* A Redis without streams for us (ACL, another kind of key): said once, until it works. */
static void note_refusal(struct store_redis_news *n, enum status st, const redisReply *r)
{
    size_t len = 0;

    if (st == ST_OK)
        n->refused = false;
    if (st != ST_INVALID || n->refused)
        return;
    n->refused = true;
    /* The words Redis begins an error with; what follows may quote our key. */
    while (len < (size_t)r->len && len < ERROR_MAX && r->str[len] > ' ' && r->str[len] < 0x7f)
        len++;
    log_at(LOG_WARN, NULL, kv_event("redis_news_refused"),
           kv_span("why", (struct span){r->str, len}));
}

static void on_poll(struct timer *t);

static void on_read(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_news *n = owner;
    size_t taken = 0;

    n->reading = false;
    if (n->closed) {
        n->options.ended(n->options.owner);
        return;
    }
    note_refusal(n, st, r);
    if (st == ST_OK) {
        taken = take_items(n, r);
        if (taken < READ_MAX)
            n->old = false;
    }
    timer_start(n->loop, &n->poll, taken == READ_MAX ? 1 : POLL_US, on_poll);
}

/* --- telling -------------------------------------------------------------------------- */

static void send_first(struct store_redis_news *n);

static void on_sent(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_news *n = owner;

    (void)r;
    n->sending = false;
    if (n->closed)
        n->options.ended(n->options.owner);
    if (n->closed || st != ST_OK)
        return; /* again with the next poll */
    n->first = (n->first + n->going) % n->options.waiting_max;
    n->count -= n->going;
    n->stats.sent_total += n->going;
    send_first(n);
}

static bool append(struct store_redis_news *n, const struct span *texts, size_t count,
                   store_redis_done_fn *done)
{
    struct span parts[6 + 2 * TOGETHER_MAX] = {SPAN("XADD"), span_of(n->key),  SPAN("MAXLEN"),
                                               SPAN("~"),    SPAN(LENGTH_MAX), SPAN("*")};

    for (size_t i = 0; i < count; i++) {
        parts[6 + 2 * i] = SPAN("n");
        parts[7 + 2 * i] = texts[i];
    }
    return store_redis_call_send(n->redis, parts[1], parts, 6 + 2 * (int)count, deadline_us(n),
                                 done, n, NULL) == ST_OK;
}

static void send_first(struct store_redis_news *n)
{
    struct span texts[TOGETHER_MAX];

    if (n->count == 0 || n->sending || n->redis == NULL)
        return;
    n->going = n->count < TOGETHER_MAX ? n->count : TOGETHER_MAX;
    for (size_t i = 0; i < n->going; i++) {
        const struct waiting *w = &n->waiting[(n->first + i) % n->options.waiting_max];

        texts[i] = (struct span){w->text, w->len};
    }
    n->sending = append(n, texts, n->going, on_sent);
}

/* The place of our own word: "milliseconds-number", Redis' clock. */
static void on_placed(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_news *n = owner;
    uint64_t ms = 0;

    n->reading = false;
    if (n->closed) {
        n->options.ended(n->options.owner);
        return;
    }
    note_refusal(n, st, r);
    if (st == ST_OK && r->type == REDIS_REPLY_STRING) {
        for (size_t i = 0; i < (size_t)r->len && r->str[i] >= '0' && r->str[i] <= '9'; i++)
            ms = ms * 10 + (uint64_t)(r->str[i] - '0');
        snprintf(n->last, sizeof(n->last), "%" PRIu64 "-0",
                 ms > BEFORE_MS ? ms - BEFORE_MS : 0);
        n->placed = true;
    }
    timer_start(n->loop, &n->poll, n->placed ? 1 : POLL_US, on_poll);
}

static void on_poll(struct timer *t)
{
    const struct span here = SPAN(HERE);
    struct store_redis_news *n = CONTAINER_OF(t, struct store_redis_news, poll);
    const struct span parts[] = {SPAN("XREAD"),   SPAN("COUNT"),   SPAN(READ_TEXT),
                                 SPAN("STREAMS"), span_of(n->key), span_of(n->last)};

    send_first(n);
    n->reading = n->placed ? store_redis_call_send(n->redis, parts[4], parts, ARRAY_LEN(parts),
                                                   deadline_us(n), on_read, n, NULL) == ST_OK
                           : append(n, &here, 1, on_placed);
    if (!n->reading)
        timer_start(n->loop, &n->poll, POLL_US, on_poll);
}

enum status store_redis_news_tell(struct store_redis_news *n, const struct store_news *news)
{
    struct waiting *w;

    if (n->closed)
        return ST_UNAVAILABLE;
    if (n->count == n->options.waiting_max)
        return ST_OVERLOAD;
    w = &n->waiting[(n->first + n->count) % n->options.waiting_max];
    w->len = store_redis_news_write(news, n->origin, w->text);
    n->count++;
    send_first(n);
    return ST_OK;
}

/* --- opening and closing -------------------------------------------------------------- */

enum status store_redis_news_open(struct loop *loop, const struct store_redis_news_options *o,
                                  struct store_redis_news **out)
{
    struct store_redis_news *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return ST_NOMEM;
    n->waiting = calloc(o->waiting_max, sizeof(*n->waiting));
    if (n->waiting == NULL) {
        free(n);
        return ST_NOMEM;
    }
    n->options = *o;
    n->loop = loop;
    n->placed = !o->from_now;
    n->old = n->placed;
    snprintf(n->key, sizeof(n->key), "%s%s", o->prefix, o->name);
    snprintf(n->last, sizeof(n->last), "0-0");
    /* Without it we hear ourselves, which does no harm but to the index. */
    if (digest_random((uint8_t *)&n->origin, sizeof(n->origin)) != ST_OK)
        n->origin = clock_now_us();
    *out = n;
    return ST_OK;
}

void store_redis_news_start(struct store_redis_news *n, struct store_redis_nodes *redis)
{
    n->redis = redis;
    timer_start(n->loop, &n->poll, 0, on_poll);
}

void store_redis_news_close(struct store_redis_news *n)
{
    n->closed = true;
    timer_stop(n->loop, &n->poll);
}

void store_redis_news_free(struct store_redis_news *n)
{
    free(n->waiting);
    free(n);
}

void store_redis_news_stats(const struct store_redis_news *n,
                            struct store_redis_news_stats *out)
{
    *out = n->stats;
    out->waiting = n->count;
}
