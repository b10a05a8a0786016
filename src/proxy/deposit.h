/* A request and its answer, from elsewhere, as the entry that would have come of them here.
 * Loop thread. */
#ifndef PROXY_DEPOSIT_H
#define PROXY_DEPOSIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct entry;
struct http_field;
struct proxy;

/* All borrowed. */
struct deposit {
    struct span target; /* path and query of the POST, as a client sends it */
    /* What the client authenticates with, and other headers that count. */
    const struct http_field *fields;
    size_t field_count;
    struct span name_space; /* x-ibid-namespace; ptr NULL: none */
    struct span body, answer;
    uint64_t created_ms; /* of the answer, wall clock; 0: now */
};

/* ST_OK: *out is one reference, put nowhere, its question without a vector. ST_NOTFOUND: it
 * is whole and may not be reused, *unfit is why (static). ST_INVALID: it is no
 * request, or no answer of its dialect; `why` says what is wrong. */
enum status deposit_make(struct proxy *p, const struct deposit *d, struct entry **out,
                         const char **unfit, char *why, size_t why_cap) MUST_CHECK;

#endif
