/* crowd PORT PID [--tls] [--idle N] [--streams N] [--events N] [--rest S]
 *   cc -O2 -o crowd crowd.c -lssl -lcrypto
 * Many at once, and what each costs process PID in memory (RSS). First N connections that have
 * asked once and then are silent for S seconds; then as many slow streams beside them, each
 * read to its end and compared byte by byte with what the upstream (slow.c) sends; in between
 * one that asks every 20 ms on a connection of its own. At last the silent ones ask again.
 * Prints one line of JSON; ends with 1 when an answer was lost or was another one. Addresses
 * 127.0.0.2 and up as sources, so that ports do not run out. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "slow_text.h"

#define PORTS_A_SOURCE 20000
#define AT_ONCE        256  /* connections that are being made, and first requests */
#define QUESTION_BYTES 6000 /* a prompt with its history, as they are */
#define PROBE_MS       20
#define PROBES_MAX     100000
#define PATIENCE_MS    60000

enum state { CLOSED, CONNECTING, HEAD, BODY, IDLE, ENDED, LOST };

struct client {
    int fd;
    SSL *ssl;
    enum state state;
    bool stream, probe;
    unsigned number, event; /* of a stream, and the event that is next */
    size_t matched;         /* of that event's text */
    size_t left;            /* of the body, or of the chunk */
    size_t head_len;
    uint64_t asked_us;
    char head[1024]; /* the answer's, and lines of chunks */
};

static int port, poller;
static SSL_CTX *tls;
static unsigned events = 100, opening, answered, lost;
static char event_text[SLOW_EVENT_MAX * 2];

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static long rss_kb(int pid)
{
    char path[64], line[256];
    long kb = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return kb;
}

/* --- one connection ------------------------------------------------------------------ */

static void lose(struct client *c, const char *why)
{
    if (lost++ < 5)
        fprintf(stderr, "crowd: %s %u: %s\n", c->stream ? "stream" : "connection", c->number,
                why);
    if (c->state == CONNECTING || c->state == HEAD)
        opening--;
    c->state = LOST;
    epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
}

static ssize_t take(struct client *c, char *p, size_t n)
{
    int got;

    if (c->ssl == NULL)
        return recv(c->fd, p, n, 0);
    got = SSL_read(c->ssl, p, (int)n);
    if (got > 0)
        return got;
    errno = SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
    return SSL_get_error(c->ssl, got) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static void ask(struct client *c)
{
    char body[QUESTION_BYTES + 256], out[QUESTION_BYTES + 1024];
    int n, sent;

    n = snprintf(body, sizeof(body),
                 c->stream ? "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":"
                             "\"user\",\"content\":\"crowd %u %*s\"}]}"
                           : "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
                             "\"Who is there, %u? %*s\"}]}",
                 c->stream ? c->number : 0, QUESTION_BYTES, ".");
    n = snprintf(
        out, sizeof(out),
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-crowd\r\n"
        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        n, body);
    sent = c->ssl != NULL ? SSL_write(c->ssl, out, n)
                          : (int)send(c->fd, out, (size_t)n, MSG_NOSIGNAL);
    c->state = HEAD;
    c->head_len = 0;
    c->asked_us = now_us();
    if (sent != n)
        lose(c, "the request was not taken");
}

static void done(struct client *c, enum state state)
{
    c->state = state;
    answered += !c->probe;
}

/* Bytes of the stream's body, against those that slow.c sends. */
static bool compare(struct client *c, const char *p, size_t n)
{
    while (n > 0) {
        int len = c->event < events ? slow_event(event_text, c->number, c->event)
                                    : slow_end(event_text, c->number);
        size_t some = (size_t)len - c->matched < n ? (size_t)len - c->matched : n;

        if (c->event > events || memcmp(p, event_text + c->matched, some) != 0)
            return false;
        p += some;
        n -= some;
        c->matched += some;
        if (c->matched == (size_t)len) {
            c->event++;
            c->matched = 0;
        }
    }
    return true;
}

/* A line into `head`: true when it is whole. */
static bool line(struct client *c, const char **p, size_t *n)
{
    while (*n > 0 && c->head_len + 1 < sizeof(c->head)) {
        char b = **p;

        (*p)++, (*n)--;
        c->head[c->head_len++] = b;
        if (b == '\n' && c->head_len > 2) { /* the one that ends a chunk is passed over */
            c->head[c->head_len] = '\0';
            return true;
        }
    }
    return false;
}

static void chunks(struct client *c, const char *p, size_t n)
{
    while (n > 0 && c->state == BODY) {
        size_t some = c->left < n ? c->left : n;

        if (c->left == 0) {
            if (!line(c, &p, &n))
                continue;
            c->left = strtoul(c->head + strspn(c->head, "\r\n"), NULL, 16);
            c->head_len = 0;
            if (c->left == 0 && (c->event == events + 1 && c->matched == 0))
                done(c, ENDED);
            else if (c->left == 0)
                lose(c, "the answer ended early");
            continue;
        }
        if (!compare(c, p, some)) {
            lose(c, "another answer than the upstream's");
            return;
        }
        p += some, n -= some, c->left -= some;
    }
}

static void body(struct client *c, const char *p, size_t n)
{
    if (c->stream) {
        chunks(c, p, n);
        return;
    }
    if (n > c->left) {
        lose(c, "more than the answer");
        return;
    }
    c->left -= n;
    if (c->left == 0)
        done(c, IDLE);
}

static void head(struct client *c, const char *p, size_t n)
{
    size_t some = n < sizeof(c->head) - 1 - c->head_len ? n : sizeof(c->head) - 1 - c->head_len,
           used;
    char *end, *length;

    memcpy(c->head + c->head_len, p, some);
    c->head[c->head_len + some] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        c->head_len += some;
        if (c->head_len + 1 == sizeof(c->head))
            lose(c, "a long head");
        return;
    }
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) {
        c->head[40] = '\0';
        lose(c, c->head);
        return;
    }
    length = strcasestr(c->head, "content-length:");
    used = (size_t)(end + 4 - c->head) - c->head_len;
    c->left = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;
    c->head_len = 0;
    opening--;
    c->state = BODY;
    body(c, p + used, n - used);
}

