#include "rt/watch.h"

#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "rt/loop.h"

struct watch {
    uv_poll_t poll;
    int fd; /* owned */
    watch_fn *fn;
    void *owner;
};

static void on_readable(uv_poll_t *p, int status, int events)
{
    struct watch *w = CONTAINER_OF(p, struct watch, poll);

    (void)status; /* read() says it better */
    (void)events;
    w->fn(w->owner);
}

static void on_closed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct watch, poll));
}

enum status watch_open(struct loop *loop, int fd, watch_fn *fn, void *owner, struct watch **out)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return ST_NOMEM;
    *w = (struct watch){.fd = fd, .fn = fn, .owner = owner};
    if (uv_poll_init(loop_uv(loop), &w->poll, fd) != 0) {
        free(w);
        return ST_UNAVAILABLE;
    }
    uv_poll_start(&w->poll, UV_READABLE, on_readable);
    *out = w;
    return ST_OK;
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

void watch_close(struct watch *w)
{
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
    close(w->fd);
}
