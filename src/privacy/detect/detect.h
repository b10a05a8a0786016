/* The detectors behind finder.c. Each looks at one place of a text and says how many bytes
 * from there on are what it knows; 0: it is something else. All are pure. `at` is where a
 * word of letters, digits and '_' begins. */
#ifndef PRIVACY_DETECT_DETECT_H
#define PRIVACY_DETECT_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "privacy/classes.h"

static inline bool detect_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool detect_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static inline bool detect_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static inline bool detect_alnum(char c)
{
    return detect_digit(c) || detect_letter(c);
}

static inline bool detect_hex(char c)
{
    return detect_digit(c) || (unsigned char)((c | 0x20) - 'a') < 6;
}

/* Part of a word, so that what ends before it would be cut out of one. */
static inline bool detect_wordy(char c)
{
    return detect_alnum(c) || c == '_' || (unsigned char)c >= 0x80;
}

/* The byte there; a blank beyond the ends. */
static inline char detect_at(struct span t, size_t i)
{
    return i < t.len ? t.ptr[i] : ' ';
}

static inline char detect_before(struct span t, size_t at)
{
    return at > 0 ? t.ptr[at - 1] : ' ';
}

/* Is one of the words (lower case, NULL-terminated) among the `within` bytes before `at`? */
bool detect_context(struct span t, size_t at, size_t within, const char *const *words);

/* text.c */
size_t detect_email(struct span t, size_t at);
/* "PASSWORD" of "scheme://user:PASSWORD@host"; *start is where it begins. */
size_t detect_url_password(struct span t, size_t at, size_t *start);
/* A name behind what introduces one, from `at` on. */
size_t detect_name(struct span t, size_t at, size_t *start);

/* host.c: addresses (IPv4, IPv6, MAC) and internal names. */
size_t detect_host(struct span t, size_t at);

/* secret.c */
/* From "-----BEGIN" to the end of a private key's block. */
size_t detect_private_key(struct span t, size_t at);
size_t detect_jwt(struct span t, size_t at);
/* By a known beginning, or because nobody would write such a word. */
size_t detect_key(struct span t, size_t at);
/* At '=' or ':': the value of a name that says secret; *start is where it begins. */
size_t detect_assigned(struct span t, size_t at, size_t *start);

/* number.c; *start may be before `at`, at a '+' or '('. */
size_t detect_phone(struct span t, size_t at, size_t *start);
size_t detect_card(struct span t, size_t at);
size_t detect_iban(struct span t, size_t at);
size_t detect_date(struct span t, size_t at);

/* id.c */
size_t detect_national_id(struct span t, size_t at);

#endif
