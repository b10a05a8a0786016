/* accept4() and SO_REUSEPORT are not POSIX. */
#define _GNU_SOURCE

/* Accepts by itself on a watched socket instead of uv_listen(): libuv takes all that
 * waits in one go, cannot be told to stop, and when descriptors run out it may turn in
 * its accept loop for ever. Here a turn takes a bounded burst, a pause stops the watch
 * (the kernel's backlog does the waiting), and a full process sheds and tries again
 * after a while. */
#include "rt/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include "rt/carriers.h"
#include "rt/inherited.h"
#include "rt/io_tcp.h"
#include "rt/loop.h"
#include "rt/timer.h"

/* Connections taken a turn, so that those we have are heard between. */
#define BURST 32
/* Out of descriptors or memory: this long until the next try. */
#define SHED_US      100000
#define LOG_EVERY_US 5000000

struct listener {
    struct loop *loop;
    uv_poll_t poll;
    int fd; /* owned */
    /* Owned; given up for a moment to take a connection that could not be had
     * otherwise, and close it: a client that is told so beats one that hangs. */
    int spare_fd;
    bool unix_socket;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* Unix: unlinked at close */
    dev_t dev; /* of what was bound, lest another's socket is unlinked */
    ino_t ino;
    bool paused, closing;
    uint16_t port;
    struct carriers *carriers; /* borrowed; NULL: its own loop */
    listener_accept_fn *accept;
    void *owner;
    struct timer retry;
    uint64_t logged_us;
};

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
    struct sockaddr_storage room;
};

/* --- accepting --------------------------------------------------------------------- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void peer_name(const union name *a, char *out, size_t cap)
{
    if (a->any.sa_family == AF_INET)
        uv_ip4_name(&a->v4, out, cap);
    else if (a->any.sa_family == AF_INET6)
        uv_ip6_name(&a->v6, out, cap);
    else
        snprintf(out, cap, "unix");
}

static void complain(struct listener *l, const char *why)
{
    uint64_t now = loop_now_us(l->loop);

    if (l->logged_us != 0 && now - l->logged_us < LOG_EVERY_US)
        return;
    l->logged_us = now;
    log_at(LOG_ERROR, NULL, kv_event("accept_failed"), kv_str("why", why));
}

static void hand_over(struct listener *l, int fd, const union name *from)
{
    char peer[INET6_ADDRSTRLEN + 1];
    struct io *io;
    enum status st = l->carriers != NULL ? carriers_take(l->carriers, fd, l->unix_socket, &io)
                                         : io_tcp_open(l->loop, fd, l->unix_socket, &io);

    if (st == ST_NOMEM)
        complain(l, "out of memory");
    if (st != ST_OK)
        return;
    peer_name(from, peer, sizeof(peer));
    l->accept(l->owner, io, peer);
}

static void on_readable(uv_poll_t *p, int status, int events);

static void watch(struct listener *l)
{
    if (!l->paused && !l->closing)
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_retry(struct timer *timer)
{
    watch(CONTAINER_OF(timer, struct listener, retry));
}

/* A socket that stays readable would be asked over and over. */
static void back_off(struct listener *l, int error)
{
    complain(l, strerror(error));
    if ((error == EMFILE || error == ENFILE) && l->spare_fd >= 0) {
        for (unsigned i = 0; i < BURST; i++) {
            int fd;

            close(l->spare_fd);
            fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0)
                close(fd);
            l->spare_fd = open_spare();
            if (fd < 0 || l->spare_fd < 0)
                break;
        }
    }
    if (l->spare_fd < 0) /* another thread was quicker */
        l->spare_fd = open_spare();
    uv_poll_stop(&l->poll);
    timer_start(l->loop, &l->retry, SHED_US, on_retry);
}

/* Errors of one connection, not of the listener: accept(2), "Error handling". */
static bool is_transient(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall rule */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case ENONET:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    struct listener *l = CONTAINER_OF(p, struct listener, poll);

    (void)status; /* accept4() says it better */
    (void)events;
    for (unsigned i = 0; i < BURST && !l->paused && !l->closing; i++) {
        union name from = {.any.sa_family = AF_UNSPEC};
        socklen_t n = sizeof(from);
        int fd = accept4(l->fd, &from.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            hand_over(l, fd, &from);
        } else if (errno == EAGAIN) {
            return;
        } else if (!is_transient(errno)) {
            back_off(l, errno);
            return;
        }
    }
}

/* --- opening ----------------------------------------------------------------------- */

static enum status explain(int error, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "%s", strerror(error));
    return ST_UNAVAILABLE;
}

/* A socket file that nobody listens on is left over from a process that died. */
static enum status clear_stale(const struct sockaddr_un *a, char *why, size_t why_cap)
{
    struct stat info;
    int fd, rc;

