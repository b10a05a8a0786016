#include "cli/fetch.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/fetch_tls.h"
#include "config/config.h"
#include "config/listen.h"

#define ANSWER_MAX_BYTES (8 * 1024 * 1024)
#define PIECE_BYTES      16384
#define REQUEST_BYTES    8192
#define UNIX_PREFIX      "unix:"

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || strlen(path) >= sizeof(a.sun_path)) {
        if (fd >= 0)
            close(fd);
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_tcp(const char *address)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(address, ':');
    struct addrinfo *list = NULL;
    char host[256];
    int fd = -1, n;

    if (colon == NULL)
        return -1;
    n = address[0] == '['
            ? snprintf(host, sizeof(host), "%.*s", (int)(colon - address - 2), address + 1)
            : snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (n < 0 || (size_t)n >= sizeof(host) ||
        getaddrinfo(host, colon + 1, &hints, &list) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static enum status send_all(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, s, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return ST_CLOSED;
        s += sent;
        n -= (size_t)sent;
    }
    return ST_OK;
}

/* To the end of the stream; the request asked for a close. */
static enum status receive_all(int fd, uint64_t until_us, struct buf *out)
{
    for (;;) {
        uint64_t now = clock_now_us();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        enum status st = buf_reserve(out, PIECE_BYTES);
        ssize_t n;

        if (st != ST_OK)
            return st;
        if (now >= until_us || poll(&p, 1, (int)((until_us - now) / 1000) + 1) == 0)
            return ST_TIMEOUT;
        n = recv(fd, out->ptr + out->len, PIECE_BYTES, 0);
        if (n < 0 && errno != EINTR)
            return ST_CLOSED;
        if (n == 0)
            return ST_OK;
        if (n > 0)
            out->len += (size_t)n;
    }
}

static enum status write_request(const struct fetch *f, struct buf *out)
{
    bool post = f->body.ptr != NULL;
    enum status st = buf_printf(
        out, "%s %s HTTP/1.1\r\nHost: ibid\r\nConnection: close\r\n%s%s%s",
        post ? "POST" : "GET", f->path, f->token != NULL ? "Authorization: Bearer " : "",
        f->token != NULL ? f->token : "", f->token != NULL ? "\r\n" : "");

    if (st == ST_OK && post)
        st = buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                        f->body.len);
    if (st == ST_OK)
        st = buf_append(out, SPAN("\r\n"));
    return st == ST_OK && post ? buf_append(out, f->body) : st;
}

/* The server may take its time to read, but not for ever. */
static void bound_sending(int fd, unsigned deadline_ms)
{
    struct timeval t = {.tv_sec = deadline_ms / 1000,
                        .tv_usec = (suseconds_t)(deadline_ms % 1000) * 1000};

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static enum status exchange_plain(const struct fetch *f, struct span request,
                                  struct buf *answer, char *why, size_t why_cap)
{
    uint64_t until = clock_now_us() + f->deadline_ms * UINT64_C(1000);
    bool local = strncmp(f->address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    int fd = local ? connect_unix(f->address + strlen(UNIX_PREFIX)) : connect_tcp(f->address);
    enum status st;

    if (fd < 0) {
        snprintf(why, why_cap, "cannot connect to '%s': %s; is ibid running?", f->address,
                 strerror(errno));
        return ST_UNAVAILABLE;
    }
    bound_sending(fd, f->deadline_ms);
    st = send_all(fd, request.ptr, request.len);
    if (st == ST_OK)
        st = receive_all(fd, until, answer);
    close(fd);
    if (st != ST_OK)
        snprintf(why, why_cap, "'%s': %s", f->address, status_text(st));
    return st;
}

static enum status exchange_tls(const struct fetch *f, struct span request, struct buf *answer,
                                char *why, size_t why_cap)
{
    struct fetch_tls t = {.address = listen_place(f->address),
                          .cert_file = f->cert_file,
                          .deadline_us = f->deadline_ms * UINT64_C(1000)};
    bool key = f->own_key_file != NULL && f->own_key_file[0] != '\0';
    char reason[300] = "";
    enum status st;

    if (f->cert_file == NULL || f->cert_file[0] == '\0') {
        snprintf(why, why_cap,
                 "'%s': tls.cert_file is not set; the settings of that ibid say whom to trust",
                 f->address);
        return ST_INVALID;
    }
    if (f->own_cert_file != NULL && f->own_cert_file[0] != '\0') {
        t.own_cert_file = f->own_cert_file;
        t.own_key_file = key ? f->own_key_file : f->own_cert_file;
    }
    st = fetch_tls_exchange(&t, request, answer, reason, sizeof(reason));
    if (st != ST_OK)
        snprintf(why, why_cap, "cannot ask '%s': %s; is ibid running?", f->address,
                 reason[0] != '\0' ? reason : status_text(st));
    return st;
}

/* Status line and end of the head; our own listener answers with a plain body. */
static enum status take_body(const struct fetch *f, struct buf *answer, struct buf *out,
                             char *why, size_t why_cap)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t code_at = sizeof(version) - 1;
    const char *end = NULL;

    if (buf_append(answer, (struct span){"", 1}) != ST_OK) /* a NUL for strstr() */
        return ST_LIMIT;
    answer->len--;
    if (answer->len > code_at + 3 && strncmp(answer->ptr, version, code_at) == 0)
        end = strstr(answer->ptr, "\r\n\r\n");
    if (end == NULL) {
        snprintf(why, why_cap, "'%s' does not answer in HTTP", f->address);
        return ST_INVALID;
    }
    if (strncmp(answer->ptr + code_at, "200", 3) != 0) {
        bool token = strncmp(answer->ptr + code_at, "401", 3) == 0;

        snprintf(why, why_cap, "'%s' answered %.3s%s", f->address, answer->ptr + code_at,
                 token ? "; is admin.token_file (or data_dir) that of the running ibid?" : "");
        return ST_UNAVAILABLE;
    }
    buf_consume(answer, (size_t)(end + 4 - answer->ptr));
    return buf_append(out, buf_span(answer));
}

enum status fetch_body(const struct fetch *f, struct buf *out, char *why, size_t why_cap)
{
    struct buf answer, request;
    enum status st;

    buf_init(&answer, ANSWER_MAX_BYTES);
    buf_init(&request, REQUEST_BYTES + f->body.len);
    st = write_request(f, &request);
    if (st != ST_OK)
        snprintf(why, why_cap, "'%s': %s", f->address, status_text(st));
    else if (listen_is_tls(f->address))
        st = exchange_tls(f, buf_span(&request), &answer, why, why_cap);
    else
        st = exchange_plain(f, buf_span(&request), &answer, why, why_cap);
    if (st == ST_OK)
        st = take_body(f, &answer, out, why, why_cap);
    buf_release(&request);
    buf_release(&answer);
    return st;
}

bool fetch_read_token(const struct config *c, char *out, size_t cap)
{
    char path[CONFIG_TEXT_MAX + 16];
    size_t n;
    FILE *f;

    if (c->admin.token_file[0] != '\0')
        snprintf(path, sizeof(path), "%s", c->admin.token_file);
    else
        snprintf(path, sizeof(path), "%s/admin.token", c->data_dir);
    f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr,
                "ibid: cannot read the admin token '%s'; has ibid served from this "
                "data_dir?\n",
                path);
        return false;
    }
    n = fread(out, 1, cap - 1, f);
    fclose(f);
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}
