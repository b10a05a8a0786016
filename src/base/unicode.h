/* Code points and what the Unicode tables say of them, by utf8proc. Pure. */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define UNICODE_UTF8_MAX      4
#define UNICODE_DECOMPOSE_MAX 18 /* code points one code point can become */

/* General categories, grouped as tokenizers ask for them. */
enum unicode_class {
    UNICODE_LETTER,      /* L* */
    UNICODE_MARK,        /* Mn: marks without width of their own */
    UNICODE_OTHER_MARK,  /* Mc, Me */
    UNICODE_NUMBER,      /* N* */
    UNICODE_PUNCTUATION, /* P* */
    UNICODE_SYMBOL,      /* S* */
    UNICODE_SEPARATOR,   /* Z* */
    UNICODE_CONTROL,     /* Cc, Cf, Co */
    UNICODE_UNASSIGNED,  /* Cn, Cs */
};

/* Letters and marks by their case. */
enum unicode_case {
    UNICODE_CASE_NONE,   /* neither letter nor mark */
    UNICODE_CASE_UPPER,  /* Lu, Lt */
    UNICODE_CASE_LOWER,  /* Ll */
    UNICODE_CASE_EITHER, /* Lm, Lo, M* */
};

/* The code point at *at, which moves past it. false at malformed UTF-8. */
bool unicode_next(struct span s, size_t *at, uint32_t *out) MUST_CHECK;
/* Writes UTF-8 to out (UNICODE_UTF8_MAX bytes) and returns its length. */
size_t unicode_put(uint32_t c, char *out);

enum unicode_class unicode_class_of(uint32_t c);
enum unicode_case unicode_case_of(uint32_t c);
/* The White_Space property. */
bool unicode_is_space(uint32_t c);
uint32_t unicode_lower(uint32_t c);
/* Full canonical decomposition of one code point (NFD, without reordering): how many
 * of out[UNICODE_DECOMPOSE_MAX] were written. */
size_t unicode_decompose(uint32_t c, uint32_t *out);
/* Does a new character, as readers see it, begin between a and b? (UAX #29.) *state is 0 at
 * the beginning of a text. */
bool unicode_breaks(uint32_t a, uint32_t b, int32_t *state);
/* Is it in NFC for sure? Quick, and false for some texts that are. */
bool unicode_is_composed(struct span s);
/* Appends the valid UTF-8 `s` in NFC. ST_INVALID, ST_NOMEM, or what buf_append() says. */
enum status unicode_compose(struct span s, struct buf *out) MUST_CHECK;
/* Length of the valid UTF-8 at the front: s.len when all of it is. */
size_t unicode_valid_prefix(struct span s);
/* Is all of it valid UTF-8? */
bool unicode_valid(struct span s);

/* Valid UTF-8 without the white space at its end (unicode_is_space). */
struct span unicode_trim_end(struct span s);

struct unicode_range {
    uint32_t from, to; /* both in it */
};

/* Is `c` in one of n ranges, which are sorted and do not meet? */
bool unicode_in_ranges(const struct unicode_range *ranges, size_t n, uint32_t c);

#endif