static void read_all(struct client *c)
{
    char in[16384];

    while (c->state == HEAD || c->state == BODY || c->state == IDLE) {
        ssize_t n = take(c, in, sizeof(in));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            lose(c, n == 0 ? "closed" : "reset");
        else if (c->state == HEAD)
            head(c, in, (size_t)n);
        else if (c->state == BODY)
            body(c, in, (size_t)n);
        else
            lose(c, "bytes that nobody asked for");
    }
}

/* Connected, or with TLS one step further. */
static void connected(struct client *c)
{
    int error = 0, rc;
    socklen_t n = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) {
        lose(c, strerror(error));
        return;
    }
    if (tls != NULL && c->ssl == NULL) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
    }
    rc = c->ssl != NULL ? SSL_do_handshake(c->ssl) : 1;
    if (rc == 1)
        ask(c);
    else if (SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ &&
             SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_WRITE)
        lose(c, "the handshake failed");
}

static void on_ready(struct client *c)
{
    if (c->state == CONNECTING)
        connected(c);
    if (c->state != CONNECTING)
        read_all(c);
}

static void open_one(struct client *c, unsigned number, bool stream)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(INADDR_LOOPBACK + 1 + number / PORTS_A_SOURCE)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    *c = (struct client){.state = CONNECTING, .number = number, .stream = stream};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    opening++;
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)) {
        lose(c, strerror(errno));
        return;
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd,
              &(struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = c}});
}

static void shut(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    *c = (struct client){.state = CLOSED};
}

static void turn(int wait_ms)
{
    struct epoll_event now[512];
    int n = epoll_wait(poller, now, 512, wait_ms);

    for (int i = 0; i < n; i++)
        on_ready(now[i].data.ptr);
}

/* --- all of them --------------------------------------------------------------------- */

/* Those that ask every PROBE_MS meanwhile. */
static struct client probe;
static uint64_t probe_us[PROBES_MAX];
static unsigned probes;

static void ask_beside(void)
{
    uint64_t now = now_us();

    if (probe.state == IDLE) {
        if (probes < PROBES_MAX)
            probe_us[probes++] = now - probe.asked_us;
        shut(&probe);
        return;
    }
    if (probe.state == CLOSED && now - probe.asked_us >= PROBE_MS * 1000) {
        open_one(&probe, 0, false);
        probe.probe = true;
        probe.asked_us = now;
    }
}

