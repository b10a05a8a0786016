/* What a request's head must be, whichever version of HTTP brought it. What two readers could
 * read in two ways is refused. Pure. */
#ifndef HTTP_REQUEST_RULES_H
#define HTTP_REQUEST_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/head.h"

/* Host, expectation, method and target; h->expect_continue is set. ST_INVALID: *status and
 * *text (static) say why. `h` has a method, a target and fields. */
enum status request_rules_check(struct http_head *h, unsigned *status,
                                const char **text) MUST_CHECK;

/* h->path and h->query, of a target in origin form. */
void request_rules_split(struct http_head *h);

/* Digits and nothing else (RFC 9110 8.6). */
bool request_rules_length(struct span s, uint64_t *out);

#endif
