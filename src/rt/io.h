/* A byte stream, whatever carries it: TCP, TLS over TCP, or the loopback of the
 * tests. Loop thread only.
 *
 * Contract: events come from the loop, never from inside a call of this header.
 * After io_close() only on_closed comes, once; then the io is gone. */
#ifndef RT_IO_H
#define RT_IO_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct io;

struct io_events {
    /* ST_OK: `data` arrived, valid until this returns. ST_CLOSED: orderly end.
     * Anything else: the stream failed. No read event follows the last two. */
    void (*on_read)(void *owner, enum status st, struct span data);
    /* The write ended; its bytes may be reused. */
    void (*on_written)(void *owner, enum status st);
    void (*on_closed)(void *owner);
};

struct io_ops {
    void (*read_start)(struct io *io);
    void (*read_stop)(struct io *io);
    enum status (*try_write)(struct io *io, const struct span *part, size_t n, size_t *taken);
    enum status (*write)(struct io *io, const struct span *part, size_t n);
    /* Half-close: no more will be written; on_written of the last write came. */
    void (*shutdown)(struct io *io);
    void (*close)(struct io *io);
    void (*reset)(struct io *io);
    /* NULL: this kind knows nobody by name. */
    void (*client_name)(struct io *io, char *out, size_t cap);
};

/* Embedded as the first member by each kind (struct tcp, struct tls, ...). */
struct io {
    const struct io_ops *ops;
    const struct io_events *events;
    void *owner;
};

static inline void io_read_start(struct io *io)
{
    io->ops->read_start(io);
}
static inline void io_read_stop(struct io *io)
{
    io->ops->read_stop(io);
}
static inline void io_close(struct io *io)
{
    io->ops->close(io);
}

/* Closes so that the peer sees an error, not an end (TCP RST). A Unix socket cannot: there
 * the peer sees an end, and what it reads must tell by its framing that it is broken. */
static inline void io_reset(struct io *io)
{
    io->ops->reset(io);
}
static inline void io_shutdown(struct io *io)
{
    io->ops->shutdown(io);
}

/* Whom the peer has proved to be, by a certificate: "uri:", "dns:", "email:" or "cn:" and the
 * first name of that kind in it, in this order; empty: it has not, or the name does not fit. */
static inline void io_client_name(struct io *io, char *out, size_t cap)
{
    out[0] = '\0';
    if (io->ops->client_name != NULL)
        io->ops->client_name(io, out, cap);
}

/* Who hears the events; set before the first read_start or write. */
static inline void io_attach(struct io *io, const struct io_events *events, void *owner)
{
    io->events = events;
    io->owner = owner;
}

/* Writes what goes without waiting; *taken (0 and up) bytes are gone, in order.
 * No event follows. Only while no io_write is under way. A failed stream gives a
 * status other than ST_OK. */
static inline MUST_CHECK enum status io_try_write(struct io *io, const struct span *part,
                                                  size_t n, size_t *taken)
{
    return io->ops->try_write(io, part, n, taken);
}

/* One write at a time. The bytes are borrowed until on_written. */
static inline MUST_CHECK enum status io_write(struct io *io, const struct span *part, size_t n)
{
    return io->ops->write(io, part, n);
}

#endif
