/* A struct io for one loop (home) whose socket another loop reads and writes (away): of its
 * calls into the kernel, home makes none. For carriers.c; others see a struct io.
 *
 * It is held by both. What goes from one to the other lies in the struct, under its mutex, and
 * a message says that there is something; as long as one is on its way there is no second. */
#ifndef RT_IO_CARRIED_H
#define RT_IO_CARRIED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/status.h"

struct io;
struct loop;

/* What the streams of one away loop share. */
struct io_carrier {
    struct loop *home, *away; /* borrowed (outlive) */

    /* Home's thread. */
    uint32_t open_now;                       /* streams that home still hears of */
    void (*home_idle)(struct io_carrier *c); /* open_now became 0 */

    /* Away's thread. */
    struct list_node sockets;
    void (*away_idle)(struct io_carrier *c); /* `sockets` became empty */
};

/* Before either thread uses it. */
void io_carried_init(struct io_carrier *c, struct loop *home, struct loop *away);

/* Home's thread. A connected socket, of TCP or Unix, that is not blocking; owned from here on,
 * also on failure. One that away can not take up fails as a stream does. */
enum status io_carried_open(struct io_carrier *c, int fd, bool unix_socket,
                            struct io **out) MUST_CHECK;

/* Away's thread: what is not sent yet of streams that home has closed is thrown away; after it
 * every one of them ends soon, if home has closed it. */
void io_carried_give_up(struct io_carrier *c);

#endif
