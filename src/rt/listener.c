/* SO_REUSEPORT is not POSIX. */
#define _DEFAULT_SOURCE

#include "rt/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "rt/address.h"
#include "rt/io_tcp.h"
#include "rt/loop.h"
#include "rt/timer.h"

/* Out of descriptors: wait this long before the next try, so that a full process
 * does not spin on a socket that stays readable. */
#define SHED_US      100000
#define LOG_EVERY_US 5000000

struct listener {
    struct loop *loop;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    bool unix_socket;
    bool paused;
    bool pending; /* a connection waits in libuv until uv_accept() */
    uint16_t port;
    listener_accept_fn *accept;
    void *owner;
    struct timer retry;
    uint64_t logged_us;
};

static void peer_name(struct io_tcp *t, bool unix_socket, char *out, size_t cap)
{
    struct sockaddr_storage a;
    int n = (int)sizeof(a);

    snprintf(out, cap, "%s", unix_socket ? "unix" : "unknown");
    if (unix_socket ||
        uv_tcp_getpeername((uv_tcp_t *)io_tcp_stream(t), (struct sockaddr *)&a, &n) != 0)
        return;
    if (a.ss_family == AF_INET)
        uv_ip4_name((struct sockaddr_in *)&a, out, cap);
    else
        uv_ip6_name((struct sockaddr_in6 *)&a, out, cap);
}

static void complain(struct listener *l, const char *why)
{
    uint64_t now = loop_now_us(l->loop);

    if (l->logged_us != 0 && now - l->logged_us < LOG_EVERY_US)
        return;
    l->logged_us = now;
    log_at(LOG_ERROR, NULL, kv_event("accept_failed"), kv_str("why", why));
}

static void accept_one(struct listener *l)
{
    struct io_tcp *t;
    char peer[64];

    l->pending = false;
    if (io_tcp_new(l->loop, l->unix_socket, &t) != ST_OK) {
        /* libuv keeps the connection until it is accepted; ask again later. */
        l->pending = true;
        complain(l, "out of memory");
        return;
    }
    if (uv_accept(&l->u.stream, io_tcp_stream(t)) != 0) {
        io_tcp_discard(t);
        return;
    }
    peer_name(t, l->unix_socket, peer, sizeof(peer));
    l->accept(l->owner, io_tcp_io(t), peer);
}

static void on_retry(struct timer *timer)
{
    struct listener *l = CONTAINER_OF(timer, struct listener, retry);

    if (!l->paused && l->pending)
        accept_one(l);
}

static void on_connection(uv_stream_t *s, int status)
{
    struct listener *l = CONTAINER_OF(s, struct listener, u.stream);

    if (status < 0) {
        complain(l, uv_strerror(status));
        return;
    }
    l->pending = true;
    /* While paused, libuv holds this one and takes no more: the kernel's backlog
     * does the waiting. */
    if (l->paused)
        return;
    accept_one(l);
    if (l->pending)
        timer_start(l->loop, &l->retry, SHED_US, on_retry);
}

/* A socket file that nobody listens on is left over from a process that died. */
static enum status clear_stale(const char *path, char *why, size_t why_cap)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat info;
    int fd, rc;

    if (lstat(path, &info) != 0)
        return ST_OK;
    if (!S_ISSOCK(info.st_mode)) {
        snprintf(why, why_cap, "exists and is no socket");
        return ST_INVALID;
    }
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return ST_OK;
    memcpy(a.sun_path, path, strnlen(path, sizeof(a.sun_path) - 1)); /* parsed to fit */
    rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
    close(fd);
    if (rc == 0) {
        snprintf(why, why_cap, "another process listens there");
        return ST_UNAVAILABLE;
    }
    unlink(path);
    return ST_OK;
}

static enum status explain(int rc, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "%s", uv_strerror(rc));
    return ST_UNAVAILABLE;
}

static enum status bind_unix(struct listener *l, const struct address *a, char *why,
                             size_t why_cap)
{
    enum status st = clear_stale(a->host, why, why_cap);
    int rc;

    if (st != ST_OK)
        return st;
    rc = uv_pipe_bind(&l->u.pipe, a->host);
    if (rc != 0)
        return explain(rc, why, why_cap);
    return ST_OK;
}

static enum status bind_tcp(struct listener *l, const struct address *a,
                            const struct listener_options *o, char *why, size_t why_cap)
{
    const char *host = strcmp(a->host, "localhost") == 0 ? "127.0.0.1" : a->host;
    struct sockaddr_storage addr;
    int on = 1, rc, n = (int)sizeof(addr);
    uv_os_fd_t fd;

    if (address_literal(strcmp(host, "*") == 0 ? "0.0.0.0" : host, a->port, &addr) != ST_OK) {
        snprintf(why, why_cap, "'%s' is no IP address; listen on an address, not a name", host);
        return ST_INVALID;
    }
    if (o->reuse_port && uv_fileno(&l->u.handle, &fd) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    rc = uv_tcp_bind(&l->u.tcp, (struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_tcp_getsockname(&l->u.tcp, (struct sockaddr *)&addr, &n);
    if (rc != 0)
        return explain(rc, why, why_cap);
    l->port = addr.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&addr)->sin_port)
                                        : ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
    return ST_OK;
}

static void on_closed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct listener, u.handle));
}

enum status listener_open(struct loop *loop, const char *address,
                          const struct listener_options *o, listener_accept_fn *accept,
                          void *owner, struct listener **out, char *why, size_t why_cap)
{
    struct listener *l;
    struct address a;
    enum status st = address_parse(address, &a, why, why_cap);
    int rc;

    if (st != ST_OK)
        return st;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return ST_NOMEM;
    l->loop = loop;
    l->unix_socket = a.unix_socket;
    l->accept = accept;
    l->owner = owner;
    rc = a.unix_socket ? uv_pipe_init(loop_uv(loop), &l->u.pipe, 0)
                       : uv_tcp_init_ex(loop_uv(loop), &l->u.tcp,
                                        strchr(a.host, ':') != NULL ? AF_INET6 : AF_INET);
    if (rc != 0) {
        free(l);
        return explain(rc, why, why_cap);
    }
    st = a.unix_socket ? bind_unix(l, &a, why, why_cap) : bind_tcp(l, &a, o, why, why_cap);
    if (st == ST_OK) {
        rc = uv_listen(&l->u.stream, (int)o->backlog, on_connection);
        if (rc != 0)
            st = explain(rc, why, why_cap);
    }
    if (st != ST_OK) {
        uv_close(&l->u.handle, on_closed);
        return st;
    }
    *out = l;
    return ST_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

void listener_pause(struct listener *l)
{
    l->paused = true;
}

void listener_resume(struct listener *l)
{
    l->paused = false;
    if (l->pending)
        timer_start(l->loop, &l->retry, 0, on_retry);
}

void listener_close(struct listener *l)
{
    timer_stop(l->loop, &l->retry);
    uv_close(&l->u.handle, on_closed);
}
