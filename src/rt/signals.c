#include "rt/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "rt/loop.h"

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};

struct signals {
    uv_signal_t handles[ARRAY_LEN(watched)];
    unsigned open; /* handles not yet closed */
    signals_fn *fn;
    void *owner;
};

static void on_signal(uv_signal_t *h, int signum)
{
    struct signals *s = h->data;

    s->fn(s->owner, signum);
}

static void on_closed(uv_handle_t *h)
{
    struct signals *s = h->data;

    if (--s->open == 0)
        free(s);
}

enum status signals_open(struct loop *loop, signals_fn *fn, void *owner, struct signals **out)
{
    struct signals *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return ST_NOMEM;
    s->fn = fn;
    s->owner = owner;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` fails; it does not kill */
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        uv_signal_init(loop_uv(loop), &s->handles[i]);
        s->handles[i].data = s;
        s->open++;
        uv_unref((uv_handle_t *)&s->handles[i]);
        if (uv_signal_start(&s->handles[i], on_signal, watched[i]) != 0) {
            signals_close(s);
            return ST_UNAVAILABLE;
        }
    }
    *out = s;
    return ST_OK;
}

void signals_close(struct signals *s)
{
    unsigned n = s->open;

    for (unsigned i = 0; i < n; i++)
        uv_close((uv_handle_t *)&s->handles[i], on_closed);
}
