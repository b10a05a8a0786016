#include "rt/dns.h"

#include <sys/select.h> /* ares.h wants fd_set */
#include <ares.h>
#include <assert.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/list.h"
#include "rt/loop.h"
#include "rt/timer.h"

#define NAMES_MAX 64      /* remembered; the oldest is forgotten */
#define TICK_US   100000  /* c-ares counts its own time-outs; it must be asked */
#define FAILED_US 1000000 /* a failure is not asked again sooner */
#define TRY_MS    2000
/* An old answer is at hand: wait this long for a new one. Shorter than any deadline of a
 * connection, which c-ares' own TRIES of TRY_MS are not. */
#define STALE_WAIT_US 500000
/* An answer that must not be kept is kept this long, so that a burst asks once. */
#define TTL_MIN_S 1
#define TRIES     3

/* A socket of c-ares, watched. */
struct watch {
    struct list_node link;
    struct dns *dns;
    ares_socket_t fd;
    uv_poll_t poll;
};

/* One name: what is known of it, and who waits for it. */
struct name {
    struct list_node link;
    struct dns *dns;
    char host[256];
    struct sockaddr_storage list[DNS_ADDRESSES_MAX];
    size_t count;
    uint64_t fresh_until_us;
    bool asking;
    bool failing; /* the last look-up gave nothing */
    enum status status;
    struct dns_query *waiting;
    struct dns_query *told; /* being told now, one by one */
    struct timer patience;  /* for a new answer while there is an old one */
    struct loop_msg tell;
    bool posted; /* on_tell is due or under way */
};

struct dns {
    struct loop *loop;
    ares_channel channel;
    uint64_t ttl_max_us;
    struct list_node watches, names;
    size_t name_count;
    struct timer tick;
    unsigned in_flight; /* posted messages and open watches */
    bool closed;
};

static void maybe_free(struct dns *d)
{
    if (!d->closed || d->in_flight > 0)
        return;
    while (!list_empty(&d->names)) {
        struct name *n = CONTAINER_OF(d->names.next, struct name, link);

        timer_stop(d->loop, &n->patience);
        list_remove(&n->link);
        free(n);
    }
    free(d);
}

/* --- c-ares on libuv --------------------------------------------------------------- */

static void on_poll(uv_poll_t *p, int status, int events)
{
    struct watch *w = CONTAINER_OF(p, struct watch, poll);
    ares_socket_t r = ARES_SOCKET_BAD, s = ARES_SOCKET_BAD;

    if (status < 0 || (events & UV_READABLE))
        r = w->fd;
    if (status < 0 || (events & UV_WRITABLE))
        s = w->fd;
    ares_process_fd(w->dns->channel, r, s);
}

static void on_watch_closed(uv_handle_t *h)
{
    struct watch *w = CONTAINER_OF(h, struct watch, poll);
    struct dns *d = w->dns;

    free(w);
    d->in_flight--;
    maybe_free(d);
}

static struct watch *find_watch(struct dns *d, ares_socket_t fd)
{
    for (struct list_node *n = d->watches.next; n != &d->watches; n = n->next) {
        struct watch *w = CONTAINER_OF(n, struct watch, link);

        if (w->fd == fd)
            return w;
    }
    return NULL;
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns *d = arg;
    struct watch *w = find_watch(d, fd);

    if (!readable && !writable) {
        if (w != NULL) {
            list_remove(&w->link);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return;
    }
    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        if (w == NULL)
            return; /* c-ares runs into its own time-out */
        w->dns = d;
        w->fd = fd;
        if (uv_poll_init_socket(loop_uv(d->loop), &w->poll, fd) != 0) {
            free(w);
            return;
        }
        list_append(&d->watches, &w->link);
        d->in_flight++;
    }
    uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                  on_poll);
}

