/* HTTP/2 (RFC 9113) on one connection of a server: frames in, streams as those of HTTP/1.1,
 * frames out. conn.c carries the bytes and calls this; what an owner of a stream asks for
 * comes by http2_stream.c. By libnghttp2; loop thread only.
 *
 * Bounded: streams at once (a connection, and all of them together), bytes that wait in
 * either direction of a stream and of the connection, a head's bytes and frames and time,
 * silence within a body, a reader whose window stays shut, and what costs us work and is no
 * request (resets, pings, settings, empty frames): who sends more of that than CALM_BURST,
 * and than CALM_RATE a second after it, is sent away with ENHANCE_YOUR_CALM. */
#ifndef HTTP_HTTP2_H
#define HTTP_HTTP2_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct conn;
struct http2;

enum http2_preface { HTTP2_PREFACE_NOT, HTTP2_PREFACE_MORE, HTTP2_PREFACE_WHOLE };

/* Does a connection begin as one of HTTP/2 must (RFC 9113 3.4)? `in` is not empty. */
enum http2_preface http2_preface_rest(struct span in);

/* No method but PRI and PROP… begins so: nearly always two letters tell. */
static inline enum http2_preface http2_preface(struct span in)
{
    if (in.ptr[0] != 'P' || (in.len > 1 && in.ptr[1] != 'R'))
        return HTTP2_PREFACE_NOT;
    return http2_preface_rest(in);
}

/* The connection's first input, preface included, is not spent yet. */
enum status http2_open(struct conn *c, struct http2 **out) MUST_CHECK;
/* When the io is closed and every stream was told. NULL is none. */
void http2_free(struct http2 *h);

/* Takes some of the connection's input; false when there is nothing to take now. */
bool http2_read(struct http2 *h);
/* All that can go on goes on: wishes of owners, output, ends. May close the connection. */
void http2_move(struct http2 *h);
/* Is there something left for a turn of its own? */
bool http2_has_wishes(const struct http2 *h);

/* Says that no new streams are wanted, lets those in flight end, then closes. */
void http2_drain(struct http2 *h);

#endif
