/* paced PORT RATE SECONDS BODY_FILE: sends the same chat request RATE times a second, on time
 * whatever becomes of those before (an open loop), over connections that are kept. A latency is
 * from when its request was due to the last byte of its answer, so waiting behind a slow one is
 * in it. Prints JSON: count, failures, percentiles in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 32
#define ANSWER_MAX  65536

struct connection {
    int fd, busy;
    uint64_t due_ns;
    size_t len;
    char text[ANSWER_MAX];
};

static struct connection all[CONNECTIONS];

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* The bytes of a whole answer with a Content-Length, or 0: not there yet. */
static size_t whole(const struct connection *c)
{
    const char *end = memmem(c->text, c->len, "\r\n\r\n", 4), *field;
    size_t head, body;

    if (end == NULL)
        return 0;
    head = (size_t)(end - c->text) + 4;
    field = memmem(c->text, head, "ontent-", 7);
    while (field != NULL && strncasecmp(field, "ontent-length:", 14) != 0)
        field = memmem(field + 1, head - (size_t)(field + 1 - c->text), "ontent-", 7);
    if (field == NULL) {
        fprintf(stderr, "paced: an answer without Content-Length\n");
        exit(1);
    }
    body = strtoul(field + 14, NULL, 10);
    return c->len >= head + body ? head + body : 0;
}

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static char request[ANSWER_MAX], body[ANSWER_MAX / 2];
    int port = argc == 5 ? atoi(argv[1]) : 0;
    uint64_t rate = argc == 5 ? strtoull(argv[2], NULL, 10) : 0, step, start, *took;
    size_t count = argc == 5 ? (size_t)(rate * strtoull(argv[3], NULL, 10)) : 0, sent = 0,
           done = 0, failed = 0, bytes;
    FILE *f = argc == 5 ? fopen(argv[4], "r") : NULL;

    if (f == NULL || rate == 0 || count == 0) {
        fprintf(stderr, "usage: paced PORT RATE SECONDS BODY_FILE\n");
        return 2;
    }
    bytes = fread(body, 1, sizeof(body) - 1, f);
    fclose(f);
    bytes =
        (size_t)snprintf(request, sizeof(request),
                         "POST /v1/chat/completions HTTP/1.1\r\nHost: b\r\n"
                         "Authorization: Bearer sk-bench\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         bytes, body);
    took = calloc(count, sizeof(*took));
    for (int i = 0; i < CONNECTIONS; i++)
        all[i].fd = dial(port);
    step = 1000000000u / rate;
    start = now_ns() + 1000000;
    while (done < count) {
        struct pollfd p[CONNECTIONS];
        struct connection *who[CONNECTIONS], *idle = NULL;
        nfds_t n = 0;
        uint64_t due = start + sent * step, now = now_ns();
        struct timespec wait = {1, 0};

        for (int i = 0; i < CONNECTIONS; i++) {
            if (!all[i].busy) {
                idle = &all[i];
                continue;
            }
            who[n] = &all[i];
            p[n++] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
        }
        if (sent < count && idle != NULL && now >= due) {
            idle->busy = 1;
            idle->due_ns = due;
            idle->len = 0;
            if (send(idle->fd, request, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
                fail("send");
            sent++;
            continue;
        }
        if (sent < count && idle != NULL)
            wait = (struct timespec){(time_t)((due - now) / 1000000000u),
                                     (long)((due - now) % 1000000000u)};
        if (ppoll(p, n, &wait, NULL) < 0 && errno != EINTR)
            fail("ppoll");
        for (nfds_t i = 0; i < n; i++) {
            struct connection *c = who[i];
            ssize_t got;

            if (p[i].revents == 0)
                continue;
            got = recv(c->fd, c->text + c->len, sizeof(c->text) - c->len, 0);
            if (got <= 0)
                fail("recv");
            c->len += (size_t)got;
            if (whole(c) == 0)
                continue;
            took[done++] = now_ns() - c->due_ns;
            failed += memcmp(c->text, "HTTP/1.1 200", 12) != 0 ||
                      memmem(c->text, c->len, "x-ibid-source: exact", 20) == NULL;
            c->busy = 0;
        }
    }
    qsort(took, count, sizeof(*took), order);
    printf("{\"count\": %zu, \"failed\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": "
           "%.1f, "
           "\"p999_us\": %.1f, \"max_us\": %.1f}\n",
           count, failed, (double)took[count / 2] / 1e3, (double)took[count * 9 / 10] / 1e3,
           (double)took[count * 99 / 100] / 1e3, (double)took[count * 999 / 1000] / 1e3,
           (double)took[count - 1] / 1e3);
    return failed > 0;
}
