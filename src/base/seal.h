/* Bytes sealed under a key: who has not the key reads nothing of them and changes nothing in
 * them unseen. AES-256-GCM (NIST SP 800-38D) with a key of its own for each sealing, derived
 * from a random nonce of 192 bits: XAES-256-GCM (C2SP, c2sp.org/XAES-256-GCM), whose derivation
 * is that of NIST SP 800-108r1 4.1 with CMAC. So random nonces meet after some 2^80 sealings of
 * one key and not after the 2^32 that SP 800-38D 8.3 allows to AES-GCM, and nobody has to
 * count, whoever shares the key.
 *
 * A sealed text, little-endian:
 *   magic[4] version:2 zero:2 key id[8]   authenticated, readable
 *   nonce[24]
 *   the text, encrypted: as long as it was
 *   tag[16]
 * What shows: that it is sealed, by which key, and how long it is.
 *
 * Read-only once the keys are read; any thread. */
#ifndef BASE_SEAL_H
#define BASE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define SEAL_KEYS_MAX    8
#define SEAL_KEY_BYTES   32
#define SEAL_ID_BYTES    8
#define SEAL_NONCE_BYTES 24
#define SEAL_TAG_BYTES   16
#define SEAL_HEAD_BYTES  (16 + SEAL_NONCE_BYTES)
#define SEAL_MORE_BYTES  (SEAL_HEAD_BYTES + SEAL_TAG_BYTES)

/* The first key seals, each opens what it has sealed. Wiped by its owner (digest_wipe). */
struct seal_ring {
    struct seal_key {
        uint8_t bytes[SEAL_KEY_BYTES];
        uint8_t id[SEAL_ID_BYTES]; /* a hash of it: names it, and tells nothing of it */
    } keys[SEAL_KEYS_MAX];
    size_t count;
};

/* Lines of 64 hexadecimal digits, the newest key first; empty ones and those that begin with
 * '#' are passed over. ST_INVALID with `why`, which names the line and nothing of its text. */
enum status seal_read_keys(struct span text, struct seal_ring *out, char *why,
                           size_t why_cap) MUST_CHECK;

/* Appends the sealed text. ST_UNAVAILABLE: there are no random bytes. */
enum status seal_close(const struct seal_ring *r, struct span text, struct buf *out) MUST_CHECK;

/* Appends the text. ST_UNAVAILABLE: sealed by a key that is not in the ring. ST_INVALID: it is
 * no sealed text, or not as it was sealed. */
enum status seal_open(const struct seal_ring *r, struct span sealed,
                      struct buf *out) MUST_CHECK;

/* Does it say that it is sealed? */
bool seal_is_sealed(struct span s);
/* Is there the key that it says it was sealed by? It is not looked at any further. */
bool seal_has_key(const struct seal_ring *r, struct span sealed);
/* The id of that key, in hexadecimal digits. */
void seal_key_name(struct span sealed, char name[2 * SEAL_ID_BYTES + 1]);

/* With key and nonce given: what the two above are made of, for known answers. `out` has room
 * for the text and the tag, and may be where the text is. */
enum status seal_encrypt(const uint8_t key[SEAL_KEY_BYTES],
                         const uint8_t nonce[SEAL_NONCE_BYTES], struct span beside,
                         struct span text, char *out) MUST_CHECK;
enum status seal_decrypt(const uint8_t key[SEAL_KEY_BYTES],
                         const uint8_t nonce[SEAL_NONCE_BYTES], struct span beside,
                         struct span text_and_tag, char *out) MUST_CHECK;

#endif
