/* What `privacy.` says about requests: what was found in one, and what follows. Two steps of
 * the pipeline: screen finds, veil replaces; unveil.h is the way back. docs/privacy.md.
 * Loop thread only. */
#ifndef PROXY_SCREEN_H
#define PROXY_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "config/config.h"
#include "privacy/finder.h"

struct request;

#define SCREEN_RULES 5 /* config_rule, but for RULE_DEFAULT */

/* Of the proxy; the rules are of the request's setup (setup.h). */
struct screen {
    struct buf out, scratch;
    uint64_t found[PRIVACY_CLASSES][SCREEN_RULES]; /* values, by what was done */
    uint64_t requests[SCREEN_RULES];               /* in which anything was found */
    uint64_t unread_total;                         /* refused because nobody could look */
    uint64_t restored_total;                       /* values put back into answers */
};

/* Of a request. */
struct screen_result {
    bool found;
    bool replace;  /* something of it is to be replaced */
    bool local;    /* it may not leave */
    bool in_clear; /* something of it stays as it is */
};

/* Without room; then screen_limit(): for bodies of that size. */
void screen_init(struct screen *s);
void screen_limit(struct screen *s, size_t body_max_bytes);
void screen_release(struct screen *s);

/* The rule for what was found in this request. */
enum config_rule screen_rule(const struct request *r, const struct find *f);
/* Looks through the texts of a decoded request; for one that is not walked, too. *refused:
 * where a value stands that may not pass, empty: nowhere. ST_LIMIT, ST_NOMEM: not known to be
 * free of anything. */
enum status screen_look(struct request *r, char *refused, size_t cap,
                        enum privacy_class *what) MUST_CHECK;

#endif
