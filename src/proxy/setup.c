#include "proxy/setup.h"

#include <assert.h>
#include <stdlib.h>

#include "config/config.h"
#include "privacy/finder.h"
#include "proxy/calibration.h"
#include "proxy/prompt.h"
#include "proxy/routing.h"
#include "proxy/upstreams.h"

enum status setup_open(struct loop *loop, const struct config *c, void (*gone)(void *owner),
                       void *owner, struct setup **out)
{
    struct setup *s = calloc(1, sizeof(*s));
    struct config *copy = malloc(sizeof(*copy));

    if (s == NULL || copy == NULL) {
        free(s);
        free(copy);
        return ST_NOMEM;
    }
    *copy = *c;
    s->config = copy;
    s->refs = 1;
    s->loop = loop;
    s->gone = gone;
    s->owner = owner;
    prices_init(&s->prices, copy);
    screen_rules_init(&s->rules, copy);
    *out = s;
    return ST_OK;
}

struct setup *setup_ref(struct setup *s)
{
    assert(s->refs > 0);
    s->refs++;
    return s;
}

static void on_upstreams_closed(void *owner)
{
    struct setup *s = owner;
    void (*gone)(void *) = s->gone;
    void *whose = s->owner;

    routing_close(s->routing);
    finder_close(s->finder);
    prompt_close(s->prompts);
    calibration_close(s->cascade);
    free(s->config);
    free(s);
    gone(whose);
}

static void on_end(struct loop_msg *m)
{
    struct setup *s = CONTAINER_OF(m, struct setup, end);

    if (s->upstreams != NULL)
        upstreams_close(s->upstreams, on_upstreams_closed, s);
    else
        on_upstreams_closed(s);
}

/* The last request may be given up in the middle of an event of one of its upstreams: those
 * are closed in a later turn. */
void setup_unref(struct setup *s)
{
    if (s == NULL)
        return;
    assert(s->refs > 0);
    if (--s->refs == 0)
        loop_defer(s->loop, &s->end, on_end);
}
