/* A struct io over a TCP or Unix socket of libuv. Loop thread only. */
#ifndef RT_IO_TCP_H
#define RT_IO_TCP_H

#include <stdbool.h>
#include <uv.h>

#include "base/compiler.h"
#include "base/status.h"
#include "rt/io.h"

struct io_tcp;
struct loop;

/* A socket that is not connected yet; with `unix_socket` a Unix one. */
enum status io_tcp_new(struct loop *loop, bool unix_socket, struct io_tcp **out) MUST_CHECK;

/* A connected socket that is not blocking; owned from here on, also on failure. */
enum status io_tcp_open(struct loop *loop, int fd, bool unix_socket,
                        struct io **out) MUST_CHECK;

/* For uv_*_open() and uv_*_connect(). */
uv_stream_t *io_tcp_stream(struct io_tcp *t);

/* The connected stream; closing it frees all. */
struct io *io_tcp_io(struct io_tcp *t);

/* Closes a socket that never became a stream: no event comes. */
void io_tcp_discard(struct io_tcp *t);

/* libuv's code in our words. */
enum status io_tcp_status(int uv_code);

#endif
