/* Listening sockets that this process was started with: by systemd (socket activation,
 * sd_listen_fds(3)), or by the ibid before it (cli/serve_upgrade.h). LISTEN_FDS is how many
 * there are, from descriptor 3 on, LISTEN_PID whom they are for, LISTEN_FDNAMES what each is.
 * Loop thread only. */
#ifndef RT_INHERITED_H
#define RT_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/compiler.h"

#define INHERITED_MAX 16

/* Names of what an ibid hands to the next. */
#define INHERITED_OWN  "ibid" /* whose file in the file system, if it has one, goes with it */
#define INHERITED_TALK "ibid-handover"

struct inherited {
    struct {
        int fd;   /* owned; -1: taken */
        bool own; /* INHERITED_OWN */
    } list[INHERITED_MAX];
    size_t count;
    int talk_fd; /* owned: to the ibid before this one; -1: there is none */
};

/* Reads the environment, and takes it away from those that this process may start. */
void inherited_init(struct inherited *in);

/* The socket that listens on that very name; its port may be any when `any_port`. It is the
 * caller's then. -1: none does. */
int inherited_take(struct inherited *in, const struct sockaddr *name, bool any_port, bool *own);

/* Closes what nobody wanted. */
void inherited_release(struct inherited *in);

#endif
