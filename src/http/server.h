/* The server's side of HTTP/1.1, and of HTTP/2 for connections that begin with its preface:
 * bodies in pieces both ways with back-pressure, deadlines and limits, alike for both.
 *
 * A request is a struct http_stream. Its owner (the proxy) is told of the head,
 * then, once it asks for it, of the body piece by piece, and answers whenever it
 * likes. Pipelined requests of HTTP/1.1 wait in the connection's buffer until the answer
 * before them is finished; those of HTTP/2 go on side by side. Loop thread only; no event comes
 * from inside a call of this header. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/head.h"

struct http_server;
struct http_stream;
struct io;
struct loop;

struct http_server_options {
    uint32_t head_max_bytes;
    uint32_t connections_max;  /* the listener pauses above it */
    uint64_t head_timeout_us;  /* first byte of a request to the end of its head */
    uint64_t body_timeout_us;  /* silence within a request body */
    uint64_t idle_timeout_us;  /* keep-alive without a request */
    uint64_t write_timeout_us; /* a reader that takes nothing */
    size_t out_high_bytes;     /* http_write() says "wait" above this */
    size_t out_low_bytes;      /* on_drained below this */
    size_t arena_max_bytes;    /* of one request */
    /* Requests at once of one HTTP/2 connection; 0: HTTP/1.1 only. All such requests
     * together are no more than connections_max; one beyond that is REFUSED_STREAM. */
    uint32_t http2_streams_max;
};

struct http_server_events {
    /* The head is complete and valid. Set http_stream_set_owner(). Nothing of the
     * body comes before http_read_start(). */
    void (*on_request)(void *server_owner, struct http_stream *s);
    /* Valid until this returns. */
    void (*on_body)(void *owner, struct http_stream *s, struct span data);
    void (*on_body_end)(void *owner, struct http_stream *s);
    /* The output fell below the low-water mark after http_write() said wait. */
    void (*on_drained)(void *owner, struct http_stream *s);
    /* Last event of a stream, exactly once, also after http_end(). ST_OK: the
     * whole answer was handed to the kernel. Otherwise the client left, stalled
     * or broke the framing (ST_CLOSED, ST_TIMEOUT, ST_INVALID) or the stream was
     * aborted (ST_CANCELED). `s` and its arena are gone after this returns. */
    void (*on_closed)(void *owner, struct http_stream *s, enum status st);
    /* Renders the body of an answer to a request that never became a stream (bad
     * head: 400, too large: 431, too slow: 408, too many: 503), so that it has
     * the protocol's error shape. */
    void (*write_error)(void *server_owner, unsigned status, const char *text, struct buf *out);
};

struct http_server_stats {
    uint64_t connections_total, requests_total;
    uint32_t connections_now;
    uint64_t bad_heads_total, timeouts_total, refused_total;
    uint64_t http2_connections_total;
    uint32_t http2_streams_now;
    uint64_t http2_resets_total; /* streams that clients gave up */
    uint64_t http2_floods_total; /* connections ended for frames that are no requests */
};

enum status http_server_open(struct loop *loop, const struct http_server_options *o,
                             const struct http_server_events *ev, void *owner,
                             struct http_server **out) MUST_CHECK;

/* Other limits: of connections that come, and of what those that are there do next. */
void http_server_adopt(struct http_server *srv, const struct http_server_options *o);

/* Also the way in for tests (loopback). Takes ownership of io. `peer` is copied. */
void http_server_accept(struct http_server *srv, struct io *io, const char *peer);

/* Idle connections are closed, the others after the answer they are at
 * ("Connection: close"); new ones still accepted are answered and closed.
 * `drained` comes once, later, when no connection is left. */
void http_server_drain(struct http_server *srv, void (*drained)(void *owner));
/* The same for one whose place another process has taken: a client that is about to send its
 * next request on an idle connection shall not find it closed. What has been idle for
 * `patience_us` from now is closed; who asks before is answered, and told "Connection: close".
 */
void http_server_retire(struct http_server *srv, uint64_t patience_us,
                        void (*drained)(void *owner));
/* Cuts every connection now (their on_closed come), then `closed` once, later,
 * and the server is gone. */
void http_server_close(struct http_server *srv, void (*closed)(void *owner));

void http_server_stats(const struct http_server *srv, struct http_server_stats *out);

/* --- one request ------------------------------------------------------------ */

void http_stream_set_owner(struct http_stream *s, void *owner);
const struct http_head *http_stream_head(struct http_stream *s);
/* The request's arena: lives until on_closed has returned. */
struct arena *http_stream_arena(struct http_stream *s);
const char *http_stream_peer(struct http_stream *s);
/* The name that its certificate proves (io_client_name()); empty: it has shown none. */
const char *http_stream_client(struct http_stream *s);
/* When the turn began that brought the first byte of the head. */
uint64_t http_stream_started_us(const struct http_stream *s);
/* Of the answer's head; 0: none is out. */
unsigned http_stream_status(const struct http_stream *s);

/* Body events may come / come no more until the next start. Sends 100 Continue
 * at the first start when the client waits for it. Answering without having
 * read the body is allowed: the rest is then skipped (bounded) or the
 * connection closed after the answer. */
void http_read_start(struct http_stream *s);
void http_read_stop(struct http_stream *s);

/* The head of the answer. Framing is by body_bytes: a length, or
 * HTTP_BODY_CHUNKED (for an HTTP/1.0 client: until close; HTTP/2 has frames). Content-Length,
 * Transfer-Encoding, Connection and Date are ours; `fields` must not have them
 * nor any hop-by-hop field. ST_INVALID when a field has CR, LF or NUL. */
#define HTTP_BODY_CHUNKED UINT64_MAX
enum status http_respond(struct http_stream *s, unsigned status,
                         const struct http_field *fields, size_t n,
                         uint64_t body_bytes) MUST_CHECK;

/* 101: from here on both sides are bytes without framing. What the client sends comes as its
 * body, after http_read_start(); what is written goes out as it is, until http_end(). Only for
 * a request without a body; HTTP/2 has no such thing (ST_INVALID). `fields` have Upgrade, and
 * nothing else of one hop. */
enum status http_switch(struct http_stream *s, const struct http_field *fields,
                        size_t n) MUST_CHECK;

/* Bytes of the body; copied. *wait is set when the caller should stop until
 * on_drained (the bytes are taken all the same). */
enum status http_write(struct http_stream *s, struct span data, bool *wait) MUST_CHECK;

/* The answer is complete: for chunked, the last chunk is written. */
void http_end(struct http_stream *s);

/* The answer can not be completed: after a head was sent the connection is cut
 * without the last chunk (HTTP/2: the stream is reset), so that the client sees the
 * breakage. What was
 * written before is flushed first. on_closed follows. */
void http_abort(struct http_stream *s);

/* How many bytes of the answer's body the kernel has taken, at least. */
uint64_t http_stream_body_sent(struct http_stream *s);

#endif
