/* What requests are answered by, made of the settings: the same at the start and at a reload.
 */
#ifndef CLI_SERVE_SETUP_H
#define CLI_SERVE_SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "config/config.h"

struct connector;
struct loop;
struct setup;

#define SERVE_REASONS_MAX  6
#define SERVE_REASON_BYTES 1536

/* What is wrong, one thing each, with its setting first. */
struct serve_reasons {
    char list[SERVE_REASONS_MAX][SERVE_REASON_BYTES];
    size_t count;
};

void serve_setup_reason(struct serve_reasons *r, const char *setting, const char *why);

/* What will not be as the settings want it; empty: nothing. */
struct serve_odd {
    char routing[256], cascade[CONFIG_TEXT_MAX + 256];
};

/* Where a setup is opened. */
struct serve_place {
    struct loop *loop;           /* borrowed */
    struct connector *connector; /* likewise */
    struct span encoder_id;      /* whose vectors there will be; empty: none */
    void (*gone)(void *owner);   /* of a setup */
    void *owner;
};

/* `before`: its upstreams live on where nothing about them has changed; NULL: none. On failure
 * all reasons are said, and `gone` comes all the same if a setup was begun: *begun says so. */
enum status serve_setup_open(const struct serve_place *at, const struct config *c,
                             const struct setup *before, struct setup **out, bool *begun,
                             struct serve_odd *odd, struct serve_reasons *why) MUST_CHECK;

#endif
