/* slow PORT EVENTS GAP_MS: an upstream that takes its time.
 *   cc -O2 -o slow slow.c
 * A question with "stream": true that has "crowd N" in it is answered by EVENTS events, one
 * every GAP_MS (slow_text.h); another question at once. One thread, epoll; counterpart of
 * crowd.c. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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

#include "slow_text.h"

#define REQUEST_MAX 16384
#define TICK_MS     10

struct conn {
    struct conn *next; /* of all that stream */
    int fd;
    size_t len;
    bool streams, gone;
    unsigned number, event;
    uint64_t due_ms;
    char request[REQUEST_MAX];
};

static const char answer[] = "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\","
                             "\"created\":1700000000,\"model\":\"stub-model\","
                             "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                             "\"content\":\"At once.\"},\"logprobs\":null,"
                             "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
                             "\"completion_tokens\":3,\"total_tokens\":12}}";
static unsigned events, gap_ms;
static struct conn *streaming;

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What is written is small against a socket's buffer: a short write is a reader that hangs. */
static void put(struct conn *c, const char *p, size_t n)
{
    if (!c->gone && send(c->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        c->gone = true;
}

static void put_chunk(struct conn *c, const char *p, int n)
{
    char out[SLOW_EVENT_MAX + 32];

    put(c, out, (size_t)snprintf(out, sizeof(out), "%x\r\n%.*s\r\n", (unsigned)n, n, p));
}

static void put_answer(struct conn *c)
{
    char out[1024];

    put(c, out,
        (size_t)snprintf(out, sizeof(out),
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         sizeof(answer) - 1, answer));
}

static void begin(struct conn *c, unsigned number)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";

    put(c, head, sizeof(head) - 1);
    c->streams = true;
    c->number = number;
    c->event = 0;
    c->due_ms = now_ms();
    c->next = streaming;
    streaming = c;
}

/* The whole request is there; -1: it is none. */
static int serve(struct conn *c)
{
    char *end, *length, *crowd;
    size_t size = 0;

    c->request[c->len] = '\0';
    end = strstr(c->request, "\r\n\r\n");
    if (end == NULL)
        return c->len + 1 < REQUEST_MAX ? 0 : -1;
    length = strcasestr(c->request, "content-length:");
    if (length != NULL && length < end)
        size = strtoul(length + 15, NULL, 10);
    if (c->len < (size_t)(end + 4 - c->request) + size)
        return c->len + 1 < REQUEST_MAX ? 0 : -1;
    crowd = strstr(end, "crowd ");
    if (strstr(end, "\"stream\":true") != NULL && crowd != NULL)
        begin(c, (unsigned)strtoul(crowd + 6, NULL, 10));
    else
        put_answer(c);
    c->len = 0;
    return 0;
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c);
}

/* Every stream that is due gets its next event; those that ended leave the list. */
static void tick(void)
{
    uint64_t now = now_ms();
    char text[SLOW_EVENT_MAX];

    for (struct conn **at = &streaming; *at != NULL;) {
        struct conn *c = *at;

        while (!c->gone && c->event < events && now >= c->due_ms) {
            put_chunk(c, text, slow_event(text, c->number, c->event++));
            c->due_ms += gap_ms;
        }
        if (!c->gone && c->event < events) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->streams = false;
        put_chunk(c, text, slow_end(text, c->number));
        put(c, "0\r\n\r\n", 5);
        if (c->gone)
            drop(c);
    }
}

static void on_event(struct conn *c)
{
    ssize_t n = recv(c->fd, c->request + c->len, REQUEST_MAX - 1 - c->len, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        c->len += (size_t)n;
        if (!c->streams && serve(c) == 0)
            return;
    }
    if (c->streams) /* the list holds it; tick() drops it */
        c->gone = true, shutdown(c->fd, SHUT_RDWR);
    else
        drop(c);
}

static void take(int listener, int poll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    struct conn *c = fd >= 0 ? calloc(1, sizeof(*c)) : NULL;

    if (c == NULL)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->fd = fd;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN | EPOLLET, {.ptr = c}});
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events_now[256];
    struct rlimit files;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0),
        on = 1;

    if (argc != 4) {
        fputs("usage: slow PORT EVENTS GAP_MS\n", stderr);
        return 2;
    }
    a.sin_port = htons((uint16_t)atoi(argv[1]));
    events = (unsigned)atoi(argv[2]);
    gap_ms = (unsigned)atoi(argv[3]);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(listener, 4096) != 0) {
        perror("slow");
        return 1;
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = NULL}});
    for (;;) {
        int n = epoll_wait(poll, events_now, 256, streaming != NULL ? TICK_MS : -1);

        for (int i = 0; i < n; i++) {
            if (events_now[i].data.ptr == NULL)
                take(listener, poll);
            else
                on_event(events_now[i].data.ptr);
        }
        tick();
    }
}
