/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), by OpenSSL. Any thread; a
 * context belongs to one. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define DIGEST_BYTES 32

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* One reusable context; owns OpenSSL state. */
struct digest_ctx {
    void *state; /* EVP_MD_CTX, owned */
};

enum status digest_init(struct digest_ctx *c) MUST_CHECK;
void digest_release(struct digest_ctx *c);
/* Starts anew; then any number of updates and one final. */
void digest_start(struct digest_ctx *c);
void digest_update(struct digest_ctx *c, struct span s);
void digest_final(struct digest_ctx *c, struct digest *out);

/* One shot. */
void digest_sha256(struct span s, struct digest *out);

/* A key for many HMACs: what depends on the key alone is done once. */
struct digest_key {
    void *inner, *outer, *work; /* EVP_MD_CTX, owned */
};

enum status digest_key_init(struct digest_key *k, struct span key) MUST_CHECK;
void digest_key_release(struct digest_key *k);
/* One thread at a time. */
void digest_hmac(const struct digest_key *k, struct span s, struct digest *out);

/* Lower-case hexadecimal of n bytes and a NUL; hex needs 2n+1 bytes. */
void digest_hex(const uint8_t *bytes, size_t n, char *hex);

/* The 32 bytes that 64 hexadecimal digits, of either case, say; false for anything else. */
bool digest_from_hex(struct span hex, struct digest *out) MUST_CHECK;

static inline bool digest_eq(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

/* Time does not depend on where the bytes differ; for tokens. */
bool digest_equal_secret(struct span a, struct span b);

/* Overwrites what must not stay in memory. */
void digest_wipe(void *bytes, size_t n);

/* Cryptographically strong random bytes; ST_UNAVAILABLE when there are none. */
enum status digest_random(uint8_t *out, size_t n) MUST_CHECK;

#endif