static void on_tick(struct timer *t)
{
    struct dns *d = CONTAINER_OF(t, struct dns, tick);
    bool asking = false;

    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (struct list_node *n = d->names.next; n != &d->names; n = n->next)
        asking |= CONTAINER_OF(n, struct name, link)->asking;
    if (asking)
        timer_start(d->loop, &d->tick, TICK_US, on_tick);
}

/* --- answers ----------------------------------------------------------------------- */

static void tell_later(struct name *n);

static void on_tell(struct loop_msg *m)
{
    struct name *n = CONTAINER_OF(m, struct name, tell);
    struct dns *d = n->dns;
    struct dns_query *q;

    /* Each `done` may cancel any of the others, ask again or close the resolver:
     * `posted` and `in_flight` keep name and resolver until the last is told. */
    n->told = n->waiting;
    n->waiting = NULL;
    timer_stop(d->loop, &n->patience);
    while ((q = n->told) != NULL) {
        n->told = q->next;
        q->state = NULL;
        if (d->closed)
            q->done(q, ST_CANCELED, NULL, 0);
        else if (n->count > 0)
            q->done(q, ST_OK, n->list, n->count);
        else
            q->done(q, n->status, NULL, 0);
    }
    n->posted = false;
    if (n->waiting != NULL && !n->asking)
        tell_later(n);
    d->in_flight--;
    maybe_free(d);
}

static void tell_later(struct name *n)
{
    if (n->posted || n->waiting == NULL)
        return;
    n->posted = true;
    n->dns->in_flight++;
    loop_defer(n->dns->loop, &n->tell, on_tell);
}

static enum status translate(int code)
{
    switch (code) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return ST_NOTFOUND;
    case ARES_ETIMEOUT:
        return ST_TIMEOUT;
    case ARES_ENOMEM:
        return ST_NOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return ST_CANCELED;
    default:
        return ST_UNAVAILABLE;
    }
}

static void on_impatient(struct timer *t)
{
    tell_later(CONTAINER_OF(t, struct name, patience));
}

static uint64_t bound_ttl(uint64_t ttl_us, int ttl_s)
{
    uint64_t us = (uint64_t)(ttl_s > TTL_MIN_S ? ttl_s : TTL_MIN_S) * 1000000;

    return us < ttl_us ? us : ttl_us;
}

static void keep(struct name *n, const struct ares_addrinfo *info)
{
    uint64_t ttl_us = n->dns->ttl_max_us;

    for (const struct ares_addrinfo_cname *c = info->cnames; c != NULL; c = c->next)
        ttl_us = bound_ttl(ttl_us, c->ttl);
    n->count = 0;
    for (const struct ares_addrinfo_node *a = info->nodes;
         a != NULL && n->count < DNS_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(n->list[0]))
            continue;
        memset(&n->list[n->count], 0, sizeof(n->list[0]));
        memcpy(&n->list[n->count++], a->ai_addr, a->ai_addrlen);
        ttl_us = bound_ttl(ttl_us, a->ai_ttl);
    }
    n->fresh_until_us = loop_now_us(n->dns->loop) + ttl_us;
}

static void on_answer(void *arg, int code, int timeouts, struct ares_addrinfo *info)
{
    struct name *n = arg;

    (void)timeouts;
    n->asking = false;
    n->failing = code != ARES_SUCCESS || info == NULL || info->nodes == NULL;
    n->status = code == ARES_SUCCESS ? ST_NOTFOUND : translate(code);
    if (!n->failing)
        keep(n, info);
    else
        /* The last good answer, if any, stays. */
        n->fresh_until_us = loop_now_us(n->dns->loop) + FAILED_US;
    if (info != NULL)
        ares_freeaddrinfo(info);
    tell_later(n);
}

/* --- names ------------------------------------------------------------------------- */

static void forget_oldest(struct dns *d)
{
    for (struct list_node *x = d->names.next; x != &d->names; x = x->next) {
        struct name *n = CONTAINER_OF(x, struct name, link);

        if (n->asking || n->posted || n->waiting != NULL)
            continue;
        timer_stop(d->loop, &n->patience);
        list_remove(&n->link);
        free(n);
        d->name_count--;
        return;
    }
}

