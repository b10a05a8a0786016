/* The inside of HTTP/2, for the files that make it up: http2.c (the session: frames, floods,
 * time), http2_head.c (from fields to a head), http2_stream.c (one stream). */
#ifndef HTTP_HTTP2_INTERNAL_H
#define HTTP_HTTP2_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/list.h"
#include "http/http2.h"
#include "http/stream.h"
#include "rt/timer.h"

struct http2 {
    struct conn *conn; /* borrowed: owns us */
    nghttp2_session *session;
    struct list_node streams; /* all there are */
    struct list_node ready;   /* with something to be done */
    struct list_node closing; /* over for nghttp2; their last bytes are on the way */
    uint32_t count;
    uint64_t sent_total;     /* bytes given to the outbox */
    uint64_t calm_us;        /* how far calm()'s clock is */
    bool flooded;            /* it was more than that: nothing is read any more */
    uint64_t updates, datas; /* WINDOW_UPDATEs that came, DATA frames that went */
    uint64_t head_since_us;  /* a head is under way since; 0: none */
    size_t head_bytes;       /* of it, those thrown away too */
    uint64_t idle_since_us;  /* 0: there are streams */
    uint64_t drain_us;       /* when the drain stops taking new streams; 0: no drain */
    bool drained_idle;       /* it had no streams then: nobody waits for anything */
    bool told_away;          /* GOAWAY with the last stream was submitted */
    struct timer timer;      /* never later than what is due first, often earlier */
    uint64_t timer_us;       /* when it fires; 0: it does not run */
};

struct http2_stream {
    struct http_stream stream;
    struct http2 *session;
    int32_t id;
    struct list_node link; /* in `streams` */
    struct list_node turn; /* in `ready` or `closing` */
    struct arena arena;
    struct http_head head;
    /* the head under way */
    size_t field_cap, head_bytes;
    struct span authority;
    unsigned refuse_status; /* 0: nothing is wrong yet */
    const char *refuse_text;
    /* the request */
    struct buf in; /* of its body, not asked for yet; a window is its limit */
    bool begun;    /* its owner was told of it */
    bool input_ended;
    /* the answer */
    struct buf out; /* of its body, from out_from on not in frames yet */
    size_t out_from;
    bool paused;     /* nghttp2 waits to be told that there are bytes */
    bool framed_end; /* END_STREAM went out */
    /* the end */
    bool reset_by_peer, reset_by_us, timed_out;
    bool closed;                        /* nghttp2 knows it no more */
    uint64_t last_byte;                 /* of sent_total; closed only */
    uint64_t body_due_us, write_due_us; /* 0: not measured */
};

static inline struct http2_stream *http2_stream_of(struct http_stream *s)
{
    return CONTAINER_OF(s, struct http2_stream, stream);
}

/* --- http2.c --- */

/* The timer shall not be later than this. */
void http2_watch(struct http2 *h, uint64_t at_us);
uint64_t http2_now_us(const struct http2 *h);

/* --- http2_head.c --- */

/* A field of the head under way, copied; what is wrong is kept in refuse_*. */
void http2_head_add(struct http2_stream *s, struct span name, struct span value);
void http2_head_refuse(struct http2_stream *s, unsigned status, const char *text);
/* All fields are there; `no_body`: nothing follows them. Sets refuse_* or s->head. */
void http2_head_finish(struct http2_stream *s, bool no_body);

/* --- http2_stream.c --- */

/* NULL: no memory. */
struct http2_stream *http2_stream_new(struct http2 *h, int32_t id);
/* The head is there: tells the owner, or refuses in our own words. */
void http2_stream_begin(struct http2_stream *s);
/* A piece of the request's body, and its end. */
enum status http2_stream_body(struct http2_stream *s, struct span data) MUST_CHECK;
void http2_stream_body_end(struct http2_stream *s);
/* Puts it where it is seen to. */
void http2_stream_ready(struct http2_stream *s);
/* Sees to it: what its owner wishes, and what he is to be told. */
void http2_stream_serve(struct http2_stream *s);
/* Its last event, and the end of it. */
void http2_stream_finish(struct http2_stream *s, enum status st);
/* Cut for silence; counted. */
void http2_stream_time_out(struct http2_stream *s);
/* Of the answer's body, nghttp2's source and its way into the outbox. */
ssize_t http2_stream_source(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *owner);
int http2_stream_send(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                      size_t n, nghttp2_data_source *source, void *owner);

/* Bytes in the outbox beyond which no frame is added and no input is taken. */
#define HTTP2_OUT_BYTES ((size_t)128 * 1024)

#endif
