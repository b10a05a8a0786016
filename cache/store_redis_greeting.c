/* What is said first on a connection to Redis: who we are, which database, and a PING.
 *
 *   HELLO (or AUTH, of a server that knows none) --> SELECT --> PING --> ready
 *
 * Each has a deadline; whatever is refused ends the connection, which comes back later. */
#include <stdio.h>
#include <string.h>

#include "cache/store_redis_conn_internal.h"

static void greet_or_drop(struct store_redis_conn *c, const struct span *part, int parts,
                          store_redis_done_fn *done)
{
    if (store_redis_conn_enqueue(c, part, parts, store_redis_conn_patience_us(c), done, c,
                                 NULL) != ST_OK)
        store_redis_conn_drop(c, "out of memory", true);
}

/* An answer is enough: a user who may not ping may well read. */
static void on_first_pong(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK || store_redis_conn_is_error(r, "NOPERM"))
        store_redis_conn_become_ready(c);
    else if (st == ST_INVALID)
        store_redis_conn_refused(c, r);
}

/* All before is answered while a server loads or has lost its master; this is not. One that was
 * left because look-ups waited for it in vain must be as fast as a look-up now: else each time
 * it is back a few of them would wait again. */
static void ping(struct store_redis_conn *c)
{
    const struct span parts[1] = {SPAN("PING")};
    uint64_t deadline_us =
        c->stalled ? c->options.deadline_us : store_redis_conn_patience_us(c);

    if (store_redis_conn_enqueue(c, parts, 1, deadline_us, on_first_pong, c, NULL) != ST_OK)
        store_redis_conn_drop(c, "out of memory", true);
}

static void on_selected(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK)
        ping(c);
    else if (st == ST_INVALID)
        store_redis_conn_refused(c, r);
}

static void select_db(struct store_redis_conn *c)
{
    char text[16];
    struct span parts[2] = {SPAN("SELECT"), {text, 0}};

    if (c->options.url.db == 0) {
        ping(c);
        return;
    }
    parts[1].len = (size_t)snprintf(text, sizeof(text), "%u", c->options.url.db);
    greet_or_drop(c, parts, 2, on_selected);
}

static void on_authenticated(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK)
        select_db(c);
    else if (st == ST_INVALID)
        store_redis_conn_refused(c, r);
}

/* A server that knows no HELLO (before 6, or a proxy) knows no users either, unless
 * one is named. */
static void authenticate(struct store_redis_conn *c)
{
    const struct redis_url *u = &c->options.url;
    struct span parts[3] = {SPAN("AUTH")};
    int n = 1;

    if (u->password[0] == '\0') {
        select_db(c);
        return;
    }
    if (strcmp(u->user, "default") != 0)
        parts[n++] = span_of(u->user);
    parts[n++] = span_of(u->password);
    greet_or_drop(c, parts, n, on_authenticated);
}

/* HELLO answers with names and values in turn. NULL: it does not say. */
static const redisReply *said(const redisReply *r, const char *what)
{
    if (r->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const redisReply *name = r->element[i], *value = r->element[i + 1];

        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, what) == 0)
            return value;
    }
    return NULL;
}

/* It is shown: a word without what is not printable. */
static void take_version(struct store_redis_conn *c, const redisReply *r)
{
    const redisReply *version = said(r, "version");
    size_t n = 0;

    while (version != NULL && n < (size_t)version->len && n + 1 < sizeof(c->version) &&
           version->str[n] > ' ' && version->str[n] < 0x7f) {
        c->version[n] = version->str[n];
        n++;
    }
    c->version[n] = '\0';
}

static void on_hello(void *owner, enum status st, const redisReply *r)
{
    struct store_redis_conn *c = owner;

    if (st == ST_OK) {
        const redisReply *mode = said(r, "mode");

        c->cluster = mode != NULL && strcmp(mode->str, "cluster") == 0;
        take_version(c, r);
        select_db(c);
    } else if (st == ST_INVALID && (store_redis_conn_is_error(r, "ERR") ||
                                    store_redis_conn_is_error(r, "NOPROTO"))) {
        c->plain_auth = true;
        authenticate(c);
    } else if (st == ST_INVALID) {
        store_redis_conn_refused(c, r);
    }
}

/* Anew each time: it may have been changed since. A small local file, so the loop reads it. */
static bool read_password(struct store_redis_conn *c)
{
    struct redis_url *u = &c->options.url;
    size_t n;
    FILE *f = fopen(c->options.password_file, "re");

    if (f == NULL)
        return false;
    n = fread(u->password, 1, sizeof(u->password), f);
    fclose(f);
    while (n > 0 && (u->password[n - 1] == '\n' || u->password[n - 1] == '\r'))
        n--;
    if (n == 0 || n == sizeof(u->password))
        n = 0;
    u->password[n] = '\0';
    return n > 0;
}

void store_redis_greeting_start(struct store_redis_conn *c)
{
    const struct redis_url *u = &c->options.url;
    struct span parts[STORE_REDIS_ARGS_MAX] = {SPAN("HELLO"), SPAN("2")};
    int n = 2;

    if (c->options.password_file != NULL && !read_password(c)) {
        store_redis_conn_drop(c, "store.password_file cannot be read, is empty or too long",
                              false);
        return;
    }
    if (c->plain_auth) {
        authenticate(c);
        return;
    }
    if (u->password[0] != '\0') {
        parts[n++] = SPAN("AUTH");
        parts[n++] = span_of(u->user);
        parts[n++] = span_of(u->password);
    }
    greet_or_drop(c, parts, n, on_hello);
}
