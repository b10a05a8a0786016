#include "cache/refusals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/guard_text.h"
#include "cache/keyset.h"

#define PATH_BYTES 2048
/* A digest in hexadecimal, and the end of the line. */
#define LINE_BYTES (2 * DIGEST_BYTES + 1)

struct refusals {
    char path[PATH_BYTES]; /* empty: none */
    size_t max;
    struct digest *list; /* owned; the oldest first. Loop thread. */
    atomic_size_t count; /* of it; relaxed: others only ask whether there are any */

    pthread_mutex_t mutex; /* guards `set` */
    struct keyset set;
};

/* --- in memory -------------------------------------------------------------------- */

static void take_out(struct refusals *r, size_t at)
{
    size_t count = refusals_count(r);

    pthread_mutex_lock(&r->mutex);
    (void)keyset_remove(&r->set, &r->list[at], 1);
    pthread_mutex_unlock(&r->mutex);
    memmove(&r->list[at], &r->list[at + 1], (count - at - 1) * sizeof(*r->list));
    atomic_store_explicit(&r->count, count - 1, memory_order_relaxed);
}

static enum status put_in(struct refusals *r, const struct digest *pair)
{
    enum status st;

    if (refusals_have(r, pair))
        return ST_OK;
    if (r->max == 0)
        return ST_LIMIT;
    if (refusals_count(r) == r->max)
        take_out(r, 0);
    pthread_mutex_lock(&r->mutex);
    st = keyset_set(&r->set, pair, 1);
    pthread_mutex_unlock(&r->mutex);
    if (st != ST_OK)
        return st;
    r->list[refusals_count(r)] = *pair;
    atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
    return ST_OK;
}

bool refusals_have(struct refusals *r, const struct digest *pair)
{
    bool found;

    pthread_mutex_lock(&r->mutex);
    found = keyset_find(&r->set, pair) != 0;
    pthread_mutex_unlock(&r->mutex);
    return found;
}

size_t refusals_count(const struct refusals *r)
{
    return atomic_load_explicit(&r->count, memory_order_relaxed);
}

static void hash_text(struct span s, struct digest *out)
{
    if (s.len > GUARD_TEXT_BYTES_MAX)
        s.len = GUARD_TEXT_BYTES_MAX;
    digest_sha256(s, out);
}

void refusals_pair(const struct digest *partition, struct span a, struct span b,
                   struct digest *out)
{
    struct digest all[3] = {*partition};

    hash_text(a, &all[1]);
    hash_text(b, &all[2]);
    if (memcmp(all[1].bytes, all[2].bytes, DIGEST_BYTES) > 0) {
        struct digest first = all[2];

        all[2] = all[1];
        all[1] = first;
    }
    digest_sha256((struct span){(const char *)all, sizeof(all)}, out);
}

/* --- the file --------------------------------------------------------------------- */

/* Written whole under another name: whoever reads it finds the one before or this one. */
static enum status save(const struct refusals *r)
{
    char temp[PATH_BYTES + 8], line[LINE_BYTES + 1];
    bool ok = true;
    FILE *f;

    if (r->path[0] == '\0')
        return ST_UNAVAILABLE;
    snprintf(temp, sizeof(temp), "%s.new", r->path);
    f = fopen(temp, "we");
    if (f == NULL)
        goto fail;
    for (size_t i = 0; i < refusals_count(r) && ok; i++) {
        digest_hex(r->list[i].bytes, DIGEST_BYTES, line);
        line[LINE_BYTES - 1] = '\n';
        ok = fwrite(line, 1, LINE_BYTES, f) == LINE_BYTES;
    }
    ok = fclose(f) == 0 && ok;
    if (ok && rename(temp, r->path) == 0)
        return ST_OK;
fail:
    log_at(LOG_WARN, NULL, kv_event("refused_pairs_not_written"), kv_str("path", r->path),
           kv_str("why", strerror(errno)));
    return ST_UNAVAILABLE;
}

static void load(struct refusals *r)
{
    char line[LINE_BYTES + 2];
    struct digest pair;
    uint64_t bad = 0;
    FILE *f = fopen(r->path, "re");

    if (f == NULL && errno == ENOENT)
        return;
    if (f == NULL) {
        log_at(LOG_WARN, NULL, kv_event("refused_pairs_not_read"), kv_str("path", r->path),
               kv_str("why", strerror(errno)));
        return;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        size_t n = strcspn(line, "\n");

        if (n != LINE_BYTES - 1 || !digest_from_hex((struct span){line, n}, &pair) ||
            put_in(r, &pair) != ST_OK)
            bad++;
    }
    fclose(f);
    if (bad > 0)
        log_at(LOG_WARN, NULL, kv_event("refused_pairs_harmed"), kv_str("path", r->path),
               kv_u64("lines", bad));
}

/* --- open, close, change ---------------------------------------------------------- */

enum status refusals_open(const char *data_dir, size_t max, struct refusals **out)
{
    struct refusals *r = calloc(1, sizeof(*r));
    int n = 0;

    if (r == NULL)
        return ST_NOMEM;
    r->max = max;
    r->list = calloc(max + 1, sizeof(*r->list)); /* never of no bytes */
    if (data_dir != NULL && data_dir[0] != '\0')
        n = snprintf(r->path, sizeof(r->path), "%s/refused_pairs", data_dir);
    if (r->list == NULL || n < 0 || (size_t)n >= sizeof(r->path)) {
        free(r->list);
        free(r);
        return n == 0 ? ST_NOMEM : ST_INVALID;
    }
    atomic_init(&r->count, 0);
    pthread_mutex_init(&r->mutex, NULL);
    keyset_init(&r->set);
    if (r->path[0] != '\0')
        load(r);
    *out = r;
    return ST_OK;
}

void refusals_close(struct refusals *r)
{
    keyset_release(&r->set);
    pthread_mutex_destroy(&r->mutex);
    free(r->list);
    free(r);
}

enum status refusals_add(struct refusals *r, const struct digest *pair)
{
    enum status st = put_in(r, pair);

    return st == ST_OK ? save(r) : st;
}

enum status refusals_remove(struct refusals *r, const struct digest *pair)
{
    for (size_t i = 0; i < refusals_count(r); i++) {
        if (digest_eq(&r->list[i], pair)) {
            take_out(r, i);
            return save(r);
        }
    }
    return ST_NOTFOUND;
}
