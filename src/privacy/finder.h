/* Finds personal data and secrets in a text: in one pass that looks closer only at words
 * with a digit or one of -./:=@ in them, sixteen bytes at a time until there is one; the
 * operator's patterns (PCRE2) are passes of their own. What has a checksum is found by it;
 * docs/privacy.md says what each class is, and what is passed over.
 *
 * No I/O. A finder is used by one thread at a time. */
#ifndef PRIVACY_FINDER_H
#define PRIVACY_FINDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "privacy/classes.h"

/* Of one text; more are ST_LIMIT. */
#define FINDER_FINDS_MAX    4096
#define FINDER_PATTERNS_MAX 32

struct finder;

struct finder_pattern {
    const char *name;  /* borrowed; for errors */
    const char *regex; /* PCRE2, UTF-8; only until finder_open() returns */
};

struct finder_options {
    uint32_t classes; /* PRIVACY_BIT() of each that is looked for; patterns always are */
    const struct finder_pattern *patterns;
    size_t pattern_count;
};

struct find {
    size_t at, len; /* bytes of the text; never 0 long */
    enum privacy_class class;
    unsigned pattern; /* PRIVACY_PATTERN: which one */
};

/* `why` names the pattern that is wrong, and where. */
enum status finder_open(const struct finder_options *o, struct finder **out, char *why,
                        size_t why_cap) MUST_CHECK;
void finder_close(struct finder *f);

/* In order, none over another; the list is the finder's, until the next call. ST_LIMIT: more
 * than can be counted, or a pattern that ran over its limit (finder_stuck()): the text is not
 * known to be free of anything. ST_NOMEM. */
enum status finder_scan(struct finder *f, struct span text, const struct find **out,
                        size_t *count) MUST_CHECK;
/* The pattern that the last ST_LIMIT is of; NULL: of none. */
const char *finder_stuck(const struct finder *f);

#endif
