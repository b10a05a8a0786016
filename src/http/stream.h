/* The inside of a stream: what both versions of HTTP share (stream.c), and what each does in
 * its own way (http1.c, http2_stream.c). */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/head.h"
#include "http/server.h"

struct conn;

/* One of these a version. Nothing of it tells the owner anything: bytes and wishes are left
 * behind, and seen to once no call of his is on the stack. */
struct stream_kind {
    /* The head of an answer; s->no_body and s->left are decided. What fails leaves nothing
     * behind. */
    enum status (*put_head)(struct http_stream *s, unsigned status,
                            const struct http_field *fields, size_t n,
                            uint64_t body_bytes) MUST_CHECK;
    /* NULL: there are no other protocols to switch to. */
    enum status (*put_switch)(struct http_stream *s, const struct http_field *fields,
                              size_t n) MUST_CHECK;
    enum status (*put_body)(struct http_stream *s, struct span data) MUST_CHECK;
    enum status (*put_end)(struct http_stream *s) MUST_CHECK;
    /* The owner begins, or stops, to ask for the request's body. */
    void (*ask_body)(struct http_stream *s);
    void (*stop_body)(struct http_stream *s);
    /* Of the answer: what waits for the client to take something, and by which http_write()
     * says "wait"; what the kernel does not have yet, framing included. */
    size_t (*waiting)(struct http_stream *s);
    size_t (*unsent)(struct http_stream *s);
    void (*wish)(struct http_stream *s);
};

struct http_stream {
    const struct stream_kind *kind;
    struct conn *conn;            /* borrowed: it outlives its streams */
    const struct http_head *head; /* of the request */
    struct arena *arena;
    void *owner;
    uint64_t started_us;
    uint64_t body_given; /* bytes of the answer's body written by the owner */
    uint64_t left;       /* of a body with a length; UINT64_MAX: it has none */
    bool body_wanted;
    bool body_done;  /* the request's body was delivered to its end */
    bool responded;  /* a head is out */
    unsigned status; /* of it; 0: none is */
    bool chunked;
    bool until_close; /* the end of the connection is the end of the answer */
    bool no_body;     /* HEAD: the answer's body is not written */
    bool switched;    /* http_switch(): silence is no fault here, and is measured elsewhere */
    bool ended;
    bool aborted;
    bool told_wait; /* on_drained is due */
    bool continue_sent;
};

/* Answers that have no body whatever they say (RFC 9110 6.4.1). */
static inline bool stream_is_bodiless(unsigned status)
{
    return status == 204 || status == 304 || (status >= 100 && status < 200);
}

/* Of a server, for its answers: RFC 9110 5.6.7, made once a second. */
const char *stream_date(struct http_server *srv);

#endif
