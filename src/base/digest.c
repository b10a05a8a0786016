#include "base/digest.h"

#include <assert.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

enum status digest_init(struct digest_ctx *c)
{
    c->state = EVP_MD_CTX_new();
    if (c->state == NULL)
        return ST_NOMEM;
    /* The algorithm is looked up once; starting anew then costs next to nothing. */
    if (EVP_DigestInit_ex(c->state, EVP_sha256(), NULL) != 1) {
        digest_release(c);
        return ST_UNAVAILABLE;
    }
    return ST_OK;
}

void digest_release(struct digest_ctx *c)
{
    EVP_MD_CTX_free(c->state);
    c->state = NULL;
}

void digest_start(struct digest_ctx *c)
{
    int ok = EVP_DigestInit_ex(c->state, NULL, NULL);

    assert(ok == 1);
    (void)ok;
}

void digest_update(struct digest_ctx *c, struct span s)
{
    int ok = s.len == 0 || EVP_DigestUpdate(c->state, s.ptr, s.len);

    assert(ok == 1);
    (void)ok;
}

void digest_final(struct digest_ctx *c, struct digest *out)
{
    int ok = EVP_DigestFinal_ex(c->state, out->bytes, NULL);

    assert(ok == 1);
    (void)ok;
}

void digest_sha256(struct span s, struct digest *out)
{
    int ok = EVP_Digest(s.ptr, s.len, out->bytes, NULL, EVP_sha256(), NULL);

    assert(ok == 1);
    (void)ok;
}

#define BLOCK_BYTES 64 /* of SHA-256 */

/* A context that has read the key's block, every byte xored with `pad` (RFC 2104 2). */
static void *keyed(const uint8_t *block, uint8_t pad)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t mixed[BLOCK_BYTES];
    int ok;

    for (size_t i = 0; i < BLOCK_BYTES; i++)
        mixed[i] = block[i] ^ pad;
    ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
         EVP_DigestUpdate(c, mixed, sizeof(mixed)) == 1;
    OPENSSL_cleanse(mixed, sizeof(mixed));
    if (ok)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

enum status digest_key_init(struct digest_key *k, struct span key)
{
    uint8_t block[BLOCK_BYTES] = {0};

    if (key.len > BLOCK_BYTES) {
        struct digest d;

        digest_sha256(key, &d);
        memcpy(block, d.bytes, sizeof(d.bytes));
    } else if (key.len > 0) {
        memcpy(block, key.ptr, key.len);
    }
    *k = (struct digest_key){keyed(block, 0x36), keyed(block, 0x5c), EVP_MD_CTX_new()};
    OPENSSL_cleanse(block, sizeof(block));
    if (k->inner != NULL && k->outer != NULL && k->work != NULL)
        return ST_OK;
    digest_key_release(k);
    return ST_NOMEM;
}

void digest_key_release(struct digest_key *k)
{
    EVP_MD_CTX_free(k->inner);
    EVP_MD_CTX_free(k->outer);
    EVP_MD_CTX_free(k->work);
    *k = (struct digest_key){NULL, NULL, NULL};
}

void digest_hmac(const struct digest_key *k, struct span s, struct digest *out)
{
    int ok = EVP_MD_CTX_copy_ex(k->work, k->inner) == 1 &&
             EVP_DigestUpdate(k->work, s.ptr, s.len) == 1 &&
             EVP_DigestFinal_ex(k->work, out->bytes, NULL) == 1 &&
             EVP_MD_CTX_copy_ex(k->work, k->outer) == 1 &&
             EVP_DigestUpdate(k->work, out->bytes, sizeof(out->bytes)) == 1 &&
             EVP_DigestFinal_ex(k->work, out->bytes, NULL) == 1;

    assert(ok);
    (void)ok;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool digest_from_hex(struct span hex, struct digest *out)
{
    struct digest d;

    if (hex.len != 2 * (size_t)DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = d;
    return true;
}

void digest_hex(const uint8_t *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *hex++ = digits[bytes[i] >> 4];
        *hex++ = digits[bytes[i] & 15];
    }
    *hex = '\0';
}

bool digest_equal_secret(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void digest_wipe(void *bytes, size_t n)
{
    OPENSSL_cleanse(bytes, n);
}

enum status digest_random(uint8_t *out, size_t n)
{
    return RAND_bytes(out, (int)n) == 1 ? ST_OK : ST_UNAVAILABLE;
}