static int compare_us(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void open_all(struct client *c, unsigned n, bool stream)
{
    uint64_t last = now_us();

    for (unsigned i = 0; i < n;) {
        if (opening < AT_ONCE) {
            open_one(&c[i], i, stream);
            i++;
            turn(0);
        } else {
            turn(10);
        }
        if (now_us() - last > PATIENCE_MS * 1000u)
            break;
        if (opening < AT_ONCE)
            last = now_us();
    }
}

/* Until so many have been answered or lost, or nothing moves. */
static void wait_answers(unsigned n)
{
    uint64_t last = now_us();
    unsigned before = 0;

    while (answered + lost < n && now_us() - last < PATIENCE_MS * 1000u) {
        turn(10);
        if (answered + lost != before)
            last = now_us();
        before = answered + lost;
    }
}

static void rest(double seconds)
{
    uint64_t until = now_us() + (uint64_t)(seconds * 1e6);

    while (now_us() < until)
        turn(50);
}

int main(int argc, char **argv)
{
    unsigned idles = 0, streams = 0, asked_again = 0, ended = 0, lost_before;
    int pid = argc > 2 ? atoi(argv[2]) : 0;
    double rest_s = 3;
    struct client *idle, *stream;
    struct rlimit files;
    long base, with_idle, most = 0, after;

    port = argc > 2 ? atoi(argv[1]) : 0;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--tls") == 0)
            tls = SSL_CTX_new(TLS_client_method());
        else if (i + 1 < argc && strcmp(argv[i], "--idle") == 0)
            idles = (unsigned)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--streams") == 0)
            streams = (unsigned)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--events") == 0)
            events = (unsigned)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--rest") == 0)
            rest_s = atof(argv[++i]);
        else
            pid = 0;
    }
    if (pid == 0) {
        fputs(
            "usage: crowd PORT PID [--tls] [--idle N] [--streams N] [--events N] [--rest S]\n",
            stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < idles + streams + 64) {
        fprintf(stderr, "crowd: only %lu open files are allowed\n",
                (unsigned long)files.rlim_cur);
        return 77;
    }
    poller = epoll_create1(0);
    idle = calloc(idles + 1, sizeof(*idle));
    stream = calloc(streams + 1, sizeof(*stream));

    /* What the first ones cost once for all is none of the others' cost. */
    open_all(idle, idles < 64 ? idles : 64, false);
    wait_answers(idles < 64 ? idles : 64);
    for (unsigned i = 0; i < idles && i < 64; i++)
        shut(&idle[i]);
    answered = 0;
    rest(rest_s);
    base = rss_kb(pid);

    open_all(idle, idles, false);
    wait_answers(idles);
    rest(rest_s);
    with_idle = rss_kb(pid);

    answered = 0;
    lost_before = lost;
    open_all(stream, streams, true);
    for (uint64_t last = now_us(); answered + lost - lost_before < streams &&
                                   now_us() - last < 10u * PATIENCE_MS * 1000u;) {
        long now = rss_kb(pid);

        if (now > most)
            most = now;
        turn(5);
        ask_beside();
    }
    for (unsigned i = 0; i < streams; i++)
        ended += stream[i].state == ENDED;
    if (ended < streams)
        fprintf(stderr, "crowd: %u of %u streams came to their end\n", ended, streams);
    for (unsigned i = 0; i < streams; i++)
        lost += stream[i].state != ENDED && stream[i].state != LOST;

    /* The silent ones are still there. */
    answered = 0;
    for (unsigned i = 0; i < idles; i++) {
        if (idle[i].state == IDLE) {
            opening++;
            asked_again++;
            ask(&idle[i]);
            turn(0);
        }
        while (opening >= AT_ONCE)
            turn(10);
    }
    wait_answers(asked_again);
    for (unsigned i = 0; i < idles; i++)
        lost += idle[i].state != IDLE && idle[i].state != LOST;
    for (unsigned i = 0; i < idles; i++)
        shut(&idle[i]);
    for (unsigned i = 0; i < streams; i++)
        shut(&stream[i]);
    rest(rest_s);
    after = rss_kb(pid);

    qsort(probe_us, probes, sizeof(*probe_us), compare_us);
    printf("{\"tls\": %s, \"idle\": %u, \"idle_kib_each\": %.1f, \"streams\": %u, "
           "\"stream_kib_each\": %.1f, \"lost\": %u, "
           "\"probes\": %u, \"probe_p99_ms\": %.1f, \"rss_kib\": {\"before\": %ld, \"idle\": "
           "%ld, \"streams\": %ld, \"after\": %ld}}\n",
           tls != NULL ? "true" : "false", idles,
           idles > 0 ? (double)(with_idle - base) / idles : 0, streams,
           streams > 0 ? (double)(most - with_idle) / streams : 0, lost, probes,
           probes > 0 ? (double)probe_us[probes * 99ull / 100] / 1000 : 0, base, with_idle,
           most, after);
    return lost == 0 ? 0 : 1;
}
