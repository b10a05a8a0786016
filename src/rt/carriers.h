/* Loops that carry the bytes of sockets for another one, a thread each. The loop whose they are
 * (home) works on all that the bytes mean, so that nothing of that is shared between threads;
 * what a request costs in the kernel is spent on theirs. Home's thread only. */
#ifndef RT_CARRIERS_H
#define RT_CARRIERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct carriers;
struct io;
struct loop;

#define CARRIERS_MAX 15

/* `count` threads, 1 to CARRIERS_MAX. */
enum status carriers_open(struct loop *home, unsigned count, struct carriers **out) MUST_CHECK;

/* A connected socket, of TCP or Unix, that is not blocking; owned from here on, also on
 * failure. The carrier that has the fewest takes it. A socket that it can not take up fails as
 * a stream does. What was written before io_close() is sent after it, for some seconds at most.
 */
enum status carriers_take(struct carriers *c, int fd, bool unix_socket,
                          struct io **out) MUST_CHECK;

unsigned carriers_count(const struct carriers *c);
/* Of one of them, 0 to carriers_count() - 1. */
uint32_t carriers_open_now(const struct carriers *c, unsigned i);

/* Waits until every stream has been closed by its owner, and half a second at most for what is
 * not sent of them; then `closed` once, later, and the carriers are gone. */
void carriers_close(struct carriers *c, void (*closed)(void *owner), void *owner);

#endif