    if (lstat(a->sun_path, &info) != 0)
        return ST_OK; /* bind() says what else may be wrong with the path */
    if (!S_ISSOCK(info.st_mode)) {
        snprintf(why, why_cap, "'%s' exists and is no socket", a->sun_path);
        return ST_INVALID;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return explain(errno, why, why_cap);
    rc = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ? 0 : errno;
    close(fd);
    /* EAGAIN: somebody listens, and has a full backlog. */
    if (rc != ECONNREFUSED) {
        snprintf(why, why_cap, "another process listens on '%s'", a->sun_path);
        return ST_UNAVAILABLE;
    }
    if (unlink(a->sun_path) != 0)
        return explain(errno, why, why_cap);
    return ST_OK;
}

static enum status to_name(const struct address *a, union name *out, socklen_t *len, char *why,
                           size_t why_cap)
{
    const char *host = a->host;

    if (a->unix_socket) {
        out->path = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(out->path.sun_path, host, strlen(host) + 1); /* address_parse: it fits */
        *len = sizeof(out->path);
        return ST_OK;
    }
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (address_literal(host, a->port, &out->room) != ST_OK) {
        snprintf(why, why_cap, "'%s' is no IP address; listen on an address, not a name", host);
        return ST_INVALID;
    }
    *len = out->any.sa_family == AF_INET ? sizeof(out->v4) : sizeof(out->v6);
    return ST_OK;
}

static void own_file(struct listener *l, const char *path)
{
    struct stat info;

    if (lstat(path, &info) != 0)
        return;
    memcpy(l->path, path, sizeof(l->path));
    l->dev = info.st_dev;
    l->ino = info.st_ino;
}

static enum status bind_new(struct listener *l, const union name *name, socklen_t len,
                            const struct listener_options *o, char *why, size_t why_cap)
{
    enum status st = l->unix_socket ? clear_stale(&name->path, why, why_cap) : ST_OK;
    int on = 1;

    if (st != ST_OK)
        return st;
    l->fd = socket(name->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return explain(errno, why, why_cap);
    if (!l->unix_socket)
        (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!l->unix_socket && o->reuse_port &&
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return explain(errno, why, why_cap);
    if (bind(l->fd, &name->any, len) != 0)
        return explain(errno, why, why_cap);
    if (l->unix_socket)
        own_file(l, name->path.sun_path);
    return ST_OK;
}

/* One that is open already, with all that waits in its backlog. */
static bool take_inherited(struct listener *l, const union name *name, uint16_t port,
                           struct inherited *in)
{
    bool own = false;
    int flags;

    l->fd = in != NULL ? inherited_take(in, &name->any, port == 0, &own) : -1;
    if (l->fd < 0)
        return false;
    flags = fcntl(l->fd, F_GETFL);
    (void)fcntl(l->fd, F_SETFL, flags | O_NONBLOCK);
    if (l->unix_socket && own)
        own_file(l, name->path.sun_path);
    return true;
}

/* Blocks: only where names are bound and files looked at, before anything is served. */
static enum status bind_socket(struct listener *l, const struct address *a,
                               const struct listener_options *o, char *why, size_t why_cap)
{
    union name name;
    socklen_t len;
    enum status st = to_name(a, &name, &len, why, why_cap);

    if (st == ST_OK && !take_inherited(l, &name, a->port, o->inherited))
        st = bind_new(l, &name, len, o, why, why_cap);
    if (st != ST_OK)
        return st;
    if (listen(l->fd, (int)o->backlog) != 0)
        return explain(errno, why, why_cap);
    if (!a->unix_socket && getsockname(l->fd, &name.any, &len) == 0)
        l->port = ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
    return ST_OK;
}

static void release(struct listener *l)
{
    struct stat info;

    if (l->path[0] != '\0' && lstat(l->path, &info) == 0 && info.st_dev == l->dev &&
        info.st_ino == l->ino)
        (void)unlink(l->path);
    if (l->fd >= 0)
        close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    l->fd = l->spare_fd = -1;
}

enum status listener_open(struct loop *loop, const char *address,
                          const struct listener_options *o, listener_accept_fn *accept,
                          void *owner, struct listener **out, char *why, size_t why_cap)
{
    struct listener *l;
    struct address a;
    enum status st = address_parse(address, &a, why, why_cap);

    if (st != ST_OK)
        return st;
    l = calloc(1, sizeof(*l));
    if (l == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    l->loop = loop;
    l->fd = l->spare_fd = -1;
    l->unix_socket = a.unix_socket;
    l->carriers = o->carriers;
    l->accept = accept;
    l->owner = owner;
    st = bind_socket(l, &a, o, why, why_cap);
    if (st == ST_OK && uv_poll_init_socket(loop_uv(loop), &l->poll, l->fd) != 0)
        st = explain(EBADF, why, why_cap);
    if (st != ST_OK) {
        release(l);
        free(l);
        return st;
    }
    l->spare_fd = open_spare();
    /* A watch that is stopped would not keep the loop alive. */
    loop_ref(loop);
    watch(l);
    *out = l;
    return ST_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

int listener_fd(const struct listener *l)
{
    return l->fd;
}

bool listener_owns_file(const struct listener *l)
{
    return !l->unix_socket || l->path[0] != '\0';
}

void listener_let_go(struct listener *l)
{
    l->path[0] = '\0';
}

void listener_pause(struct listener *l)
{
    l->paused = true;
    uv_poll_stop(&l->poll);
}

void listener_resume(struct listener *l)
{
    l->paused = false;
    /* A retry that is due starts the watch by itself. */
    if (l->retry.slot == 0)
        watch(l);
}

static void on_closed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct listener, poll));
}

void listener_close(struct listener *l)
{
    l->closing = true;
    loop_unref(l->loop);
    timer_stop(l->loop, &l->retry);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    release(l);
}
