/* Entries for an ibid that runs: in pieces over its admin listener, because its embedded store
 * belongs to it alone. */
#ifndef CLI_CACHE_SEND_H
#define CLI_CACHE_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

struct config;
struct entry;

struct cache_send {
    const struct config *config; /* borrowed */
    const char *address;         /* likewise */
    char token[256];
    struct buf batch, line, frame;
    size_t entries; /* in the batch */
    uint64_t taken, lost;
};

/* Is an ibid there that takes them? `quiet`: what is wrong is not said. */
bool cache_send_open(struct cache_send *s, const struct config *c, const char *address,
                     bool quiet) MUST_CHECK;
void cache_send_close(struct cache_send *s);

/* false: it does not take them; why was said on stderr. */
bool cache_send_put(struct cache_send *s, const struct entry *e) MUST_CHECK;
/* All that was given is with it. */
bool cache_send_settle(struct cache_send *s) MUST_CHECK;

#endif