static struct name *find_name(struct dns *d, const char *host)
{
    struct name *n;

    for (struct list_node *x = d->names.next; x != &d->names; x = x->next) {
        n = CONTAINER_OF(x, struct name, link);
        if (strcmp(n->host, host) == 0)
            return n;
    }
    if (d->name_count >= NAMES_MAX)
        forget_oldest(d);
    if (d->name_count >= NAMES_MAX)
        return NULL; /* all of them are being asked */
    n = calloc(1, sizeof(*n));
    if (n == NULL)
        return NULL;
    n->dns = d;
    memcpy(n->host, host, strlen(host) + 1);
    list_append(&d->names, &n->link);
    d->name_count++;
    return n;
}

static void ask(struct name *n)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct dns *d = n->dns;

    n->asking = true;
    ares_getaddrinfo(d->channel, n->host, NULL, &hints, on_answer, n);
    if (n->asking && d->tick.slot == 0)
        timer_start(d->loop, &d->tick, TICK_US, on_tick);
}

enum status dns_resolve(struct dns *d, const char *host, struct dns_query *q, dns_done_fn *done)
{
    struct name *n;

    if (strlen(host) >= sizeof(n->host))
        return ST_INVALID;
    n = find_name(d, host);
    if (n == NULL)
        return ST_OVERLOAD;
    q->done = done;
    q->state = n;
    q->next = n->waiting;
    n->waiting = q;
    if (n->fresh_until_us > loop_now_us(d->loop)) {
        tell_later(n);
        return ST_OK;
    }
    if (!n->asking)
        ask(n);
    /* A server that failed before is not waited for while there is an old answer. */
    if (n->count > 0 && n->failing)
        tell_later(n);
    else if (n->count > 0 && n->asking && n->patience.slot == 0)
        timer_start(d->loop, &n->patience, STALE_WAIT_US, on_impatient);
    return ST_OK;
}

static bool unlink_query(struct dns_query **head, const struct dns_query *q)
{
    for (struct dns_query **p = head; *p != NULL; p = &(*p)->next) {
        if (*p == q) {
            *p = q->next;
            return true;
        }
    }
    return false;
}

void dns_cancel(struct dns *d, struct dns_query *q)
{
    struct name *n = q->state;

    (void)d;
    if (n == NULL)
        return;
    if (!unlink_query(&n->waiting, q))
        (void)unlink_query(&n->told, q);
    q->state = NULL;
}

static uv_once_t library_once = UV_ONCE_INIT;

/* Counts without a lock, and resolvers are opened by several threads. */
static void init_library(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL);
}

enum status dns_open(struct loop *loop, uint32_t ttl_max_s, const char *servers,
                     struct dns **out)
{
    struct ares_options o = {.timeout = TRY_MS, .tries = TRIES};
    struct dns *d = calloc(1, sizeof(*d));
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;

    if (d == NULL)
        return ST_NOMEM;
    uv_once(&library_once, init_library);
    d->loop = loop;
    d->ttl_max_us = (uint64_t)ttl_max_s * 1000000;
    list_init(&d->watches);
    list_init(&d->names);
    o.sock_state_cb = on_socket_state;
    o.sock_state_cb_data = d;
    if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS)
        goto fail_channel;
    if (servers != NULL && ares_set_servers_ports_csv(d->channel, servers) != ARES_SUCCESS)
        goto fail_servers;
    *out = d;
    return ST_OK;

fail_servers:
    ares_destroy(d->channel);
fail_channel:
    free(d);
    return ST_UNAVAILABLE;
}

void dns_close(struct dns *d)
{
    d->in_flight++;
    timer_stop(d->loop, &d->tick);
    d->closed = true;
    ares_destroy(d->channel); /* every on_answer comes now, every socket closes */
    d->in_flight--;
    maybe_free(d);
}
