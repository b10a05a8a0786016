/* The regular expressions of rules: PCRE2 with its just-in-time compiler, and a limit on what
 * one text may cost the loop. Loop thread only. */
#ifndef PROXY_REGEX_H
#define PROXY_REGEX_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct regex;

/* `text` ends in NUL. ST_INVALID: `why` says what is wrong with it, and at which byte. */
enum status regex_open(const char *text, struct regex **out, char *why,
                       size_t why_cap) MUST_CHECK;
/* NULL is fine. */
void regex_close(struct regex *x);

/* Anywhere in `text`, which may be any bytes. ST_OK: it is there. ST_NOTFOUND. ST_LIMIT: it
 * can not be told within its limits. */
enum status regex_find(struct regex *x, struct span text) MUST_CHECK;

#endif
