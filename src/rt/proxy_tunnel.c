#include "rt/proxy_tunnel.h"

#include <stdio.h>
#include <string.h>

#include "rt/connect.h"

#define REQUEST_MAX_BYTES 8192
#define ANSWER_MAX_BYTES  16384

void proxy_tunnel_stop(struct proxy_tunnel *t)
{
    io_read_stop(t->io);
    buf_release(&t->answer);
}

static void end(struct proxy_tunnel *t, enum status st, const char *why)
{
    proxy_tunnel_fn *done = t->done;
    void *owner = t->owner;

    proxy_tunnel_stop(t);
    done(owner, st, why);
}

/* "HTTP/1.1 200 …"; 0: it is no such thing. */
static unsigned status_of(struct span s)
{
    unsigned n = 0;

    if (s.len < 12 || memcmp(s.ptr, "HTTP/1.", 7) != 0 || s.ptr[8] != ' ')
        return 0;
    for (size_t i = 9; i < 12; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return 0;
        n = n * 10 + (unsigned)(s.ptr[i] - '0');
    }
    return n;
}

/* Where the head ends; 0: not yet. */
static size_t end_of_head(struct span s)
{
    for (size_t i = 3; i < s.len; i++) {
        if (memcmp(s.ptr + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    }
    return 0;
}

static void judge(struct proxy_tunnel *t, size_t head)
{
    unsigned status = status_of(buf_span(&t->answer));
    char why[96];

    if (status >= 200 && status < 300 && head == t->answer.len) {
        end(t, ST_OK, "");
        return;
    }
    if (status >= 200 && status < 300)
        snprintf(why, sizeof(why), "the proxy sends more than its answer");
    else if (status == 407)
        snprintf(why, sizeof(why), "the proxy wants another credential (407)");
    else if (status != 0)
        snprintf(why, sizeof(why), "the proxy refuses the connection (%u)", status);
    else
        snprintf(why, sizeof(why), "the proxy does not speak HTTP/1.1");
    end(t, ST_UNAVAILABLE, why);
}

static void on_read(void *owner, enum status st, struct span data)
{
    struct proxy_tunnel *t = owner;
    size_t head;

    if (st != ST_OK) {
        end(t, ST_UNAVAILABLE, "the proxy closed the connection");
        return;
    }
    if (buf_append(&t->answer, data) != ST_OK) {
        end(t, ST_UNAVAILABLE, "the head of the proxy's answer is too large");
        return;
    }
    head = end_of_head(buf_span(&t->answer));
    if (head > 0)
        judge(t, head);
}

static void on_written(void *owner, enum status st)
{
    (void)owner;
    (void)st;
}

static void on_closed(void *owner)
{
    (void)owner;
}

static const struct io_events events = {on_read, on_written, on_closed};

static enum status write_request(struct buf *b, const struct endpoint *to)
{
    const char *open = strchr(to->host, ':') != NULL ? "[" : "";
    const char *close = open[0] != '\0' ? "]" : "";
    enum status st = buf_printf(b, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open,
                                to->host, close, to->port, open, to->host, close, to->port);

    if (st == ST_OK && to->via->authorization != NULL)
        st = buf_printf(b, "Proxy-Authorization: %s\r\n", to->via->authorization);
    return st == ST_OK ? buf_append(b, SPAN("\r\n")) : st;
}

enum status proxy_tunnel_start(struct proxy_tunnel *t, struct io *io, const struct endpoint *to,
                               proxy_tunnel_fn *done, void *owner)
{
    struct buf request;
    struct span part;
    size_t taken = 0;
    enum status st;

    *t = (struct proxy_tunnel){.io = io, .done = done, .owner = owner};
    buf_init(&t->answer, ANSWER_MAX_BYTES);
    buf_init(&request, REQUEST_MAX_BYTES);
    io_attach(io, &events, t);
    st = write_request(&request, to);
    part = buf_span(&request);
    if (st == ST_OK)
        st = io_try_write(io, &part, 1, &taken);
    /* A fresh socket takes these few bytes, or something is wrong with it. */
    if (st == ST_OK && taken < part.len)
        st = ST_UNAVAILABLE;
    buf_release(&request);
    if (st == ST_OK)
        io_read_start(io);
    return st;
}
