/* Which settings a reload may change while ibid serves. The others were used up when it
 * started: the sockets it listens on, the store, the models, what memory is set aside. Whoever
 * reads a setting anew for each request puts it on the list; a setting that is on none needs a
 * restart. Read-only; any thread. */
#ifndef CONFIG_LIVE_H
#define CONFIG_LIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"
#include "config/options.h"

struct config;

#define LIVE_NAMES_MAX 256

/* Names of settings, static. */
struct live_names {
    const char *list[LIVE_NAMES_MAX];
    size_t count;
};

bool live_is(const struct config *started, const struct option *o);

/* The settings in which they differ. ST_NOMEM. */
enum status live_compare(const struct config *a, const struct config *b,
                         struct live_names *out) MUST_CHECK;

/* Gives back to `next` what it may not change, as it was when ibid started; *restart are the
 * settings that were so given back. ST_NOMEM: `next` is of no use. */
enum status live_keep(const struct config *started, struct config *next,
                      struct live_names *restart) MUST_CHECK;

/* The list, for the reference: "`cors.`, `cache.threshold`, ...". */
enum status live_write(struct buf *out) MUST_CHECK;

#endif
